"""Owns how a verdict is shown: its sentence, the three numbers that matter, and every measure behind a click.

Invariant: each number on the page opens what it means, and says on how many examples it rests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loralab.core.events import RunView
from loralab.core.records import Score
from ui.tabs.evaluate.intervals import between, interval_bar, value
from ui.tabs.evaluate.judged import Found
from ui.words import count, empty, esc, notice, term

TONES = {"better": "good", "worse": "error", "no difference seen": "warning", "cannot tell yet": "info"}
PILLS = {"better": "good", "worse": "bad"}
FEW = 8  # examples below which nothing can be told either way
SECOND = ("question_fit", "loss", "label_choice", "chrf")  # the number that says most beside the main one, in this order
GROUPS = (
    ("Right answers", ("accuracy", "loss", "")),
    ("Form of the answers", ("fluency",)),
    ("Doing as told", ("alignment",)),
    ("Things made up", ("grounding",)),
    ("Forgetting", ("forgetting",)),
    ("A second opinion", ("judge",)),
)
ABSENT = "Cannot be measured with this data."
WHY_NOT = {"Doing as told": "Too few of the questions ask for something that can be checked: a length, a format, a certain word."}
COLUMNS = ("Measure", "Before", "After", "Difference", "95 % interval", "Examples", "")

NOT_YET = empty(
    "No verdict yet",
    "When a run ends it is tested on examples it never saw, once without and once with what it learned. The result appears here.",
)
STILL = empty("It is still learning", "The test on examples it never saw comes by itself when it is done.")
NOTHING_KEPT = empty(
    "Nothing to test", "This run ended before it had learned anything to keep. Go on with it on the Train page, or start anew."
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
    return UNTESTED if view.adapter else NOTHING_KEPT


def verdict_html(found: Found) -> str:
    """The verdict in large type, its three numbers, and what must be known about how it was measured."""
    said, _, but = found.words.partition(" But: ")
    word = f'<div class="verdict-word">{esc(found.verdict.capitalize() or "Measured")}</div>'
    more = f'<p class="but"><b>But:</b> {esc(but)}</p>' if but else ""
    sentence = f'<div class="verdict {TONES.get(found.verdict, "info")}">{word}<p>{esc(said)}</p>{more}</div>'
    numbers = "".join(_number(score) for score in three(found))
    return f'<div class="card proof">{sentence}<div class="numbers">{numbers}</div>{"".join(_caveats(found))}</div>'


def three(found: Found) -> list[Score]:
    """The main measure, the most telling other one, and forgetting; those of them that were measured."""
    main, second = found.main, next(filter(None, (found.score(name) for name in SECOND if name != getattr(found.main, "name", ""))), None)
    return [score for score in (main, second, found.score("forgetting")) if score is not None]


def _number(score: Score) -> str:
    chance = f"95 % {term('interval')} {between(score)}" if between(score) else "too little for an interval"
    change = f'{value(score, score.base)} <span class="arrow" aria-label="to">→</span> {value(score, score.adapter)}'
    note = f"{value(score, score.difference, '+')}, {chance}. Measured on {count(score.n, 'example')}."
    return (
        f'<details class="number"><summary><span class="number-name">{esc(label(score))}</span><span class="number-value">{change}</span>'
        f'{interval_bar(score)}<span class="fact-note">{note}</span></summary>{_meaning(score)}</details>'
    )


def label(score: Score) -> str:
    """What a score is called on the page."""
    return score.label or score.name.replace("_", " ").capitalize()


def _meaning(score: Score) -> str:
    direction = "Lower is better." if score.lower_is_better else "Higher is better."
    said = f"<p>{esc(score.words)}</p>" if score.words else ""
    help_text = f"{esc(score.help)} " if score.help else ""
    return f'<div class="meaning"><p>{help_text}{direction}</p>{said}</div>'


def _caveats(found: Found) -> Iterator[str]:
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


def measures_html(found: Found) -> str:
    """All measures, folded, in groups; each a line that opens what it means."""
    head = "".join(f"<span>{name}</span>" for name in COLUMNS)
    groups = "".join(_group(title, [s for s in found.scores if s.group in keys], found) for title, keys in GROUPS)
    summary = f"<summary>All measures <small>{count(len(found.scores), 'number')}, each opens what it means</small></summary>"
    columns = f'<div class="m-head m-line" aria-hidden="true">{head}</div>'
    return f'<details class="card folded">{summary}{columns}{groups}{_units(found)}</details>'


def _group(title: str, scores: Sequence[Score], found: Found) -> str:
    if title == "A second opinion":
        return _second_opinion(title, scores, found)
    lines = "".join(_line(score) for score in scores)
    if not lines:
        if not found.complete or not found.detailed:
            return ""
        why = found.table("not_measured") if title == "Things made up" else WHY_NOT.get(title)
        lines = f'<p class="fine">{esc(why or ABSENT)}</p>'
    elif found.complete and not any(score.verdict for score in scores):
        lines += f'<p class="fine">{esc(WHY_NOT[title])}</p>' if title in WHY_NOT else ""
    if title == "Things made up" and (why := found.table("inconsistency_not_measured")):
        lines += f'<p class="fine">{esc(why)}</p>'
    return f'<div class="m-group"><div class="small-title">{esc(title)}</div>{lines}</div>'


def _second_opinion(title: str, scores: Sequence[Score], found: Found) -> str:
    """What the local judge prefers, or why it is not heard; nothing where none was asked."""
    tables = [table for name in ("judge", "entailment") if (table := found.table(name))]
    said = [text for table in tables for text in (table["words"], table.get("warning", "")) if text]
    lines = "".join(_line(score) for score in scores) + "".join(f'<p class="fine">{esc(text)}</p>' for text in said)
    return f'<div class="m-group"><div class="small-title">{esc(title)}</div>{lines}</div>' if lines else ""


def _line(score: Score) -> str:
    cells = (
        ("Before", value(score, score.base)),
        ("After", value(score, score.adapter)),
        ("Difference", value(score, score.difference, "+")),
        ("95 % interval", between(score) or "–"),
        ("Examples", f"{score.n:,}"),
    )
    numbers = "".join(f'<span class="m-cell" data-name="{name}">{said}</span>' for name, said in cells)
    pill = f'<span class="pill {PILLS.get(score.verdict, "quiet")}">{esc(score.verdict or "measured")}</span>'
    line = f'<summary class="m-line"><span class="m-name">{esc(label(score))}</span>{numbers}{pill}</summary>'
    return f'<details class="m">{line}{_meaning(score)}</details>'


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
    lines = [_unit(name, _short(pair[0]), _short(pair[1]), text) for key, name, text in UNITS if (pair := pairs.get(key))]
    apart = found.table("divergence_from_base")
    if apart is not None:
        lines.append(_unit("Distance from the base model", "0", f"{apart:.2f}", DIVERGENCE))
    return f'<div class="m-group"><div class="small-title">In other units</div>{"".join(lines)}</div>' if lines else ""


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _unit(name: str, before: str, after: str, text: str) -> str:
    cells = f'<span class="m-cell" data-name="Before">{before}</span><span class="m-cell" data-name="After">{after}</span>'
    line = f'<summary class="m-line"><span class="m-name">{esc(name)}</span>{cells}</summary>'
    return f'<details class="m">{line}<div class="meaning"><p>{esc(text)}</p></div></details>'
