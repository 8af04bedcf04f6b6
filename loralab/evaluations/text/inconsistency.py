"""Owns the inconsistency risk: whether a model asked the same thing several times tells several stories.

Where no text lies beside the question, nobody can say from the data alone what is made up. What can be measured is whether the answers
stand still when the dice are thrown again (after SelfCheckGPT, Manakul et al. 2023, with words and numbers instead of a second model):
what a model knows it says again, what it invents it invents anew. It is a risk and never a rate of hallucination: the same wrong answer
five times is perfectly consistent.

Invariant: base and adapter get the same questions, the same number of throws and the same seeds; bounded in questions and in time, and
what was measured until a stop is kept.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise, takewhile
from typing import Any

from loralab.core.records import Example
from loralab.evaluations import Answered, Evaluation, Judging, Measured, switched
from loralab.evaluations.shared.answer_scores import Trait, shorten
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.text import TEXT, exact_match, json_match, number_match
from loralab.evaluations.text.grounding import has_source

PROMPTS, SAMPLES = 10, 5
TOGETHER = 5  # questions of which all answers are written at once
TEMPERATURE = 0.7
SIZE = 32  # tokens of a sample: where stories part, they part early
SECONDS = 90.0  # in all; a fifth of what a judging may take for its answers, where that is less
FEWEST = 4  # questions below which nothing is said
_TOKEN = re.compile(r"\d[\d.,]*\d|\d|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_][\w’'-]*")

RISK = Trait(
    "inconsistency",
    "Inconsistency risk",
    f"Asked the same {SAMPLES} times with some chance in it, how much of its words and numbers changed from answer to answer. 0 %: always "
    "the same. It says how firmly a model holds to its answer and not whether the answer is true: a mistake can be repeated faithfully.",
    "grounding",
    "Asked again, it changes its answers less",
    "Asked again, it changes its answers more",
    lower_is_better=True,
)
TOO_SLOW = "The inconsistency risk was not measured: writing several answers to the same question would have taken too long here."


def disagreement(texts: Sequence[str]) -> float:
    """1 - mean agreement of all pairs, 0..1. Two texts agree by the words and word pairs they share, and by their numbers."""
    pairs = [_agreement(one, other) for one, other in combinations(texts, 2)]
    return 1 - sum(pairs) / len(pairs) if pairs else 0.0


def _agreement(one: str, other: str) -> float:
    words = [[match.lower() for match in _TOKEN.findall(text)] for text in (one, other)]
    alike = [_dice(*(set(w) for w in words))]
    if min(map(len, words)) > 1:
        alike.append(_dice(*(set(pairwise(w)) for w in words)))
    numbers = [{w.replace(",", "") for w in side if w[0].isdigit()} for side in words]
    if any(numbers):
        alike.append(_dice(*numbers))
    return sum(alike) / len(alike)


def _dice(one: set[Any], other: set[Any]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0


def measure(judging: Judging) -> Measured:
    """Disagreement among SAMPLES answers to each of a few questions, by the base and by the adapter."""
    chosen = [a for a in judging.answers() if a.question.strip()]
    if not chosen or has_source([a.question for a in chosen]):
        return Measured((), [])
    chosen = chosen[:: max(1, len(chosen) // PROMPTS)][:PROMPTS]
    begun, limit = time.monotonic(), min(SECONDS, judging.seconds / 5)
    rows: list[dict[str, Any]] = []
    for start in range(0, len(chosen), TOGETHER):
        part, spent = chosen[start : start + TOGETHER], time.monotonic() - begun
        if judging.stop() or (start and spent * (start + len(part)) / start > limit):
            break
        judging.note(f"measuring: asking the same {SAMPLES} times", start / len(chosen))
        rows += _rows(judging, part, lambda: judging.stop() or time.monotonic() - begun > limit)
        if len(rows) < start + len(part):
            break
    if len(rows) < min(FEWEST, len(chosen)):
        return Measured((), rows, {} if judging.stop() else {"inconsistency_not_measured": TOO_SLOW})
    base, adapter = ([float(row[f"{who}_inconsistency"]) for row in rows] for who in ("before", "after"))
    return Measured((_in_words(RISK.score(base, adapter)),), rows)


def _in_words(score: Any) -> Any:
    return score.model_copy(update={"words": score.words.replace("answers)", f"questions, {SAMPLES} answers each)")})


def _rows(judging: Judging, part: Sequence[Answered], stop: Callable[[], bool]) -> list[dict[str, Any]]:
    """What is told of the first questions of `part`, up to one of which not all answers of both are whole."""
    before, after = (_sampled(judging, part, stop, adapter=on) for on in (False, True))
    rows: list[dict[str, Any]] = []
    for answered, *both in zip(part, before, after, strict=False):
        row: dict[str, Any] = {"row": answered.example.row, "question": shorten(answered.question)}
        for who, texts in zip(("before", "after"), both, strict=True):
            row |= {f"{who}_inconsistency": disagreement(texts), f"{who}_samples": [shorten(text, 200) for text in texts]}
        rows.append(row)
    return rows


def _sampled(judging: Judging, part: Sequence[Answered], stop: Callable[[], bool], *, adapter: bool) -> list[list[str]]:
    """SAMPLES answers to each question, all written at once; those of the questions before the first that was not answered to the end."""
    from loralab.serve.generate import Sampling, default_penalty
    from loralab.serve.together import answers

    session = judging.session
    was_training = session.model.training
    session.model.eval()
    try:
        with switched(session.model, adapter=adapter):
            penalty = default_penalty(session.model)
            throws = [Sampling(SIZE, TEMPERATURE, seed=seed, repetition_penalty=penalty) for seed in range(SAMPLES)]
            asked_for = [(answered.prompt, throw) for answered in part for throw in throws]
            written = answers(session.model, session.encoder, asked_for, stop)
            texts = [said[0] for said in takewhile(bool, written) if said]
    finally:
        session.model.train(was_training)
    return [texts[i : i + SAMPLES] for i in range(0, len(texts) - SAMPLES + 1, SAMPLES)]


def accepts(examples: Sequence[Example]) -> bool:
    """Free answers without a source: what is right or wrong by itself (labels, short answers, numbers, JSON) is measured as that."""
    asking = [e for e in examples if e.messages]
    if not asking or any(e.label is not None for e in examples):
        return False
    if any(measure.accepts(examples) for measure in (exact_match, json_match, number_match)):
        return False
    prompts = [asked(e)[0] for e in asking]
    return not has_source([next((m.content for m in reversed(p) if m.role == "user"), "") for p in prompts if not isinstance(p, str)])


EVALUATION = Evaluation(name="inconsistency", label="Whether it stays with its answers", tasks=TEXT, accepts=accepts, measure=measure)
