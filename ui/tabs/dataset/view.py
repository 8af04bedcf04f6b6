"""Owns how a data set is shown: what was found, what was left out, and examples exactly as the model will see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loralab.core.records import DatasetProfile
from loralab.lab import SampleSet
from ui.charts import label_bar, length_bar
from ui.markup import draw, esc
from ui.words import count, fact, facts, heading, notice, term

SHAPES = {
    "messages": "conversations",
    "sharegpt": "conversations",
    "instruction": "instructions with answers",
    "prompt_completion": "beginnings with their continuation",
    "question_answer": "questions with answers",
    "reasoning": "questions with reasoning and answers",
    "label": "texts with a label",
    "text": "running text",
}
MOST_LEFT_OUT = 500  # rows listed on the page; all are counted


def samples_html(samples: Iterable[SampleSet]) -> str:
    """The bundled data sets as cards: what it is, what it teaches."""
    sets = list(samples)
    return draw("dataset", "samples", sets) if sets else ""


def summary_html(profile: DatasetProfile) -> str:
    """What the file holds, in words and three numbers."""
    shape = SHAPES.get(profile.shape, profile.shape)
    aside = f"{term('held-out', 'kept aside')} to test on" if profile.n_heldout else ""
    tokens = profile.tokens.get("total", 0)
    tiles = facts(
        fact("Examples kept", f"{profile.n_kept:,}", f"of {profile.n_read:,} read"),
        fact("To learn from", f"{profile.n_train:,}", f"{profile.n_heldout:,} {aside}" if aside else ""),
        fact("Left out", f"{len(profile.left_out):,}", esc(_main_reason(profile))),
        fact("Length", f"{tokens:,}", term("token", "tokens") + " in all"),
    )
    title = heading(Path(profile.path).name or profile.name, f"These are {esc(shape)}.", step="1")
    return draw("dataset", "summary", title, tiles, length_bar(profile), label_bar(profile.labels))


def _main_reason(profile: DatasetProfile) -> str:
    if not profile.left_out:
        return "every row can be used"
    reason, n = Counter(row.reason for row in profile.left_out).most_common(1)[0]
    return f"{n:,} × {reason}"


def doctor_notes(profile: DatasetProfile) -> str:
    """What the data doctor found, each with what to do."""
    notes = [notice(f.what, f.todo, f.severity) for f in profile.findings]
    return draw("dataset", "notes", notes) if notes else ""


def left_out_rows(profile: DatasetProfile) -> list[list[Any]]:
    """The table of rows not used; long lists end with how many more there are."""
    rows: list[list[Any]] = [[row.row, row.source, row.reason] for row in profile.left_out[:MOST_LEFT_OUT]]
    rest = len(profile.left_out) - len(rows)
    return rows + ([[None, "", f"and {count(rest, 'more row')}"]] if rest else [])


def previews_html(profile: DatasetProfile) -> str:
    """Ten examples as the model sees them; what is learned is marked."""
    return draw("dataset", "previews", profile.previews, term("token", "tokens")) if profile.previews else ""
