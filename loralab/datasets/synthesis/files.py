"""Owns where a made data set lies and in which forms it is handed out: the file itself, and beside it, in a folder of its name, the
passages, the bin, the graph and the report. Invariant: what is there is whole; a file of somebody else is never written over.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.words import count
from loralab.datasets.readers import read_path
from loralab.datasets.synthesis.graph.knowledge import Graph
from loralab.datasets.synthesis.report import MadeReport
from loralab.datasets.synthesis.rows import Binned, MadeRow, Passage, read_records, with_id, write_rows
from loralab.datasets.tables.columns import QUESTIONS, WORDS, find
from loralab.datasets.tables.marked import held_rows

Format = Literal["jsonl", "csv", "parquet", "card"]
_COLUMNS = tuple(MadeRow.model_fields)


class Made:
    """A made data set by its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = path.with_name(f"{path.name}.about")

    def write(
        self, rows: Sequence[MadeRow], binned: Sequence[Binned], passages: Sequence[Passage], report: MadeReport, graph: Graph
    ) -> None:
        """Everything; the file itself last, so that whoever sees it sees all."""
        write_rows(self.about / "passages.jsonl", passages)
        write_rows(self.about / "bin.jsonl", binned)
        write_atomic(self.about / "graph.json", graph.model_dump_json())
        write_atomic(self.about / "report.json", report.model_dump_json(indent=1))
        write_atomic(self.about / "README.md", card(self.path.stem, report))
        write_rows(self.path, rows)

    @property
    def rows(self) -> list[MadeRow]:
        return read_rows(self.path)

    @property
    def binned(self) -> list[Binned]:
        path = self.about / "bin.jsonl"
        return read_records(path, Binned) if path.is_file() else []

    @property
    def passages(self) -> list[Passage]:
        path = self.about / "passages.jsonl"
        return read_records(path, Passage) if path.is_file() else []

    @property
    def report(self) -> MadeReport | None:
        try:
            return MadeReport.model_validate_json((self.about / "report.json").read_bytes())
        except (OSError, ValidationError):
            return None

    @property
    def graph(self) -> Graph:
        try:
            return Graph.model_validate_json((self.about / "graph.json").read_bytes())
        except (OSError, ValidationError):
            return Graph()


def read_rows(path: Path) -> list[MadeRow]:
    """The rows of a file: of one that was made here as they are, of any other its questions and answers, as written by people.

    Raises UserError where it has none.
    """
    return _made_here(path) or _of_people(path)


def _made_here(path: Path) -> list[MadeRow]:
    """The rows of a file that was made here; none where it is another."""
    try:
        return [with_id(MadeRow.model_validate_json(line)) for line in path.read_text("utf-8").split("\n") if line.strip()]
    except (OSError, ValidationError, UnicodeDecodeError):
        return []


def _of_people(path: Path) -> list[MadeRow]:
    found: list[MadeRow] = []
    for table in read_path(path):
        asked = find((*QUESTIONS, *WORDS["prompt"], *WORDS["text"]), table.columns)
        told = find((*WORDS["answer"], *WORDS["label"]), table.columns, (asked,))
        held = held_rows(table, named=False)
        for row in table.rows if asked and told else ():
            question, answer = (str(row.values.get(column) or "").strip() for column in (asked, told))
            if question and answer:
                side = "test" if held(row.number) else "train"
                kind = "label" if told in WORDS["label"] else ""
                found.append(with_id(MadeRow(question=question, answer=answer, split=side, kind=kind)))
    if not found:
        what = f"{path.name} has no questions with answers."
        raise UserError(what, "Give a file with a column of questions and one of answers.", code="no_rows")
    return found


def check_free(path: Path) -> None:
    """Raise UserError where something lies under the name that is to be written."""
    if path.exists():
        raise UserError(f"{path.name} is there already.", "Choose another name for the new file.", code="file_exists")
    if path.suffix.lower() not in (".jsonl", ".json"):
        raise UserError(f"{path.name} is no name for a file of rows.", "Choose one that ends with .jsonl.", code="bad_name")


def hand_out(made: Made, form: Format, target: Path) -> Path:
    """Write the rows in another form. Raises UserError where the target is there already."""
    if target.exists():
        raise UserError(f"{target.name} is there already.", "Choose another name.", code="file_exists")
    rows = made.rows
    if form == "jsonl":
        write_rows(target, rows)
    elif form == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, _COLUMNS)
        writer.writeheader()
        writer.writerows(row.model_dump() | {"seeds": " ".join(row.seeds)} for row in rows)
        write_atomic(target, out.getvalue())
    elif form == "parquet":
        _parquet(rows, target)
    else:
        write_atomic(target, card(made.path.stem, made.report or MadeReport()))
    return target


def _parquet(rows: Sequence[MadeRow], target: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([row.model_dump(mode="json") for row in rows]), buffer)
    write_atomic(target, buffer.getvalue())


def card(name: str, report: MadeReport) -> str:
    """The data set's card in Markdown, as the Hub shows it: where rows are from, what was stopped, what it is tested on."""
    licences = list(report.licences) or ["not said"]
    lines = ["---", f"license: {'other' if len(licences) > 1 or ' ' in licences[0] else licences[0]}", "tags:", "- loralab", "---", ""]
    lines += [f"# {name}", "", report.words, ""]
    lines += ["## Where the rows are from", "", "| origin | rows to learn from |", "|---|--:|"]
    lines += [f"| {origin} | {number:,} |" for origin, number in report.origins.items()]
    lines += ["", *(f"- {number:,} written by {who}" for who, number in report.writers.items())]
    lines += [f"- Licences: {', '.join(licences)}", f"- {report.test:,} held out, people’s or quoted, none written by a model", ""]
    lines += ["## What was stopped", "", "| gate | looked at | stopped |", "|---|--:|--:|"]
    lines += [f"| {gate.title} | {gate.seen:,} | {gate.skipped or f'{gate.stopped:,}'} |" for gate in report.gates]
    if report.refused:
        lines += ["", f"## Not read: {count(len(report.refused), 'document')}", ""]
        lines += [f"- {one.source}: {one.reason}" for one in report.refused]
    return "\n".join(lines) + "\n"


def as_json(report: MadeReport) -> dict[str, object]:
    """The report for a script."""
    return json.loads(report.model_dump_json()) | {"adds_up": report.adds_up, "words": report.words, "shown": report.shown}
