"""Owns the gates: what a row has to pass, one file each, cheap ones first. A gate says which rows do not pass and why, in words.

To add one write `gates/<name>.py` with `GATE`; its place in the order is its `cost`. Invariants: a gate only reads; rows that people wrote
are told about and never taken out, unless a person asks for that; a row that did not pass lies in the bin with its gate and reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loralab.core import plugins
from loralab.core.records import Record
from loralab.datasets.synthesis.rows import Binned, MadeRow

Ask = Callable[[str], str]  # a prompt to a language model, its answer


@dataclass(frozen=True)
class Yard:
    """What gates may look at beside the rows. `ask`: a model for those that need one; `language`: what rows are meant to be in."""

    passages: Mapping[str, str] = field(default_factory=dict[str, str])
    heldout: Sequence[MadeRow] = ()
    ask: Ask | None = None
    language: str = ""
    refuse: tuple[str, ...] = ()  # words that a domain does not want
    spare_human: bool = True
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Gate:
    """One gate. `judge` gives the places of rows that do not pass, each with the reason."""

    title: str
    cost: int  # its place in the order
    judge: Callable[[Sequence[MadeRow], Yard], dict[int, str]]
    asks: bool = False  # it needs a language model


class GateCount(Record):
    """What one gate did: rows that came to it, rows it stopped, rows of people it only tells about."""

    gate: str
    title: str
    seen: int
    stopped: int
    told: int = 0
    skipped: str = ""  # why it was not asked


@dataclass(frozen=True)
class Sifted:
    """Rows that passed, the bin, and the counts: kept + binned = given."""

    kept: list[MadeRow]
    binned: list[Binned]
    counts: list[GateCount]


def gates() -> dict[str, Gate]:
    """All gates, the cheapest first."""
    found: dict[str, Gate] = plugins.discover("loralab.datasets.synthesis.gates", "GATE")
    return dict(sorted(found.items(), key=lambda item: item[1].cost))


def sift(rows: Sequence[MadeRow], yard: Yard, without: Collection[str] = ()) -> Sifted:
    """Send rows through the gates."""
    kept, binned, counts = list(rows), list[Binned](), list[GateCount]()
    for name, gate in gates().items():
        if name in without:
            continue
        if gate.asks and yard.ask is None:
            counts.append(GateCount(gate=name, title=gate.title, seen=len(kept), stopped=0, skipped="It needs a language model."))
            continue
        if yard.stop():
            break
        found = gate.judge(kept, yard)
        spared = {place for place in found if yard.spare_human and kept[place].origin == "human"}
        stopped = {place: why for place, why in found.items() if place not in spared}
        counts.append(GateCount(gate=name, title=gate.title, seen=len(kept), stopped=len(stopped), told=len(spared)))
        binned += [Binned(row=kept[place], gate=name, reason=why) for place, why in sorted(stopped.items())]
        kept = [row for place, row in enumerate(kept) if place not in stopped]
    return Sifted(kept, binned, counts)


def each(rows: Sequence[MadeRow], why: Callable[[MadeRow], str]) -> dict[int, str]:
    """The verdict of a gate that looks at one row at a time: a reason, or "" where the row passes."""
    return {place: reason for place, row in enumerate(rows) if (reason := why(row))}


def per_row(why: Callable[[MadeRow, Yard], str]) -> Callable[[Sequence[MadeRow], Yard], dict[int, str]]:
    """The judge made of a question about one row."""
    return lambda rows, yard: each(rows, lambda row: why(row, yard))


def passage_of(row: MadeRow, yard: Yard) -> str:
    """The passage a row is from, "" where it is from none that is known."""
    return yard.passages.get(row.passage_id, "")


def earlier_first(rows: Sequence[MadeRow]) -> Iterator[int]:
    """Places in the order in which rows are preferred where two say the same: held-out, then of people, extracted, written."""
    rank = {"human": 0, "extracted": 1, "synthetic": 2}
    return iter(sorted(range(len(rows)), key=lambda at: (rows[at].split != "test", rank[rows[at].origin], at)))
