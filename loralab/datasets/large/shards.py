"""Owns examples as token ids in Arrow files: what a training reads, for rows by the million and for programs that read Arrow.

    shard-00000.arrow ...   row (as a person counts), ids, learned (which of them are learned from), truncated
    shards.json             counts, a digest of all rows, and the checksum of every file; as far as it is written

Invariants: kept + left out = read; a few thousand rows are held at a time; what was cut goes on at the first file that is not whole; the
digest is the sum of those of the rows (each with its number), so it does not depend on how they lie in files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.records import Example, Record
from loralab.core.words import count
from loralab.models.tokenize import Encoded, TextEncoder

FILE = "shards.json"
WIDTH = 1 << 256  # of the digest
BLOCK, SHARD = 2_000, 50_000  # examples encoded at once; read for one file
Note = Callable[[int, int], object]  # examples that are done, examples there are


class Shard(Record):
    """One file: which examples it was made of, and what it holds."""

    file: str
    read: int
    kept: int
    cut: int
    tokens: int
    learned: int
    sha256: str
    rows: str  # sum of the digests of its rows, in hex


class Shards(Record):
    """What shards.json says. `made_of` is what has a say in the tokens: examples, tokenizer, settings."""

    made_of: str
    shards: tuple[Shard, ...] = Field(default=())
    whole: bool = False

    def total(self, part: str) -> int:
        """A number over all files: read, kept, cut, tokens, learned."""
        return sum(int(getattr(shard, part)) for shard in self.shards)

    @property
    def digest(self) -> str:
        """Of all rows: the same for the same rows, however many files there are."""
        return f"{sum(int(shard.rows, 16) for shard in self.shards) % WIDTH:064x}"

    @property
    def words(self) -> str:
        """For a person."""
        kept, left = self.total("kept"), self.total("read") - self.total("kept")
        files, tokens = count(len(self.shards), "file"), count(self.total("tokens"), "token")
        return f"{count(kept, 'row')} in {files}, {tokens}; left out: {count(left, 'row')} with nothing to learn."


def write_shards(
    examples: Sequence[Example], encoder: TextEncoder, folder: Path, how: tuple[int, str], note: Note = lambda done, total: None
) -> Shards:
    """Write examples as a training with `how` (longest example, learn_from) reads them; what an earlier call left is gone on with.

    Raises UserError where `folder` holds something else, or nothing can be learned from.
    """
    known = _begun(folder, _made_of(examples, encoder, how))
    for at in range(known.total("read"), len(examples), SHARD):
        shard = _write(examples, range(at, min(at + SHARD, len(examples))), encoder, folder, (len(known.shards), *how), note)
        known = known.model_copy(update={"shards": (*known.shards, shard)})
        write_atomic(folder / FILE, known.model_dump_json(indent=1))
    if not known.total("kept"):
        raise UserError("There is nothing in it to learn from.", "Look at its columns, or allow longer examples.", code="nothing_to_learn")
    known = known.model_copy(update={"whole": True})
    write_atomic(folder / FILE, known.model_dump_json(indent=1))
    return known


def read_shards(folder: Path) -> Shards:
    """What lies in a folder, each file held against its checksum. Raises UserError where it is not whole."""
    known = _read(folder)
    if known is None or not known.whole:
        raise UserError(f"{folder.name} holds no finished set of rows.", "Write it again: it goes on where it was.", code="not_whole")
    for shard in known.shards:
        path = folder / shard.file
        if not path.is_file() or digest(path) != shard.sha256:
            raise UserError(f"{shard.file} is not what was written.", "Delete it and write the rows again.", code="damaged")
    return known


def _begun(folder: Path, made_of: str) -> Shards:
    known = _read(folder)
    if known is not None and known.made_of == made_of:
        whole = [shard for shard in known.shards if (folder / shard.file).is_file() and digest(folder / shard.file) == shard.sha256]
        return known.model_copy(update={"shards": tuple(whole) if len(whole) == len(known.shards) else (), "whole": False})
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"The folder {folder.name} is there already and has something else in it.", "Name a new one.", code="exists")
    folder.mkdir(parents=True, exist_ok=True)
    return Shards(made_of=made_of)


def _read(folder: Path) -> Shards | None:
    try:
        return Shards.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _made_of(examples: Sequence[Example], encoder: TextEncoder, how: tuple[int, str]) -> str:
    """By the first and last examples and their number: all of a large file are not read for it."""
    ends = [examples[at].model_dump_json() for at in sorted({0, len(examples) // 2, len(examples) - 1}) if 0 <= at < len(examples)]
    return hashlib.sha256(repr((len(examples), ends, encoder.tokenizer.to_str(), how, SHARD)).encode()).hexdigest()


def _write(examples: Sequence[Example], span: range, encoder: TextEncoder, folder: Path, how: tuple[int, int, str], note: Note) -> Shard:
    import pyarrow as pa

    number, longest, learn_from = how
    schema = pa.schema([("row", pa.int64()), ("ids", pa.list_(pa.uint32())), ("learned", pa.list_(pa.bool_())), ("truncated", pa.bool_())])
    path, rows = folder / f"shard-{number:05d}.arrow", 0
    counts = {"kept": 0, "cut": 0, "tokens": 0, "learned": 0}
    writing = path.with_suffix(".writing")
    with pa.OSFile(str(writing), "wb") as sink, pa.ipc.new_file(sink, schema) as out:
        for at in range(span.start, span.stop, BLOCK):
            block = [examples[i] for i in range(at, min(at + BLOCK, span.stop))]
            kept = [(e.row, one) for e, one in zip(block, encoder.many(block, longest, learn_from), strict=True) if any(one.learned[1:])]
            rows = (rows + _count(kept, counts)) % WIDTH
            columns = (
                [row for row, _ in kept],
                [one.ids for _, one in kept],
                [one.learned for _, one in kept],
                [one.truncated for _, one in kept],
            )
            out.write_batch(pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema))
            note(at + len(block), len(examples))
    os.replace(writing, path)
    return Shard(file=path.name, read=len(span), sha256=digest(path), rows=f"{rows:064x}", **counts)


def row_digest(row: int, one: Encoded) -> int:
    """Of one row: its number, its tokens, and which of them are learned from."""
    raw = np.array([row, len(one.ids), *one.ids], dtype=np.int64).tobytes() + np.array(one.learned, dtype=np.bool_).tobytes()
    return int.from_bytes(hashlib.sha256(raw).digest(), "big")


def _count(kept: Sequence[tuple[int, Encoded]], counts: dict[str, int]) -> int:
    """Add the rows to the counts; the sum of their digests."""
    total = 0
    for row, one in kept:
        total += row_digest(row, one)
        counts["kept"] += 1
        counts["cut"] += one.truncated
        counts["tokens"] += len(one.ids)
        counts["learned"] += sum(one.learned[1:])
    return total
