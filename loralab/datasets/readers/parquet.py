"""Owns Parquet files. Invariants: pyarrow is imported only when such a file is opened; a class has the name that the file gives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loralab.core.errors import UserError
from loralab.datasets.formats.class_names import class_names, named
from loralab.datasets.readers import MAX_BYTES, Reader, Row, Table

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

BATCH = 2048  # rows


def read(raw: bytes, name: str) -> list[Table]:
    """Rows numbered from 1 with the file's own column names."""
    import pyarrow as pa

    file = _opened(pa.BufferReader(raw), name)
    unpacked = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
    if unpacked > MAX_BYTES:
        raise UserError(f"{name} unpacks to more than 1 GB.", "Take a part of it.", code="file_too_big")
    rows = [row for _, _, table in _tables(file, name) for row in table.rows]
    if not rows:
        raise UserError(f"{name} has no rows.", "Choose a file with examples in it.", code="empty_file")
    return [Table(source=name, rows=rows, columns=tuple(map(str, file.schema_arrow.names)))]


def batches(path: Path, name: str) -> Iterator[tuple[int, int, Table]]:
    """A file's rows some thousands at a time: (rows so far, rows in all, these). No more than a few pages of it are held."""
    with path.open("rb") as content:
        yield from _tables(_opened(content, name), name)


def _opened(source: Any, name: str) -> ParquetFile:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(name, error) from error


def _tables(file: ParquetFile, name: str) -> Iterator[tuple[int, int, Table]]:
    import pyarrow as pa

    columns, names = tuple(map(str, file.schema_arrow.names)), class_names(file.schema_arrow.metadata)
    done = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
            rows = [Row(number, named(dict(row), names)) for number, row in enumerate(batch.to_pylist(), done + 1)]
            done += len(rows)
            yield done, file.metadata.num_rows, Table(source=name, rows=rows, columns=columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> UserError:
    what = f"{name} is damaged or not a Parquet file: {str(error)[:120]}"
    return UserError(what, "Get a fresh copy of it.", code="bad_parquet")


READER = Reader(suffixes=(".parquet", ".pq"), read=read, claims=lambda raw, _suffix: raw[:4] == b"PAR1" and raw[-4:] == b"PAR1")
