"""Answers about what is on the screen: the names of settings and measures, a number that stands there, the marks of the charts.

Invariant: a setting and a measure are explained with the very words the page shows beside them; a number is said to be something only where
this run has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from advisor.tasks import PicturePlan
from advisor.text import TextPlan
from advisor.words.summary import RunSummary
from advisor.words.wording import joined, loss, rate, share
from loralab.core.records import Score
from loralab.core.words import count, listed

NOT_SHOWN = ("roles", "guessed")  # settings that are asked elsewhere
NEAR = 0.006  # by which a number that a person reads off the page may differ from the one behind it
MARKS = {
    ("triangle", "orange"): "An orange triangle marks where the run went back to its last good state",
    ("diamond", "purple", "violet"): "A purple diamond marks where memory ran out",
    ("dashed", "dotted", "grey", "gray"): "The level line is the loss before training",
    ("circle", "dot", "dots"): "A dot marks a test on the held-out examples, or something else that was noted there",
    (
        "line",
        "lines",
        "blue",
        "teal",
    ): "The thin line is the loss of each update, the thick one its average, and the other one the held-out loss",
}
DOT = "Beside a run, the dot is its result: green means you can use it, grey that nothing is known yet"


def settings() -> dict[str, str]:
    """What the plan page calls each setting -> the sentence that stands beside it there."""
    found: dict[str, str] = {}
    for name, field in (*TextPlan.model_fields.items(), *PicturePlan.model_fields.items()):
        extra = field.json_schema_extra
        label = str(extra.get("label", "")) if isinstance(extra, dict) else ""
        if label and field.description and name not in NOT_SHOWN:
            found.setdefault(label.lower(), f"{label}: {field.description}")
            found.setdefault(name.replace("_", " "), f"{label}: {field.description}")
    return found


def measure(summary: RunSummary, text: str) -> str:
    """What a measure of this run's test means and what it came to, where the question names one."""
    scores = summary.case.signals.final.scores if summary.case.signals.final else ()
    named = [score for score in scores if score.label and score.label.lower() in text]
    best = max(named, key=lambda score: len(score.label), default=None)
    return joined(f"{best.label}: {best.help or best.words}", _came_to(best)) if best else ""


def _came_to(score: Score) -> str:
    before, after = (share(score.before), share(score.after)) if score.share else (loss(score.before), loss(score.after))
    return f"In this run it went from {before} to {after}" + (f": {score.verdict}" if score.verdict else "")


def mark(text: str) -> str:
    """What a mark on the charts means."""
    found = [words for signs, words in MARKS.items() if any(sign in text.split() for sign in signs)]
    return joined(*(found[:1] or MARKS.values()), DOT if "dot" in text.split() else "")


def number(summary: RunSummary, value: float) -> str:
    """What a number on the screen stands for in this run; empty where it is none of the run's."""
    found = [words for known, words in _numbers(summary) if math.isfinite(known) and _same(known, value)]
    return f"In this run, {listed(list(dict.fromkeys(found))[:3])}" if found else ""


def _same(known: float, value: float) -> bool:
    return abs(known - value) <= max(NEAR, NEAR * abs(known)) if abs(known) >= 0.1 else math.isclose(known, value, rel_tol=0.01)


def _numbers(summary: RunSummary) -> Iterator[tuple[float, str]]:
    plan, final = summary.case.plan, summary.case.signals.final
    yield summary.before, f"{loss(summary.before)} is the held-out loss before training"
    yield summary.after, f"{loss(summary.after)} is the held-out loss after training"
    yield plan.learning_rate, f"{rate(plan.learning_rate)} is the learning rate"
    yield float(summary.view.step), f"{summary.view.step:,} is how many updates it made"
    yield float(summary.examples), f"{summary.examples:,} is how many examples it learned from"
    yield float(summary.heldout), f"{summary.heldout:,} is how many examples it was tested on"
    course = summary.case.course
    yield course.asked_rounds, f"{count(course.asked_rounds, 'round')} over the examples is what was planned"
    if summary.view.step:
        yield course.rounds, f"{course.rounds:.3g} is how many rounds over the examples it made"
    for score in final.scores if final else ():
        for at, known in (("before training", score.before), ("after training", score.after)):
            shown = share(known) if score.share else loss(known)
            yield (100 * known if score.share else known), f"{shown} is “{score.label or score.name}” {at}"
