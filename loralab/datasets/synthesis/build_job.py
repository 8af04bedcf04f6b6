"""Owns building a data set from documents, as a worker's job. Invariants: what was read is kept, so that a stopped build goes on behind it;
no document stops the others; the counts add up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.events import Noted
from loralab.core.jobs import BuildDataJob, JobFolder
from loralab.core.paths import write_atomic
from loralab.core.words import count
from loralab.datasets.readers import files_below
from loralab.datasets.synthesis.domains import Domain, domain
from loralab.datasets.synthesis.files import Made
from loralab.datasets.synthesis.gates import Yard, sift
from loralab.datasets.synthesis.graph.knowledge import Graph, knowledge
from loralab.datasets.synthesis.graph.two_hop import two_hop
from loralab.datasets.synthesis.passages.bounded import Bounded
from loralab.datasets.synthesis.report import MadeReport, Refused, counted, proposals
from loralab.datasets.synthesis.rows import Binned, MadeRow, Passage
from loralab.datasets.synthesis.search.space import Space
from loralab.datasets.synthesis.search.topics import topics
from loralab.datasets.synthesis.split import with_split

GAPS = "cloze"  # any text has more of these than of all else
FEWEST_GAPS = 150
MOST_PASSAGES = 20_000  # that the map and the topics are of
_STOPPED = "Stopped; what was read is kept, and it goes on from there."


def run(folder: JobFolder) -> dict[str, Any]:
    """Do what the BuildDataJob says. The result names the file and carries the report's words."""
    asked = folder.asked(BuildDataJob)
    began = time.monotonic()
    files = documents(asked.paths)
    parts, stopped = _read_all(folder, asked, files)
    if stopped:
        return {"outcome": "stopped", "what": _STOPPED}
    folder.emit(Noted(text="Looking for what says the same.", phase="sifting", fraction=0.0))
    made = Made(Path(asked.out))
    field = domain(asked.domain, folder.path.parents[1]) if asked.domain else None
    report, outcome = assemble(asked, files, parts, lambda: folder.stop_asked, field)
    if folder.stop_asked:
        return {"outcome": "stopped", "what": _STOPPED}
    rows, binned, passages, graph = outcome
    report = report.model_copy(update={"seconds": round(time.monotonic() - began, 1)})
    if not rows:
        first = f" {report.refused[0].source}: {report.refused[0].reason}" if report.refused else ""
        raise UserError(f"Nothing could be made of these documents.{first}", "Choose documents with running text.", code="no_rows")
    made.write(rows, binned, passages, report, graph)
    return {"file": str(made.path), "rows": len(rows), "what": report.words, "adds_up": report.adds_up}


def documents(paths: Sequence[str]) -> list[tuple[str, Path]]:
    """Names and places of the documents, folders opened. Raises UserError where one is not there or there are none."""
    found: list[tuple[str, Path]] = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"There is no file or folder at {path}.", "Check the name.", code="no_file")
        found += files_below(path) if path.is_dir() else [(path.name, path)]
    if not found:
        raise UserError("There are no documents in this folder.", "Choose a folder with documents.", code="no_documents")
    return found


def _read_all(folder: JobFolder, asked: BuildDataJob, files: Sequence[tuple[str, Path]]) -> tuple[list[dict[str, Any]], bool]:
    """What was made of each document, and whether a stop was asked for."""
    reader, kept, found = Bounded(asked.seconds), folder.artifacts / "parts", list[dict[str, Any]]()
    began, fresh = time.monotonic(), 0
    try:
        for at, (name, path) in enumerate(files):
            if folder.stop_asked:
                return found, True
            left = (time.monotonic() - began) / fresh * (len(files) - at) if fresh else None
            rows = sum(len(part["rows"]) for part in found)
            words = f"Document {at + 1:,} of {len(files):,}: {name}. {count(rows, 'row')} so far."
            folder.emit(Noted(text=words, phase="reading documents", fraction=at / len(files), seconds_left=left))
            place = kept / f"{at:05}-{_mark(path)}.json"
            if (known := _known(place)) is not None:
                found.append(known)
                continue
            part = reader.read(path, name, asked.makers)
            fresh += 1
            write_atomic(place, json.dumps(part))
            found.append(part)
    finally:
        reader.close()
    return found, folder.stop_asked


def _mark(path: Path) -> str:
    """A document as it is now; a very large one is not read for that."""
    try:
        weight = path.stat().st_size
        return digest(path)[:12] if weight < (16 << 20) else f"{weight:x}"
    except OSError:
        return "gone"


def _known(place: Path) -> dict[str, Any] | None:
    try:
        return json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None


Outcome = tuple[list[MadeRow], list[Binned], list[Passage], Graph]


def assemble(
    asked: BuildDataJob,
    files: Sequence[tuple[str, Path]],
    parts: Sequence[dict[str, Any]],
    stop: Callable[[], bool] = lambda: False,
    field: Domain | None = None,
) -> tuple[MadeReport, Outcome]:
    """Rows set apart by source, balanced and sifted, with the report on all of it."""
    refused = [
        Refused(source=name, reason=part["reason"], code=part["code"])
        for (name, _), part in zip(files, parts, strict=True)
        if "reason" in part
    ]
    passages = [Passage.model_validate(one) for part in parts for one in part["passages"]]
    rows = [MadeRow.model_validate(one).model_copy(update={"licence": asked.licence}) for part in parts for one in part["rows"]]
    graph = knowledge(passages[:MOST_PASSAGES])
    if not asked.makers or "two_hop" in asked.makers:
        rows += [row.model_copy(update={"licence": asked.licence}) for row in two_hop(graph)]
    if field:
        rows += field.glossary_rows()
    proposed = proposals(rows)
    kept, aside = _balanced(with_split(rows, asked.heldout_share, asked.seed))
    sifted = sift(
        kept, Yard(passages={one.id: one.text for one in passages}, refuse=field.refuse if field else (), stop=stop), asked.without
    )
    held = passages[:MOST_PASSAGES]
    space = Space([f"{one.heading} {one.text}" for one in held]) if held else None
    report = MadeReport(
        documents=len(files),
        documents_read=len(files) - len(refused),
        refused=tuple(refused),
        parts_lost=tuple(lost for part in parts for lost in part["lost"]),
        passages=len(passages),
        proposed=proposed,
        set_aside=len(aside),
        topics=topics(held, sifted.kept, space),
    )
    return counted(report, sifted), (sifted.kept, [*sifted.binned, *aside], passages, graph)


def _balanced(rows: Sequence[MadeRow]) -> tuple[list[MadeRow], list[Binned]]:
    """No more gaps than other rows: those that are too many, evenly spread over the documents, are set aside."""
    gaps = [place for place, row in enumerate(rows) if row.kind == GAPS]
    most = max(FEWEST_GAPS, len(rows) - len(gaps))
    if len(gaps) <= most:
        return list(rows), []
    wanted = {gaps[at * len(gaps) // most] for at in range(most)}
    out = set(gaps) - wanted
    reason = "There are more sentences with gaps than other rows."
    return [row for place, row in enumerate(rows) if place not in out], [
        Binned(row=rows[at], gate="balance", reason=reason) for at in sorted(out)
    ]
