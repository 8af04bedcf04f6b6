"""Owns fetching a data set from the Hub into one file of the workspace, as a worker's job.

Invariants: its folder is whole or absent (all gathers in <folder>.partial, which is renamed at the end); a stop keeps what was fetched;
no cell is changed; columns a text model cannot read are left out and named; of several splits, each row says whether it is to test with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted
from loralab.core.jobs import FetchDatasetJob, JobFolder
from loralab.core.paths import write_atomic
from loralab.core.words import listed, size
from loralab.datasets.on_hub import ABOUT, HubDataset, look_up
from loralab.models.downloads import Stopped, Transfer, fetch
from loralab.models.wheels import require_room

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 8192  # rows held at once
_MARKS = ("split", "set", "subset", "partition")  # names for the column that says what a row is for
_TEST = re.compile(r"(test|valid|val(?![a-z])|dev|eval|held_?out|holdout)", re.IGNORECASE)  # beginnings of splits, as in test_sft


def run(folder: JobFolder) -> dict[str, Any]:
    """Fetch what the FetchDatasetJob says. The result names the file, or says stopped when the stop file appeared."""
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # as for models: plain HTTP goes on in the middle of a file
    asked = folder.asked(FetchDatasetJob)
    target = Path(asked.folder)
    file = target / f"{asked.name.partition('/')[2]}.parquet"
    if file.is_file():
        return {"dataset": asked.name, "file": str(file), "bytes": 0, "what": "It is on this computer already."}
    found = look_up(asked.name, asked.config, asked.split, asked.revision)
    partial = target.with_name(f"{target.name}.partial")
    pieces = partial / "pieces"
    pieces.mkdir(parents=True, exist_ok=True)
    here = sum(p.stat().st_size for p in pieces.rglob("*") if p.is_file())
    require_room(max(0, found.bytes - here) + found.bytes, found.name, partial)  # the pieces, and the file made of them
    folder.emit(Noted(text=f"Downloading {found.name}: {size(found.bytes)}.", phase="downloading", fraction=0.0))
    transfer = Transfer(folder, found.bytes)
    try:
        fetch(found.name, found.revision, [found.pieces[0].file], pieces, transfer, "dataset")
        schema, left = _kept(found, pieces, asked.columns)  # before the rest is fetched
        fetch(found.name, found.revision, [piece.file for piece in found.pieces[1:]], pieces, transfer, "dataset")
        rows = _join(folder, found, pieces, partial / file.name, schema)
    except Stopped:
        (partial / file.name).unlink(missing_ok=True)
        return {"outcome": "stopped", "dataset": found.name, "what": "Stopped; what is here is kept and the next download goes on from it."}
    shutil.rmtree(pieces)
    write_atomic(partial / ABOUT, json.dumps({"name": found.name, "revision": found.revision, "licence": found.licence}))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    what = f"Left out: {listed(left)}, which hold no text." if left else ""
    return {"dataset": found.name, "file": str(file), "bytes": found.bytes, "rows": rows, "what": what}


def _kept(found: HubDataset, pieces: Path, wanted: tuple[str, ...]) -> tuple[pa.Schema, list[str]]:
    """The columns of the file to be, and which are left out. Raises UserError where there is no text, or no such column."""
    import pyarrow as pa

    with _opened(found, pieces, 0) as file:
        there = file.schema_arrow
    missing = [name for name in wanted if name not in there.names]
    if missing:
        todo = f"It has these: {', '.join(there.names)}."
        raise UserError(f"{found.name} has no column “{missing[0]}”.", todo, code="no_such_part")
    kinds = {field.name: set(_leaves(field.type)) for field in there if not wanted or field.name in wanted}
    kept = [there.field(name) for name, kind in kinds.items() if "bytes" not in kind]
    if not any("text" in kinds[field.name] for field in kept):
        shutil.rmtree(pieces.parent)
        what = f"{found.name} holds no text: its columns are {listed(list(kinds))}."
        raise UserError(what, "LoRALab learns from text so far. Choose another data set.", code="no_text")
    names = [field.name for field in kept]
    notes = _notes(there.metadata, set(names))
    if len({piece.split for piece in found.pieces}) > 1:
        mark = next((mark for mark in _MARKS if mark not in names), "")
        kept += [pa.field(mark, pa.string(), metadata={"mark": "split"})] if mark else []
    return pa.schema(kept, metadata=notes), [name for name in kinds if name not in names]


def _leaves(kind: pa.DataType) -> Iterator[str]:
    """What the innermost values of a column are: text, bytes (pictures, sounds) or neither."""
    import pyarrow as pa

    for at in range(kind.num_fields):
        yield from _leaves(kind.field(at).type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield "text"
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield "bytes"


def _notes(notes: dict[bytes, bytes] | None, names: set[str]) -> dict[str, str] | None:
    """The notes with the names of classes, for the columns that are kept."""
    try:
        features = json.loads((notes or {})[b"huggingface"])["info"]["features"]
        return {"huggingface": json.dumps({"info": {"features": {name: one for name, one in features.items() if name in names}}})}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _join(folder: JobFolder, found: HubDataset, pieces: Path, target: Path, schema: pa.Schema) -> int:
    """Write the rows of all pieces into one file; how many there are. Raises Stopped."""
    import pyarrow as pa
    from pyarrow import parquet

    rows, done, began = 0, 0, time.monotonic()
    folder.emit(Noted(text="Putting it into one file.", phase="writing", fraction=0.0))
    try:
        with parquet.ParquetWriter(target, schema) as out:
            for at, piece in enumerate(found.pieces):
                for batch in _batches(folder, found, pieces, at, schema.names):
                    out.write_table(pa.Table.from_arrays([_column(batch, field, piece.split) for field in schema], schema=schema))
                    rows += batch.num_rows
                done += piece.file.bytes
                left = (time.monotonic() - began) * (found.bytes - done) / max(1, done)
                folder.emit(Noted(text="", phase="writing", fraction=done / max(1, found.bytes), seconds_left=left))
    except pa.ArrowException as error:
        what = f"The parts of {found.name} do not fit together: {str(error)[:120]}"
        raise UserError(what, "Choose one split, or another configuration.", code="parts_differ") from error
    return rows


def _batches(folder: JobFolder, found: HubDataset, pieces: Path, at: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Some rows of a piece at a time. Raises Stopped."""
    with _opened(found, pieces, at) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=columns, use_threads=False):
            if folder.stop_asked:
                raise Stopped
            yield batch


def _column(batch: pa.RecordBatch, field: pa.Field, split: str) -> pa.Array:
    """A column of a piece as the file has it: what the split is for where that is what it tells, empty where the piece lacks it."""
    import pyarrow as pa

    if (field.metadata or {}).get(b"mark") == b"split":
        return pa.array(["test" if _TEST.match(split) else "train"] * batch.num_rows, pa.string())
    return batch.column(field.name).cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)


def _opened(found: HubDataset, pieces: Path, at: int) -> Any:
    """A piece that is here. Raises Unavailable, and keeps nothing of it, where it is no table."""
    import pyarrow as pa
    from pyarrow import parquet

    path = pieces / found.pieces[at].file.name
    try:
        return parquet.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        path.unlink(missing_ok=True)
        what = f"What arrived of {found.name} is damaged, so it was thrown away."
        raise Unavailable(what, "Start the download again.", code="incomplete_dataset") from error
