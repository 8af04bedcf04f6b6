"""Owns having rows written, as a worker's job. Invariants: each row is on the disk before the next is asked for, so a stopped job goes on;
held-out rows are people's or quoted; the counts add up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from loralab.core.errors import UserError
from loralab.core.events import Noted
from loralab.core.jobs import JobFolder, SynthesizeJob
from loralab.core.log import AppendLog
from loralab.core.words import count
from loralab.datasets.synthesis.domains import Domain, domain
from loralab.datasets.synthesis.files import Made, read_rows
from loralab.datasets.synthesis.gates import GateCount, Sifted, Yard, gates, sift
from loralab.datasets.synthesis.report import MadeReport, counted, proposals
from loralab.datasets.synthesis.rows import TEST, Binned, MadeRow, Passage, read_records
from loralab.datasets.synthesis.search.topics import topics
from loralab.datasets.synthesis.split import with_split
from loralab.datasets.synthesis.writers.forms import FORMS
from loralab.datasets.synthesis.writers.loop import Progress, Wanted, classes, limit, usual_forms, write
from loralab.serve.writing import opened


def run(folder: JobFolder) -> dict[str, Any]:
    """Do what the SynthesizeJob says. The result names the file and carries the report's words."""
    asked = folder.asked(SynthesizeJob)
    began, home = time.monotonic(), folder.path.parents[1]
    seeds = read_rows(Path(asked.of))
    if not any(row.split == TEST for row in seeds):
        seeds = with_split(seeds)  # before anything is written
    passages: list[Passage] = read_records(Path(asked.passages), Passage) if asked.passages else []
    learned = _shown_passages(passages, seeds)
    field = domain(asked.domain, home) if asked.domain else None
    wanted = _wanted(asked, seeds, learned, field)
    log = AppendLog(folder.artifacts / "written.jsonl", TypeAdapter(Binned))
    before = _before(log)
    folder.emit(Noted(text=f"Asking {asked.writer.label}. {asked.writer.licence}.", phase="writing", fraction=0.0))
    with opened(asked.writer, home, asked.model, asked.seed) as speak:
        note = _noting(folder, log, limit(seeds, wanted))
        done = write(seeds, learned, speak, wanted, note, lambda: folder.stop_asked, before)
        if folder.stop_asked:
            return {"outcome": "stopped", "what": "Stopped; what was written is kept, and it goes on from there."}
        yard = Yard(
            passages={one.id: one.text for one in passages},
            ask=(lambda prompt: speak(prompt, 60)) if asked.check else None,
            refuse=wanted.refuse,
            stop=lambda: folder.stop_asked,
        )
        sifted = sift([*seeds, *done.kept], yard, asked.without)
    return _finished(folder, asked, seeds, passages, done, sifted, began)


def _finished(
    folder: JobFolder, asked: SynthesizeJob, seeds: list[MadeRow], passages: list[Passage], done: Progress, sifted: Sifted, began: float
) -> dict[str, Any]:
    """Write everything down and say what came of it."""
    kept = sum(row.origin == "synthetic" for row in sifted.kept) - sum(row.origin == "synthetic" for row in seeds)
    if kept <= 0 and not done.kept:
        todo = "Take a larger model as the writer, or write a few more rows yourself."
        raise UserError(f"Nothing that was written could be kept. {done.ended}".strip(), todo, code="nothing_written")
    whole = Sifted(sifted.kept, [*done.binned, *sifted.binned], _added(sifted.counts, done.binned))
    report = counted(
        MadeReport(
            passages=len(passages),
            proposed=proposals([*seeds, *done.kept, *(one.row for one in done.binned)]),
            topics=topics(passages, sifted.kept),
            calls=done.calls,
            tokens=done.tokens,
            seconds=round(time.monotonic() - began, 1),
        ),
        whole,
    )
    made = Made(Path(asked.out))
    made.write(whole.kept, whole.binned, passages, report, Made(Path(asked.of)).graph)
    what = f"{count(max(0, kept), 'row')} written and kept. {report.shown} {done.ended}".strip()
    return {"file": str(made.path), "rows": len(whole.kept), "written": kept, "what": what, "adds_up": report.adds_up}


def _wanted(asked: SynthesizeJob, seeds: list[MadeRow], passages: list[Passage], field: Domain | None) -> Wanted:
    """What is to be written. Raises UserError where a form is not known or there is nothing to begin with."""
    if unknown := [form for form in asked.forms if form not in FORMS]:
        raise UserError(f"There is no form called “{unknown[0]}”.", f"There are: {', '.join(FORMS)}.", code="bad_setting")
    forms = asked.forms or (field.forms if field else ()) or usual_forms([row for row in seeds if row.split != TEST], passages)
    if "language" in forms and not asked.language:
        raise UserError("It is not said into which language.", "Say it, or leave the form “language” out.", code="bad_setting")
    if {"balance", "negatives"} & set(forms) and not classes(seeds):
        raise UserError("These rows are not sorted into classes.", "Leave the forms for classes out.", code="bad_setting")
    return Wanted(
        rows=asked.rows,
        forms=tuple(forms),
        most_per_real=asked.most_per_human,
        language=asked.language,
        tone=field.tone if field else "",
        lead=field.prompts.get("all", "") if field else "",
        prompts=field.prompts if field else {},
        writer=asked.writer.label,
        licence=asked.writer.licence,
        refuse=field.refuse if field else (),
        seed=asked.seed,
    )


def _shown_passages(passages: list[Passage], seeds: list[MadeRow]) -> list[Passage]:
    """Passages that no held-out row is from: a writer must not be shown what is tested."""
    held = {row.passage_id for row in seeds if row.split == TEST}
    return [one for one in passages if one.id not in held]


def _before(log: AppendLog[Binned]) -> Progress:
    found = [one for one in log.read()[0] if isinstance(one, Binned)]
    return Progress(kept=[one.row for one in found if not one.gate], binned=[one for one in found if one.gate])


def _noting(folder: JobFolder, log: AppendLog[Binned], number: int) -> Callable[[Progress, Binned], None]:
    """Keep each row and tell how far it is, with time left and what it cost."""
    began, first = time.monotonic(), [-1]

    def note(at: Progress, one: Binned) -> None:
        log.append(one)
        if first[0] < 0:
            first[0] = len(at.kept) - 1
        fresh = len(at.kept) - first[0]
        left = (time.monotonic() - began) / fresh * (number - len(at.kept)) if fresh > 0 else None
        words = f"{len(at.kept):,} of {count(number, 'row')} written, {len(at.binned):,} stopped. "
        words += f"{count(at.calls, 'call')}, about {count(at.tokens, 'token')}."
        folder.emit(Noted(text=words, phase="writing", fraction=min(1.0, len(at.kept) / max(1, number)), seconds_left=left))

    return note


def _added(counts: list[GateCount], binned: list[Binned]) -> list[GateCount]:
    """The counts with what was stopped while it was written."""
    names = {name: gate.title for name, gate in gates().items()}
    early: dict[str, int] = {name: sum(one.gate == name for one in binned) for name in {one.gate for one in binned}}
    made = [
        one.model_copy(update={"seen": one.seen + early.get(one.gate, 0), "stopped": one.stopped + early.pop(one.gate, 0)})
        for one in counts
    ]
    return [*made, *(GateCount(gate=name, title=names.get(name, name), seen=number, stopped=number) for name, number in early.items())]
