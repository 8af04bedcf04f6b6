"""Owns the loop that has rows written until the quota of each cell is filled, nothing new comes, or a person stops it.

Invariants: held-out rows are never shown; every written row is kept or binned, and said so at once (`note`), so that a stopped loop goes
on; there are never more written rows than `most_per_real` times the real ones.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from loralab.datasets.dataset import normalised
from loralab.datasets.synthesis.gates import Yard, gates, sift
from loralab.datasets.synthesis.rows import TEST, Binned, MadeRow, Passage, with_id
from loralab.datasets.synthesis.writers.forms import CALLS, FORMS, LENGTHS, OF_CLASSES, QUOTES, VERSION, Speak, Told

SEEDS = 3  # shown at once: two real rows and one that was written and kept
TRIES = 4  # for each row that is wanted
IN_VAIN = 40  # rows one after the other that did not pass: then the writer is not strong enough
FAST = ("length", "asks", "evidence", "grounded", "refusals", "boilerplate", "private", "toxicity", "domain")
TOKENS_A_CALL = 350  # read and written, about
FEWEST_WORDS = 8  # of a passage that is asked about
_NO_SEEDS = ("cloze", "two_hop", "tables")
_CLASSES = 20  # labels at most


@dataclass(frozen=True)
class Wanted:
    """What is to be written."""

    rows: int
    forms: tuple[str, ...]
    most_per_real: float = 4.0
    language: str = ""
    tone: str = ""
    lead: str = ""
    prompts: dict[str, str] = field(default_factory=dict[str, str])
    writer: str = ""
    licence: str = ""
    refuse: tuple[str, ...] = ()  # words that a domain does not want
    seed: int = 0


@dataclass(frozen=True)
class Cell:
    """A topic, a form and a length, with how many rows it may have; a class in place of the topic where rows are sorted into such."""

    topic: str
    form: str
    length: str
    quota: int
    label: str = ""

    @property
    def name(self) -> tuple[str, str]:
        """What the quota counts by."""
        return self.label or self.topic, self.form


@dataclass
class Progress:
    """How far it is."""

    kept: list[MadeRow] = field(default_factory=list[MadeRow])
    binned: list[Binned] = field(default_factory=list[Binned])
    calls: int = 0
    tokens: int = 0
    ended: str = ""  # why it ended before all was written

    def counting(self, speak: Speak) -> Speak:
        """The writer, with what it is asked counted."""

        def counted(prompt: str, most: int) -> str:
            said = speak(prompt, most)
            self.calls += 1
            self.tokens += (len(prompt) + len(said)) // 4
            return said

        return counted


def classes(rows: Sequence[MadeRow]) -> Counter[str]:
    """Answers that are classes: few different ones, each of several rows; none where rows are answered freely."""
    counted = Counter(row.answer for row in rows)
    sorted_into = len(counted) <= _CLASSES and len(rows) >= 3 * len(counted) and max(map(len, counted), default=0) <= 60
    return counted if sorted_into and len(counted) > 1 else Counter()


def usual_forms(rows: Sequence[MadeRow], passages: Sequence[Passage]) -> tuple[str, ...]:
    """The forms that fit: for classes those that balance them; of documents what stands in them; else new rows."""
    if classes(rows):
        return ("balance", "negatives", "paraphrase")
    return ("from_passage", "paraphrase") if passages else ("more", "paraphrase", "harder")


def limit(rows: Sequence[MadeRow], wanted: Wanted) -> int:
    """How many rows may be written: what is wanted, no more than the share of real rows to learn from allows."""
    real = sum(row.origin != "synthetic" and row.split != TEST for row in rows)
    return int(min(wanted.rows, wanted.most_per_real * real - sum(row.origin == "synthetic" for row in rows)))


def cost(wanted: Wanted, rows: Sequence[MadeRow]) -> tuple[int, int]:
    """(calls, tokens) it takes about, where every second row passes."""
    number = max(0, limit(rows, wanted))
    a_row = sum(CALLS.get(form, 1) for form in wanted.forms) / max(1, len(wanted.forms))
    calls = round(2 * number * a_row)
    return calls, calls * TOKENS_A_CALL


def cells(rows: Sequence[MadeRow], wanted: Wanted, number: int) -> list[Cell]:
    """The grid: every topic x form x length with an even share; thin classes with what brings them up to the others."""
    known = classes(rows)
    made: list[Cell] = []
    free = [form for form in wanted.forms if form not in OF_CLASSES]
    if known and set(wanted.forms) & set(OF_CLASSES):
        most = max(known.values())
        for form, (label, times) in product([form for form in wanted.forms if form in OF_CLASSES], known.items()):
            lacking = most - times if form == "balance" else max(1, number // (4 * len(known)))
            made += [Cell("", form, "short", lacking, label)] if lacking > 0 else []
    topics = [topic for topic, _ in Counter(row.topic for row in rows if row.topic).most_common(12)] or [""]
    grid = list(product(topics, free, LENGTHS if not known else ("short",)))
    made += [Cell(topic, form, length, -(-number // max(1, len(grid)))) for topic, form, length in grid]
    return made


def write(
    rows: Sequence[MadeRow],
    passages: Sequence[Passage],
    speak: Speak,
    wanted: Wanted,
    note: Callable[[Progress, Binned], None],
    stop: Callable[[], bool],
    before: Progress | None = None,
) -> Progress:
    """Rows that passed the quick gates. `before`: what an earlier try wrote; `note` hears of each row, gate "" where it passed."""
    at, seeds = before or Progress(), _telling([row for row in rows if row.split != TEST])
    passages = [one for one in passages if len(one.text.split()) >= FEWEST_WORDS] or passages
    number, chance = limit(rows, wanted), random.Random(f"{wanted.seed} {len(at.kept) + len(at.binned)}")
    yard = Yard(passages={one.id: one.text for one in passages}, refuse=wanted.refuse)
    known = {(normalised(row.question), normalised(row.answer)) for row in (*rows, *at.kept)}
    filled = Counter((row.answer if row.kind in OF_CLASSES else row.topic, row.kind) for row in at.kept)
    in_vain = tries = full = 0

    grid = cells(seeds, wanted, number)
    for cell in _turns(grid, chance):
        if len(at.kept) >= number or tries >= TRIES * number or stop():
            break
        if in_vain >= IN_VAIN:
            at.ended = "The writer’s last rows were all stopped by the gates: it is not strong enough for this."
            break
        if filled[cell.name] >= cell.quota * (1 if cell.label else len(LENGTHS)):
            full += 1
            if full > len(grid):
                break
            continue
        tries, full = tries + 1, 0
        row = _written(cell, seeds, at.kept, passages, at.counting(speak), wanted, chance)
        if row is None:
            in_vain += 1
            continue
        verdict = _judged(row, yard, known)
        in_vain = in_vain + 1 if verdict.gate else 0
        if verdict.gate:
            at.binned.append(verdict)
        else:
            at.kept.append(row)
            filled[cell.name] += 1
        note(at, verdict)
    return at


def _judged(row: MadeRow, yard: Yard, known: set[tuple[str, str]]) -> Binned:
    """What the quick gates say of a row, and whether it stands there already; gate "" where it passed."""
    key = (normalised(row.question), normalised(row.answer))
    said_before = key in known
    known.add(key)
    found = sift([row], yard, [name for name in gates() if name not in FAST]).binned
    if found:
        return found[0]
    return Binned(row=row, gate="exact" if said_before else "", reason="The same stands there already." if said_before else "")


def _telling(rows: list[MadeRow]) -> list[MadeRow]:
    """Rows that are worth imitating: no gaps and no numbers of tables, where there are enough others."""
    others = [row for row in rows if row.kind not in _NO_SEEDS]
    return others if len(others) >= SEEDS else rows


def _turns(grid: Sequence[Cell], chance: random.Random) -> Iterator[Cell]:
    """The cells in ever new orders."""
    while grid:
        order = list(grid)
        chance.shuffle(order)
        yield from order


def _written(
    cell: Cell,
    seeds: Sequence[MadeRow],
    kept: Sequence[MadeRow],
    passages: Sequence[Passage],
    speak: Speak,
    wanted: Wanted,
    chance: random.Random,
) -> MadeRow | None:
    """One row, or None where the writer gave nothing that could be one."""
    shown = _seeds(cell, seeds, kept, chance)
    passage = chance.choice(passages) if passages and cell.form == "from_passage" else None
    others = sorted({row.answer for row in seeds} - {cell.label}) if cell.label else []
    lead = wanted.prompts.get(cell.form, wanted.lead)
    told = Told(
        seeds=shown,
        topic=cell.topic,
        length=cell.length,
        passage=passage.text if passage else "",
        tone=wanted.tone,
        language=wanted.language,
        label=cell.label,
        other_label=chance.choice(others) if others else "",
        lead=f"{lead}\n\n" if lead else "",
    )
    if told.other_label and cell.form == "negatives":
        told = replace(told, seeds=[row for row in seeds if row.answer == told.other_label][:SEEDS])
    made = FORMS[cell.form](speak, told)
    if made is None or not made.question.strip() or not made.answer.strip():
        return None
    from_seed = shown[0] if cell.form in QUOTES else None
    stands = passage or from_seed
    return with_id(
        MadeRow(
            question=made.question,
            answer=made.answer,
            origin="synthetic",
            kind=cell.form,
            topic=cell.topic or (passage.heading if passage else shown[0].topic),
            source=stands.source if stands else "",
            page=stands.page if stands else 0,
            offset=stands.offset if stands else 0,
            evidence=made.evidence,
            passage_id=passage.id if passage else from_seed.passage_id if from_seed else "",
            licence=wanted.licence,
            writer=wanted.writer,
            prompt_version=VERSION,
            seeds=tuple(row.id for row in told.seeds),
        )
    )


def _seeds(cell: Cell, seeds: Sequence[MadeRow], kept: Sequence[MadeRow], chance: random.Random) -> list[MadeRow]:
    """Two real rows, of the topic or class where there are such, and one that was written and kept."""
    by: dict[bool, list[MadeRow]] = defaultdict(list)
    for row in seeds:
        by[(row.answer == cell.label) if cell.label else (not cell.topic or row.topic == cell.topic)].append(row)
    fitting = by[True] or by[False]
    shown = chance.sample(fitting, min(SEEDS - 1, len(fitting)))
    of_form = [row for row in kept if not cell.label or row.answer == cell.label]
    if of_form and cell.form not in QUOTES:
        shown.append(chance.choice(of_form))
    elif len(fitting) >= SEEDS:
        shown.append(chance.choice([row for row in fitting if row not in shown]))
    return shown
