"""Owns flash cards as Anki writes them to text: a question and an answer on each line, below lines that begin with `#` and say how.

Invariant: marks of web pages go, what was said stays; pictures and sounds are counted.
"""

from __future__ import annotations

import html
import re
from collections import Counter

from loralab.core.words import count
from loralab.datasets.formats.encoding import decode
from loralab.datasets.readers import Reader, Row, Table, delimited

_SIGNS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "colon": ":", "space": " "}
_SETTING = re.compile(r"#([a-z ]+):(.*)")
_PLACES = ("tags", "deck", "guid", "notetype")  # columns that tell about a card
_BREAK = re.compile(r"<(?:br|/div|/p|/li)\b[^<>]*>", re.IGNORECASE)
_MEDIA = re.compile(r"\[sound:[^\]]*\]|<img\b[^<>]*>", re.IGNORECASE)
_MARK = re.compile(r"</?[a-zA-Z][^<>]*>")


def read(raw: bytes, name: str) -> list[Table]:
    """Cards as rows with a question and an answer, numbered by line; further fields keep their places."""
    decoded = decode(raw, name)
    lines = decoded.text.split("\n")
    head = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    told = {found[1]: found[2] for line in lines[:head] if (found := _SETTING.match(line))}
    sign = _SIGNS.get(told.get("separator", "").strip().lower()) or told.get("separator", "\t")[:1] or "\t"
    body = "\n".join(lines[head:])
    columns = _columns(told, body, sign)
    made = delimited.continued(body.encode(), name, columns, sign)
    media = 0
    for at, row in enumerate(made.rows):
        cells = {column: _plain(str(cell), told.get("html") == "true") for column, cell in row.values.items()}
        media += sum(found for _, found in cells.values())
        made.rows[at] = Row(row.number + head, {column: text for column, (text, _) in cells.items()})
    made.left_out = [lost.model_copy(update={"row": lost.row + head}) for lost in made.left_out]
    made.encoding = decoded.encoding
    made.about = count(len(made.rows), "card") + (f", {count(media, 'picture or sound', 'pictures or sounds')} not read" if media else "")
    return [made]


def _columns(told: dict[str, str], body: str, sign: str) -> tuple[str, ...]:
    """The names of the fields: the file's own, else question and answer, but for places that hold tags and the like."""
    if "columns" in told:
        return tuple(told["columns"].split(sign))
    widths = Counter(line.count(sign) + 1 for line in body.split("\n") if line.strip())
    about = {int(place): kind for kind in _PLACES if (place := told.get(f"{kind} column", "").strip()).isdigit()}
    names = iter(("question", "answer", *(f"field {place}" for place in range(3, 100))))
    return tuple(about.get(place) or next(names) for place in range(1, min(100, max(widths, default=2)) + 1))


def _plain(cell: str, marked: bool) -> tuple[str, int]:
    """A field without marks, and how many pictures and sounds stood in it."""
    text, media = _MEDIA.subn("", cell)
    if marked:
        text = html.unescape(_MARK.sub("", _BREAK.sub("\n", text))).replace("\u00a0", " ")
    return text.strip(), media


READER = Reader(suffixes=(), read=read, claims=lambda raw, _suffix: raw.removeprefix(b"\xef\xbb\xbf").startswith(b"#separator:"))
