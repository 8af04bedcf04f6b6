"""Owns how what was measured is shown: the three numbers that matter, every measure behind a click, and what stands there before.

Invariant: each number on the page opens what it means, and says on how many examples it rests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loralab.core.events import RunView
from loralab.core.records import Score
from loralab.lab import between, value
from ui.markup import draw
from ui.tabs.evaluate.intervals import interval_bar
from ui.tabs.evaluate.judged import Found
from ui.words import count, empty, notice, term

PILLS = {"better": "good", "worse": "bad"}
FEW = 8  # examples below which nothing can be told either way
SECOND = ("question_fit", "loss", "label_choice", "chrf")  # the number that says most beside the main one, in this order
Groups = tuple[tuple[str, tuple[str, ...]], ...]
GROUPS: Groups = (
    ("Right answers", ("accuracy", "loss", "")),
    ("Form of the answers", ("fluency",)),
    ("Doing as told", ("alignment",)),
    ("Things made up", ("grounding",)),
    ("Forgetting", ("forgetting",)),
    ("A second opinion", ("judge",)),
)
OF_PICTURES: Groups = (("How right it is", ("accuracy",)),)
ABSENT = "Cannot be measured with this data."
WHY_NOT = {"Doing as told": "Too few of the questions ask for something that can be checked: a length, a format, a certain word."}
COLUMNS = ("Measure", "Before", "After", "Difference", "95 % interval", "Examples", "")

NOT_YET = empty(
    "No verdict yet",
    "When a run ends it is tested on examples it never saw, once without and once with what it learned. The result appears here.",
)
STILL = empty("It is still learning", "The test on examples it never saw comes by itself when it is done.")
NOTHING_KEPT = empty(
    "Nothing to test", "This run ended before it had learned anything to keep. Go on with it on the Train page, or start a new run."
)
UNTESTED = empty(
    "Not tested yet", "This run ended before its test. Press “Measure” and it is tested now, on the examples kept aside for it."
)
EARLIER = "Only the scores of this test were kept, not single examples. Measure again to look at them and to compare."
PARTLY = "This test was stopped before its end: what was measured until then is shown. Measure again for the rest."


def state_of(view: RunView | None, found: Found | None) -> str:
    """What stands where the verdict will be; empty when there is one."""
    if view is None:
        return NOT_YET
    if view.active:
        return STILL
    if found is not None:
        return ""
    return UNTESTED if view.made("adapter") else NOTHING_KEPT


def three(found: Found) -> list[Score]:
    """The main measure, the most telling other one, and forgetting; those of them that were measured."""
    main, second = found.main, next(filter(None, (found.score(name) for name in SECOND if name != getattr(found.main, "name", ""))), None)
    return [score for score in (main, second, found.score("forgetting")) if score is not None]


def _number(score: Score) -> str:
    chance = f"95 % {term('interval')} {between(score)}" if between(score) else "too little for an interval"
    change = draw("evaluate", "change", value(score, score.before), value(score, score.after))
    note = f"{value(score, score.difference, '+')}, {chance}. Measured on {count(score.n, 'example')}."
    return draw("evaluate", "number", label(score), change, interval_bar(score), note, _meaning(score))


def label(score: Score) -> str:
    """What a score is called on the page."""
    return score.label or score.name.replace("_", " ").capitalize()


def _meaning(score: Score) -> str:
    return draw("evaluate", "meaning", score.help, score.lower_is_better, score.words)


def caveats(found: Found) -> Iterator[str]:
    """What must be known about how it was measured."""
    main = found.main
    if main is not None and 0 < main.n < FEW:
        yield notice(
            f"Only {count(main.n, 'example')} could be tested. That is too few to tell anything, however good it looks.",
            "Add examples, or keep a larger share of them aside on the Plan page.",
            "warning",
        )
    if not found.detailed:
        yield notice(EARLIER)
    elif not found.complete:
        yield notice(PARTLY)


# ---- all measures ----------------------------------------------------------------------------------------------------------


def measures_html(found: Found, titles: Groups = GROUPS) -> str:
    """All measures, folded, in groups; each a line that opens what it means."""
    texts = titles is GROUPS
    groups = [_group(title, [s for s in found.scores if s.group in keys], found) for title, keys in titles]
    numbers = [_number(score) for score in (three(found) if texts else found.scores[:3])]
    units = [_units(found)] if texts else []
    return draw("evaluate", "measures", count(len(found.scores), "number"), numbers, COLUMNS, [*groups, *units])


def _group(title: str, scores: Sequence[Score], found: Found) -> str:
    if title == "A second opinion":
        return _second_opinion(title, scores, found)
    why = found.table("not_measured") if title == "Things made up" else WHY_NOT.get(title)
    remarks = []
    if not scores:
        if not found.complete or not found.detailed:
            return ""
        remarks.append(why or ABSENT)
    elif found.complete and title in WHY_NOT and not any(score.verdict for score in scores):
        remarks.append(WHY_NOT[title])
    if title == "Things made up" and (unclear := found.table("inconsistency_not_measured")):
        remarks.append(unclear)
    return draw("evaluate", "group", title, [_line(score) for score in scores], remarks)


def _second_opinion(title: str, scores: Sequence[Score], found: Found) -> str:
    """What the local judge prefers, or why it is not heard; nothing where none was asked."""
    tables = [table for name in ("judge", "entailment") if (table := found.table(name))]
    said = [text for table in tables for text in (table["words"], table.get("warning", "")) if text]
    lines = [_line(score) for score in scores]
    return draw("evaluate", "group", title, lines, said) if lines or said else ""


def _line(score: Score) -> str:
    cells = (
        ("Before", value(score, score.before)),
        ("After", value(score, score.after)),
        ("Difference", value(score, score.difference, "+")),
        ("95 % interval", between(score) or "–"),
        ("Examples", f"{score.n:,}"),
    )
    tone = PILLS.get(score.verdict, "quiet")
    return draw("evaluate", "line", label(score), cells, score.verdict or "measured", tone, _meaning(score))


UNITS = (
    (
        "perplexity",
        "Perplexity",
        "The same surprise as a number of choices: between so many equally likely words it hesitates at each one.",
    ),
    ("bits_per_byte", "Bits per byte", "The same surprise per letter of text. Models that cut text differently can be compared by it."),
    (
        "macro_f1",
        "Macro-F1 over the labels",
        "Right and complete for each label, averaged so that rare labels count as much as common ones.",
    ),
)
DIVERGENCE = (
    "How differently it now continues everyday texts (nats per word piece). 0 would be not at all, the base model is the reference."
)


def _units(found: Found) -> str:
    """The same in other units, for those who want it."""
    same = found.table("same_in_other_units") or {}
    pairs = {**same, "macro_f1": found.table("macro_f1")}
    lines = [
        draw("evaluate", "unit", name, _short(pair[0]), _short(pair[1]), text) for key, name, text in UNITS if (pair := pairs.get(key))
    ]
    apart = found.table("divergence_from_base")
    if apart is not None:
        lines.append(draw("evaluate", "unit", "Distance from the base model", "0", f"{apart:.2f}", DIVERGENCE))
    return draw("evaluate", "group", "In other units", lines, ()) if lines else ""


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
