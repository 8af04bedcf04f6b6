"""Owns the comparison by a local judge: which of both answers is better, asked in both orders.

Small judges mostly choose a place and not an answer (Zheng et al. 2023, MT-Bench). So every pair is asked twice with the places
swapped, only what was said both times counts, and a judge that changes its mind too often is not heard at all.

Invariant: it never carries the verdict; how often it flipped is told whatever came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralab.core.errors import LabError
from loralab.core.records import Example
from loralab.core.words import count
from loralab.evaluations import Answered, Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, shorten
from loralab.evaluations.shared.second_opinion import Opinion, kin
from loralab.evaluations.text import TEXT

MOST_PAIRS = 40  # each is asked twice
FLIPS = 0.3  # share of pairs on which a judge may change its mind with the order, and still be heard
OPTIONS = (("A", " A"), ("B", " B"), ("C", " C"))

TRAIT = Trait(
    "judge_preference",
    "Preferred by the local judge",
    "How often the model you named as a judge finds an answer the better one, whichever stands first. Pairs on which the order changed its "
    "mind are left out. A judge has a taste of its own, so the verdict never rests on it.",
    "judge",
    "The local judge prefers the new answers",
    "The local judge prefers the base model's answers",
)


def measure(judging: Judging) -> Measured:
    """Preference over the pairs judged alike in both orders; nothing but the reason where the judge cannot be heard."""
    opinion = judging.opinion()
    if opinion is None:
        return Measured((), [], {"judge": {"words": judging.unheard, "silent": True}} if judging.unheard else {})
    rows: list[dict[str, Any]] = []
    chosen, trouble = judging.answers()[:MOST_PAIRS], ""
    for number, answered in enumerate(chosen):
        if number and judging.stop():
            break
        judging.note(f"measuring: asking the judge {opinion.name}", number / len(chosen))
        try:
            rows.append(compared(opinion, answered))
        except LabError as error:
            trouble = f"{error.problem.what} {error.problem.todo}".strip()
            break
    return heard(rows, opinion.name, kin(opinion, judging.session.model, judging.plan.base_model), trouble)


def compared(opinion: Opinion, answered: Answered) -> dict[str, Any]:
    """What the judge said of a pair in both orders: before, after or tie; the same answer twice is a tie nobody has to be asked about."""
    base, adapter = answered.before.text.strip(), answered.after.text.strip()
    row: dict[str, Any] = {"row": answered.example.row}
    if base == adapter:
        return row | {"asked": False, "first": "tie", "second": "tie", "winner": "tie"}
    first = opinion.choose(_question(answered, base, adapter), OPTIONS)
    second = opinion.choose(_question(answered, adapter, base), OPTIONS)
    said = [("before", "after", "tie")[first], ("after", "before", "tie")[second]]
    return row | {"asked": True, "first": said[0], "second": said[1], "winner": said[0] if said[0] == said[1] else ""}


def _question(answered: Answered, first: str, second: str) -> Any:
    def ask(most: int) -> str:
        wanted = f"\n\nA good answer would be:\n{shorten(answered.reference, most)}" if answered.reference.strip() else ""
        return (
            f"Two answers to the same question are to be compared.\n\nQuestion:\n{shorten(answered.question, most)}{wanted}\n\n"
            f"Answer A:\n{shorten(first, most) or '(nothing)'}\n\nAnswer B:\n{shorten(second, most) or '(nothing)'}\n\n"
            "Which answer is better? Reply with one letter: A, B, or C if they are equally good."
        )

    return ask


def heard(rows: list[dict[str, Any]], name: str, family: str, trouble: str = "") -> Measured:
    """The score where the judge is steady enough, and in any case how often it flipped."""
    asked = [row for row in rows if row["asked"]]
    flips = sum(not row["winner"] for row in asked)
    rate = flips / len(asked) if asked else 0.0
    steady = [row for row in rows if row["winner"]]
    silent = not steady or rate > FLIPS
    table = {
        "name": name,
        "pairs": len(rows),
        "asked": len(asked),
        "flips": flips,
        "flip_rate": rate,
        "silent": silent,
        "words": _told(name, rows, flips, len(asked), silent=silent),
        "warning": _warning(name, family, trouble),
    }
    if silent:
        return Measured((), rows, {"judge": table})
    sides = [[float(row["winner"] == who) for row in steady] for who in ("before", "after")]
    score = TRAIT.score(*sides)
    return Measured((score.model_copy(update={"words": f"{score.words} {table['words']}"}),), rows, {"judge": table})


def _told(name: str, rows: Sequence[dict[str, Any]], flips: int, asked: int, *, silent: bool) -> str:
    if not rows:
        return f"The judge {name} was not heard."
    changed = f"With the answers swapped, {name} changed its mind on {flips} of {count(asked, 'pair')}"
    if silent:
        return f"{changed}: more than {100 * FLIPS:.0f} %, so it chooses a place and not an answer, and is not heard."
    counts = [sum(row["winner"] == who for row in rows) for who in ("after", "before", "tie")]
    told = f"it preferred the new answer {counts[0]} times, the base's {counts[1]} times and neither {counts[2]} times"
    return f"{changed}, which are left out. Of the others {told}."


def _warning(name: str, family: str, trouble: str) -> str:
    kinship = f"{name} is of the same family as the model it judges ({family}), and models prefer their own kind." if family else ""
    broke = f"It broke off before the end: {trouble}" if trouble else ""
    return f"{kinship} {broke}".strip()


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations with free answers; whether a label is right is no matter of taste."""
    return any(e.messages for e in examples) and not any(e.label is not None for e in examples)


EVALUATION = Evaluation(name="judge", label="What the local judge prefers", tasks=TEXT, accepts=accepts, measure=measure, last=True)
