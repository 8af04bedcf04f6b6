"""Owns looking through a made data set: each row is accepted, edited, rejected; the last step can be taken back.

Invariant: every step is on the disk when it returns, and the file is always a whole data set; a rejected row lies in the bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.records import Record
from loralab.datasets.synthesis.files import Made
from loralab.datasets.synthesis.rows import TEST, Binned, MadeRow, mark, write_rows
from loralab.datasets.synthesis.search.space import Space

BY_HAND = "rejected"
MOST_STEPS = 200  # that can be taken back


class Step(Record):
    """What was done with one row: what it was, and what it is now (None: it is in the bin)."""

    place: int
    before: MadeRow
    after: MadeRow | None
    binned: Binned | None = None  # as it lay in the bin, where it was taken back from there


class Decided(Record):
    """What a person decided so far."""

    accepted: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


class Review:
    """A made data set under review."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.rows = made.rows
        self.bin = made.binned
        self._path: Path = made.about / "review.json"
        self.decided = self._read()

    def _read(self) -> Decided:
        try:
            return Decided.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return Decided()

    def waiting(self, origin: str = "", kind: str = "", topic: str = "") -> list[MadeRow]:
        """Rows nobody has looked at, as far as they fit the filters."""
        seen = set(self.decided.accepted)
        return [row for row in self.rows if row.id not in seen and self._fits(row, origin, kind, topic)]

    def _fits(self, row: MadeRow, origin: str, kind: str, topic: str) -> bool:
        return (not origin or row.origin == origin) and (not kind or row.kind == kind) and (not topic or row.topic == topic)

    def binned(self, gate: str = "") -> list[Binned]:
        """What lies in the bin, of one gate or of all."""
        return [one for one in self.bin if not gate or one.gate == gate]

    def accept(self, row_id: str) -> None:
        """A person found the row good."""
        row = self._row(row_id)
        self._step(Step(place=self.rows.index(row), before=row, after=row), accepted=row_id)

    def edit(self, row_id: str, question: str, answer: str) -> MadeRow:
        """A person wrote it anew: it says so, and where it is from stays what it was. Returns it as it is now."""
        row = self._row(row_id)
        question, answer = question.strip(), answer.strip()
        if not question or not answer:
            raise UserError("A row needs a question and an answer.", "Write both, or reject the row.", code="empty_row")
        changed = (question, answer) != (row.question, row.answer)
        fresh = {"question": question, "answer": answer, "edited": True, "id": mark(question, answer)} if changed else {}
        after = row.model_copy(update=fresh)
        place = self.rows.index(row)
        self.rows[place] = after
        self._step(Step(place=place, before=row, after=after), accepted=after.id)
        return after

    def reject(self, row_id: str) -> None:
        """Out of the data set, into the bin."""
        row = self._row(row_id)
        place = self.rows.index(row)
        if sum(one.split != TEST for one in self.rows) <= 1:
            raise UserError("This is the last row.", "Keep it, or build the data set again.", code="last_row")
        del self.rows[place]
        self.bin.append(Binned(row=row, gate=BY_HAND, reason="You rejected it."))
        self._step(Step(place=place, before=row, after=None))

    def take_back(self, row_id: str) -> MadeRow:
        """Out of the bin, whatever gate stopped it: a person knows better."""
        at = next((at for at, one in enumerate(self.bin) if one.row.id == row_id), -1)
        if at < 0:
            raise UserError("This row is not in the bin.", "Choose another one.", code="no_row")
        binned = self.bin.pop(at)
        row = binned.row
        self.rows.append(row)
        self._step(Step(place=len(self.rows) - 1, before=row, after=row, binned=binned), accepted=row_id)
        return row

    def undo(self) -> str:
        """Take the last step back; the row's id, "" where there is none."""
        if not self.decided.steps:
            return ""
        step = self.decided.steps[-1]
        if step.after is None:
            self.bin = [one for one in self.bin if not (one.row.id == step.before.id and one.gate == BY_HAND)]
            self.rows.insert(step.place, step.before)
        elif step.binned is not None:
            self.rows = [row for row in self.rows if row.id != step.before.id]
            self.bin.append(step.binned)
        else:
            self.rows[step.place] = step.before
        gone = {step.before.id, step.after.id if step.after else ""}
        accepted = tuple(one for one in self.decided.accepted if one not in gone)
        self.decided = Decided(accepted=accepted, steps=self.decided.steps[:-1])
        self._write()
        return step.before.id

    def like(self, row_id: str, most: int = 5) -> list[MadeRow]:
        """Rows that are most like one: of the data set and of the bin."""
        row = next((one for one in [*self.rows, *(each.row for each in self.bin)] if one.id == row_id), None)
        if row is None:
            raise UserError("This row is not here any more.", "Choose another one.", code="no_row")
        pool = [one for one in [*self.rows, *(each.row for each in self.bin)] if one.id != row_id]
        found = Space([f"{one.question} {one.answer}" for one in pool]).search(f"{row.question} {row.answer}", most)
        return [pool[at] for at, _ in found]

    def kinds(self) -> Sequence[str]:
        """Makers and forms there are rows of."""
        return sorted({row.kind for row in self.rows if row.kind})

    def _row(self, row_id: str) -> MadeRow:
        row = next((one for one in self.rows if one.id == row_id), None)
        if row is None:
            raise UserError("This row is not here any more.", "Go on to the next.", code="no_row")
        return row

    def _step(self, step: Step, accepted: str = "") -> None:
        known = tuple(one for one in self.decided.accepted if one != accepted)
        self.decided = Decided(accepted=(*known, accepted) if accepted else known, steps=(*self.decided.steps, step)[-MOST_STEPS:])
        self._write()

    def _write(self) -> None:
        write_rows(self.made.about / "bin.jsonl", self.bin)
        write_atomic(self._path, self.decided.model_dump_json())
        write_rows(self.made.path, self.rows)
