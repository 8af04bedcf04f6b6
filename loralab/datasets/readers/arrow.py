"""Owns Arrow files, as `datasets` keeps them. Invariants: pyarrow is imported only when one is opened; a class has its given name."""

from __future__ import annotations

from typing import Any

from loralab.core.errors import UserError
from loralab.datasets.formats.class_names import class_names, named
from loralab.datasets.readers import MAX_BYTES, Reader, Row, Table

_FILE, _STREAM = b"ARROW1\0\0", b"\xff\xff\xff\xff"  # Feather has the first, too


def read(raw: bytes, name: str) -> list[Table]:
    """Rows numbered from 1 with the file's own column names."""
    import pyarrow as pa
    from pyarrow import ipc

    try:
        opened: Any = ipc.open_file(raw) if raw.startswith(_FILE) else ipc.open_stream(raw)
        content = opened.read_all()
        if content.nbytes > MAX_BYTES:
            raise UserError(f"{name} unpacks to more than 1 GB.", "Take a part of it.", code="file_too_big")
        content.validate(full=True)  # of a damaged file the places of texts may lie outside of it
        values = content.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        what = f"{name} is damaged or not an Arrow file: {str(error)[:120]}"
        raise UserError(what, "Get a fresh copy of it.", code="bad_arrow") from error
    if not values:
        raise UserError(f"{name} has no rows.", "Choose a file with examples in it.", code="empty_file")
    names = class_names(content.schema.metadata)
    rows = [Row(number, named(dict(row), names)) for number, row in enumerate(values, 1)]
    return [Table(source=name, rows=rows, columns=tuple(map(str, content.column_names)))]


READER = Reader(
    suffixes=(".arrow", ".feather"),
    read=read,
    claims=lambda raw, suffix: raw.startswith(_FILE) or (suffix == ".arrow" and raw.startswith(_STREAM)),
)
