"""Owns Parquet files. Invariant: pyarrow is imported only when such a file is opened."""

from __future__ import annotations

from loralab.core.errors import UserError
from loralab.datasets.readers import MAX_BYTES, Reader, Row, Table


def read(raw: bytes, name: str) -> list[Table]:
    """Rows numbered from 1 with the file's own column names."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(raw))
        unpacked = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        if unpacked > MAX_BYTES:
            raise UserError(f"{name} unpacks to more than 1 GB.", "Take a part of it.", code="file_too_big")
        content = file.read()
        values = content.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        what = f"{name} is damaged or not a Parquet file: {str(error)[:120]}"
        raise UserError(what, "Get a fresh copy of it.", code="bad_parquet") from error
    rows = [Row(number, dict(row)) for number, row in enumerate(values, 1)]
    if not rows:
        raise UserError(f"{name} has no rows.", "Choose a file with examples in it.", code="empty_file")
    return [Table(source=name, rows=rows, columns=tuple(map(str, content.column_names)))]


READER = Reader(suffixes=(".parquet", ".pq"), read=read, claims=lambda raw, _suffix: raw[:4] == b"PAR1" and raw[-4:] == b"PAR1")
