"""Owns the row of a made data set, with all that is known of where it is from, and how such rows lie in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.records import Record
from loralab.datasets.dataset import normalised

Origin = Literal["human", "extracted", "synthetic"]
TRAIN, TEST = "train", "test"
MOST_PER_HUMAN = 4.0  # synthetic rows for each human or extracted one, unless a person says otherwise


class MadeRow(Record):
    """A question and its answer. Offsets count characters of the document's text as it was read."""

    question: str
    answer: str
    split: Literal["train", "test"] = TRAIN
    origin: Origin = "human"
    kind: str = ""  # which maker made it, or in which form a writer was asked for it
    topic: str = ""
    source: str = ""  # the document's name
    page: int = 0  # of a PDF, chapter of a book, row of a table; 0: it has none
    offset: int = 0
    evidence: str = ""  # verbatim words of the document that the answer stands on
    passage_id: str = ""
    licence: str = ""  # of the document, or of what the writer writes, as the person said
    writer: str = ""
    prompt_version: str = ""
    seeds: tuple[str, ...] = ()  # ids of the rows that a writer was shown
    edited: bool = False  # by a person, after it was made
    id: str = ""


class Passage(Record):
    """A stretch of a document that is shown and quoted as one."""

    id: str
    source: str
    page: int = 0
    offset: int = 0
    heading: str = ""
    text: str


class Binned(Record):
    """A row that did not pass, with the gate and the reason in words."""

    row: MadeRow
    gate: str
    reason: str


def mark(question: str, answer: str) -> str:
    """The id of a row: the same for what says the same."""
    return sha256(f"{normalised(question)}\n{normalised(answer)}".encode()).hexdigest()[:12]


def with_id(row: MadeRow) -> MadeRow:
    """The row with its id, where it has none."""
    return row if row.id else row.model_copy(update={"id": mark(row.question, row.answer)})


def dumped(rows: Iterable[Record]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n" for row in rows)


def write_rows(path: Path, rows: Sequence[Record]) -> None:
    """The whole file or none."""
    write_atomic(path, dumped(rows))


def read_records(path: Path, kind: type[Record]) -> list[Any]:
    """What `write_rows` wrote. Raises UserError where the file is something else."""
    try:
        return [kind.model_validate_json(line) for line in path.read_text("utf-8").split("\n") if line]
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} is not a file that was made here.", "Build it again.", code="bad_made_file") from error


def share_by_origin(rows: Sequence[MadeRow]) -> dict[str, int]:
    """How many rows are of each origin."""
    found: dict[str, int] = {"human": 0, "extracted": 0, "synthetic": 0}
    for row in rows:
        found[row.origin] += 1
    return found
