"""Owns how a data set is shown: what was found in people's words, its rows as they stand in the file, and what the model reads of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loralab.core.errors import Problem
from loralab.core.records import DatasetProfile, Example, Part
from loralab.core.words import about
from loralab.lab import SampleSet
from ui.charts import label_bar, length_bar
from ui.desk import asked_first
from ui.markup import draw, esc
from ui.tabs.dataset.sheet import PILLS, left_out, sheet_html
from ui.words import count, fact, facts, heading, notice, term

SPEAKERS = {"system": "Instructions", "user": "Question", "assistant": "Answer", "tool": "Tool"}
NOT_LEARNED, NOT_CHOSEN = "Not learned", "Not chosen"  # of answers
BEFORE_START = ("too_few_rows", "few_rows")  # codes of findings that are said above Start
MOST_LEFT_OUT = 500  # rows listed on the page; all are counted
MOST_COLUMNS = 8  # shown of a table; those that nothing is learned from go first
MOST_SHOWN = 3  # examples that are no rows of a table


def samples_html(samples: Iterable[tuple[SampleSet, float | None]]) -> str:
    """The bundled data sets as cards: what each teaches, the seconds it takes here, and what to expect then."""
    sets = [
        (one, f"{about(seconds).capitalize()} here; {one.expect}." if seconds else f"{one.expect.capitalize()}.")
        for one, seconds in samples
    ]
    return draw("dataset", "samples", sets) if sets else ""


# ---- what was found ----------------------------------------------------------------------------------------------------------


def summary_html(profile: DatasetProfile) -> str:
    """What the file holds, in words and a few numbers."""
    aside = f"{profile.n_heldout:,} {term('held-out', 'kept aside')} to test on" if profile.n_heldout else ""
    words, longest = profile.words.get("p50", 0), profile.words.get("max", 0)
    tiles = facts(
        fact("Examples", f"{profile.n_kept:,}", f"of {profile.n_read:,} read"),
        fact("To learn from", f"{profile.n_train:,}", aside),
        fact("Left out", f"{left_out(profile):,}", esc(_main_reason(profile))),
        fact("Usual length", esc(count(words, "word")), esc(f"the longest has {longest:,}")),
    )
    title = heading(Path(profile.path).name or profile.name, esc(said_html(profile)), step="1")
    return draw("dataset", "summary", title, tiles, label_bar(profile.labels), sheet_html(profile))


def said_html(profile: DatasetProfile) -> str:
    """What the examples are, in a sentence."""
    taken = [part for part in profile.parts if part.taken]
    counted = f" ({taken[0].about})" if len(taken) == 1 and taken[0].about else ""
    cut = f", cut into {count(profile.n_kept, 'piece')}" if counted and taken[0].is_prose else ""
    return f"{kind_words(profile)}{counted}{cut}."


def kind_words(profile: DatasetProfile) -> str:
    """What the examples are: “Questions with answers”."""
    if profile.shape == "label":
        return "Texts with a label"
    if profile.shape == "text" or not any(example.messages for example in profile.examples):
        return "Running text"
    if any(sum(message.role == "user" for message in example.messages) > 1 for example in profile.examples):
        return "Conversations"
    asked = [next((m.content for m in example.messages if m.role == "user"), "") for example in profile.examples]
    questions = sum(text.rstrip().endswith(("?", "？", "؟")) for text in asked) * 2 >= len(asked)
    kind = "Questions" if questions or profile.shape == "question_answer" else "Requests"
    what = {"reasoning": "reasoning and answers", "preference": "a better and a worse answer"}.get(profile.shape, "answers")
    return f"{kind} with {what}"


def _main_reason(profile: DatasetProfile) -> str:
    if not profile.left_out:
        return "every row can be used"
    reason, n = Counter(row.reason for row in profile.left_out).most_common(1)[0]
    return reason if n == len(profile.left_out) else f"{n:,} × {reason}"


def parts_words(profile: DatasetProfile) -> str:
    """That a file has several parts, and which is read."""
    taken, parts = [part for part in profile.parts if part.taken], profile.parts
    noun = "sheets" if Path(profile.path).suffix.lower().startswith(".xls") else "parts"
    which = (
        "It learns from the largest" if len(taken) == 1 and taken[0].rows == max(p.rows for p in parts) else "It learns from those ticked"
    )
    return heading(f"This file has {len(parts)} {noun}", esc(f"{which}. Tick others if they are examples, too."))


def part_choice(part: Part) -> tuple[str, str]:
    """A part as it is offered: its name with its number of rows."""
    more = f", {part.about}" if part.about else ""
    return f"{part.name}: {count(part.rows, 'row')}{more}", part.name


# ---- its rows ----------------------------------------------------------------------------------------------------------------


def rows_html(profile: DatasetProfile, *, unsure: bool) -> str:
    """The first rows as they stand in the file, under what each column is taken for; texts and conversations as they are read."""
    title = "The first examples" if not unsure else "Who should it learn to be?" if profile.speakers else "Is this right?"
    if not profile.cells or profile.roles.get("messages"):
        lead = esc(f"{_chat_of(profile)} {_as_if(profile)}" if profile.speakers else _written_for(profile)) if unsure else ""
        return draw("dataset", "as_read", heading(title, lead), [_turns(example) for example in profile.examples[:MOST_SHOWN]])
    lead = esc("The columns could be read in more than one way. This is the guess; your answer is remembered for files like this.")
    taken = {profile.roles[role]: pill for role, pill in PILLS.items() if role in profile.roles}
    if profile.shape == "label" and "prompt" in profile.roles:
        taken[profile.roles["prompt"]] = PILLS["text"]
    order = list(taken)  # what is learned from comes first: on a small screen the rest is out of sight
    places = sorted(
        range(len(profile.columns)), key=lambda at: order.index(profile.columns[at]) if profile.columns[at] in taken else len(order)
    )
    shown = places[:MOST_COLUMNS]
    columns = [(profile.columns[at], taken.get(profile.columns[at], "")) for at in shown]
    rows = [[row[at] for at in shown] for row in profile.cells]
    rest = len(profile.columns) - len(shown)
    more = f"and {count(rest, 'more column')}" if rest else ""
    return draw("dataset", "table", heading(title, lead if unsure else ""), columns, rows, more)


def _chat_of(profile: DatasetProfile) -> str:
    """What a chat was exported from, where the reader says so."""
    cells = dict(zip(profile.columns, profile.cells[0], strict=True)) if profile.cells else {}
    program = cells.get("exported from", "")
    return f"This is a chat exported from {program}." if program else "People speak here who go by their names."


def _written_for(profile: DatasetProfile) -> str:
    """What was seen in a text that is not written to be read, and what taking it would teach."""
    seen = next((part.about for part in profile.parts if part.taken and part.about), "")
    return f"What was seen: {seen}. Taken as running text, the model learns to write more of the same." if seen else ""


def _as_if(profile: DatasetProfile) -> str:
    """What is asked, and for whom the examples are cast until it is answered."""
    who = profile.roles.get("assistant", "")
    cast = f" These examples are as if it were “{who}”." if who else ""
    return f"The model can learn to be one of those who speak: say who, below.{cast}"


def _turns(example: Example) -> list[tuple[str, str]]:
    said = [(SPEAKERS[message.role] if message.learn else NOT_LEARNED, message.said) for message in example.messages]
    if example.rejected:
        said.append((NOT_CHOSEN, example.rejected[-1].said))
    return said or [("Text", example.text)]


def read_html(profile: DatasetProfile) -> str:
    """Ten examples exactly as the model reads them; what is learned is marked. And how long they are for it."""
    if not profile.previews:
        return ""
    return draw(
        "dataset", "previews", profile.previews, term("token", "tokens"), length_bar(profile), f"{profile.tokens.get('total', 0):,}"
    )


# ---- what stands in the way, and what was found wrong ------------------------------------------------------------------------


def start_notes(profile: DatasetProfile) -> str:
    """What is said above Start: that it waits, and for what; that the examples are few."""
    notes = _notices(finding for finding in profile.findings if finding.code in BEFORE_START or finding.severity == "error")
    if asked_first(profile):
        asked = "Who should it learn to be?" if profile.speakers else "Is the guess above right?"
        notes.append(notice(f"{asked} Start waits for your answer.", "", "warning"))
    return draw("dataset", "notes", notes) if notes else ""


def doctor_notes(profile: DatasetProfile) -> str:
    """What else the data doctor found, each with what to do."""
    notes = _notices(finding for finding in profile.findings if finding.code not in BEFORE_START and finding.severity != "error")
    return draw("dataset", "notes", notes) if notes else ""


def _notices(findings: Iterable[Problem]) -> list[str]:
    return [notice(finding.what, finding.todo, finding.severity) for finding in findings]


def left_out_rows(profile: DatasetProfile) -> list[list[Any]]:
    """The table of rows not used; long lists end with how many more there are."""
    rows: list[list[Any]] = [[row.row or None, row.source, row.reason] for row in profile.left_out[:MOST_LEFT_OUT]]
    rest = len(profile.left_out) - len(rows)
    return rows + ([[None, "", f"and {count(rest, 'more row')}"]] if rest else [])
