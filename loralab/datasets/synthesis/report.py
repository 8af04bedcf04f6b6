"""Owns the account of a made data set: what was read, made, stopped and kept. Invariant: the counts add up, and `adds_up` says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import Field

from loralab.core.records import Record
from loralab.core.words import count
from loralab.datasets.synthesis.gates import GateCount, Sifted
from loralab.datasets.synthesis.rows import TEST, MadeRow, share_by_origin
from loralab.datasets.synthesis.search.topics import Topic
from loralab.datasets.tables.origins import origin_words


class Refused(Record):
    """A document, or a part of one, that was not read, and why."""

    source: str
    reason: str
    code: str = ""


class MadeReport(Record):
    """What came of building or writing a data set."""

    documents: int = 0  # found
    documents_read: int = 0
    refused: tuple[Refused, ...] = ()
    parts_lost: tuple[str, ...] = ()  # pages and chapters
    passages: int = 0
    proposed: dict[str, int] = Field(default_factory=dict)  # rows by maker or form
    set_aside: int = 0  # gaps beyond what balances the rest
    gates: tuple[GateCount, ...] = ()
    kept: dict[str, int] = Field(default_factory=dict)  # likewise
    train: int = 0
    test: int = 0
    origins: dict[str, int] = Field(default_factory=dict)  # of those to learn from
    topics: tuple[Topic, ...] = ()
    writers: dict[str, int] = Field(default_factory=dict)  # rows by who wrote them
    licences: tuple[str, ...] = ()
    calls: int = 0  # to a writer
    tokens: int = 0  # that it wrote and read, about
    seconds: float = 0.0

    @property
    def adds_up(self) -> bool:
        """Whether every row that was proposed is kept or in the bin, and every document read or refused."""
        stopped = sum(gate.stopped for gate in self.gates) + self.set_aside
        return sum(self.proposed.values()) == sum(self.kept.values()) + stopped and self.documents == self.documents_read + len(
            self.refused
        )

    @property
    def words(self) -> str:
        """All of it in a few sentences."""
        rows = sum(self.kept.values())
        read = f"{count(self.documents_read, 'document')} read, {len(self.refused)} not. " if self.documents else ""
        said = f"{read}{count(rows, 'row')} kept of {count(sum(self.proposed.values()), 'proposal')}: "
        said += f"{self.train:,} to learn from, {self.test:,} kept aside to test on."
        return f"{said} {self.shown}".strip()

    @property
    def shown(self) -> str:
        """What share of what is learned from was written by a language model."""
        return origin_words(self.origins, self.writers)


def counted(report: MadeReport, sifted: Sifted) -> MadeReport:
    """The report with what the gates let through."""
    rows = sifted.kept
    learned = [row for row in rows if row.split != TEST]
    return report.model_copy(
        update={
            "gates": tuple(sifted.counts),
            "kept": dict(Counter(row.kind or row.origin for row in rows)),
            "train": len(learned),
            "test": len(rows) - len(learned),
            "origins": share_by_origin(learned),
            "writers": dict(Counter(row.writer for row in learned if row.writer)),
            "licences": tuple(dict.fromkeys(row.licence for row in rows if row.licence)),
        }
    )


def proposals(rows: Sequence[MadeRow]) -> dict[str, int]:
    """Rows by maker or form."""
    return dict(Counter(row.kind or row.origin for row in rows))
