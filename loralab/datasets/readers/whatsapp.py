"""Owns the text files in which WhatsApp exports a chat, known by their dated lines whatever the file is called."""

from __future__ import annotations

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.conversations.chats import is_whatsapp, whatsapp
from loralab.datasets.formats.encoding import decode
from loralab.datasets.readers import Reader, Row, Table

_HEAD = 40_000  # bytes that are looked at


def read(raw: bytes, name: str) -> list[Table]:
    """One row per conversation, numbered by the line where it begins; what nobody said is left out."""
    decoded = decode(raw, name)
    found = list(whatsapp(decoded.text).rows())
    rows = [Row(number, values) for number, values, reason in found if not reason]
    if not rows:
        raise UserError(f"{name} is a WhatsApp chat in which nobody says anything.", "Choose another chat.", code="no_examples")
    lost = [LeftOut(row=number, source=name, reason=reason) for number, _, reason in found if reason]
    return [Table(source=name, rows=rows, columns=tuple(rows[0].values), left_out=lost, encoding=decoded.encoding)]


def _claims(raw: bytes, suffix: str) -> bool:
    if suffix in (".csv", ".tsv", ".json", ".jsonl") or b"\0" in raw[:_HEAD]:
        return False
    return is_whatsapp(raw[:_HEAD].decode("utf-8", errors="replace"))


READER = Reader(suffixes=(), read=read, claims=_claims)
