"""Owns the measures for free text: how much an answer has in common with its reference (chrF++, BLEU, ROUGE-L).

Invariant: the same tokenisation for base and adapter; numbers are per answer and 0..1, so that they can be compared in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from loralab.core.records import Example
from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both
from loralab.evaluations.text import TEXT

MOST_WORDS = 400  # of an answer compared by ROUGE-L, whose cost is the product of both lengths

CHRF = Trait(
    "chrf",
    "Overlap with the reference (chrF++)",
    "How many letter groups and word pairs answer and reference share (Popović 2017): works in every language. 1 is the same text.",
    "accuracy",
    "Its answers have more in common with the references",
    "Its answers have less in common with the references",
)
BLEU = Trait(
    "bleu",
    "Overlap in words (BLEU)",
    "Shared runs of up to four words, sentence by sentence (Papineni et al. 2002, smoothed).",
    "accuracy",
    "It shares more runs of words with the references",
    "It shares fewer runs of words with the references",
)
ROUGE = Trait(
    "rouge_l",
    "Order of words (ROUGE-L)",
    "The longest sequence of words that answer and reference have in the same order (Lin 2004).",
    "accuracy",
    "It follows the references' order of words more closely",
    "It follows the references' order of words less closely",
)


@lru_cache(maxsize=1)
def _sacrebleu() -> tuple[Callable[[str, str], float], Callable[[str, str], float]]:
    from sacrebleu.metrics import bleu, chrf  # late: half a second that the first page does not need

    letters, words = chrf.CHRF(word_order=2), bleu.BLEU(effective_order=True)
    return (
        lambda text, reference: letters.sentence_score(text, [reference]).score / 100,
        lambda text, reference: words.sentence_score(text, [reference]).score / 100,
    )


def rouge_l(text: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words (Lin 2004, formula 4 with beta 1)."""
    a, b = text.lower().split()[:MOST_WORDS], reference.lower().split()[:MOST_WORDS]
    if not a or not b:
        return 0.0
    above = [0] * (len(b) + 1)
    for word in a:
        left = [0]
        for j, other in enumerate(b):
            left.append(above[j] + 1 if word == other else max(left[-1], above[j + 1]))
        above = left
    return 2 * above[-1] / (len(a) + len(b))


def measure(judging: Judging) -> Measured:
    """chrF++ first: it is the one that works in every language."""
    answers = [a for a in judging.answers() if a.reference.strip()]
    if not answers:
        return Measured((), [])
    chrf, bleu = _sacrebleu()
    found = [both(answers, lambda text, a, of=of: of(text, a.reference)) for of in (chrf, bleu, rouge_l)]
    rows = [{"row": a.example.row, "before_chrf": before, "after_chrf": after} for a, before, after in zip(answers, *found[0], strict=True)]
    scores = tuple(trait.score(*pair) for trait, pair in zip((CHRF, BLEU, ROUGE), found, strict=True))
    return Measured(scores, rows)


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations with a reference; not labels, where overlap says nothing."""
    return any(e.messages for e in examples) and not any(e.label is not None for e in examples)


EVALUATION = Evaluation(name="overlap", label="How close to the reference it writes", tasks=TEXT, accepts=accepts, measure=measure)
