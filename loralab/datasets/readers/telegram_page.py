"""Owns the pages (messages.html) in which Telegram exports a chat where nobody chose its other form."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.conversations.chats import NOT_SAID, Chat, Said, moment
from loralab.datasets.formats.encoding import decode
from loralab.datasets.readers import Reader, Row, Table

_HEAD = 40_000  # bytes that are looked at
_VOID = ("br", "img", "hr", "meta", "link", "input")
_WHEN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}) (\d{1,2}):(\d{2}):(\d{2})")


class _Page(HTMLParser):
    """Collects the messages of a page; one that goes on has no name and is by who spoke last."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Said] = []
        self._open: list[str] = []  # what the elements around are there for
        self._who, self._text, self._at = "", "", None
        self._service = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self._say("\n")
        if tag in _VOID:
            return
        given = dict(attrs)
        classes = (given.get("class") or "").split()
        if "message" in classes:
            self.close_message()
            self._service = "service" in classes
            if "joined" not in classes and not self._service:
                self._who = ""
        if "date" in classes:
            self._at = _moment(given.get("title") or "")
        kinds = [name for name in ("from_name", "text", "details", "forwarded", "reply_to") if name in classes]
        self._open.append("body" if self._service and "body" in classes else kinds[0] if kinds else "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._say(data)

    def _say(self, data: str) -> None:
        inside = next((kind for kind in reversed(self._open) if kind), "")
        if inside == "from_name" and "forwarded" not in self._open:
            self._who += data
        elif inside in ("text", "body"):
            self._text += data

    def close_message(self) -> None:
        """The message that was open is whole."""
        text = "\n".join(line.strip() for line in self._text.strip().split("\n"))
        if self._who.strip() or text:
            reason = NOT_SAID if self._service else ""
            self.said.append(Said(len(self.said) + 1, self._who.strip() or "someone", text, self._at, reason))
        self._text, self._at = "", None


def _moment(title: str) -> float | None:
    found = _WHEN.search(title)
    if not found:
        return None
    day, month, year, hour, minute, second = map(int, found.groups())
    return moment(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}")


def read(raw: bytes, name: str) -> list[Table]:
    """One row per conversation, numbered by its first message; what nobody said is left out."""
    decoded = decode(raw, name)
    page = _Page()
    page.feed(decoded.text)
    page.close_message()
    found = list(Chat("Telegram", "", tuple(page.said)).rows())
    rows = [Row(number, values) for number, values, reason in found if not reason]
    if not rows:
        raise UserError(f"{name} is a Telegram chat in which nobody says anything.", "Choose another chat.", code="no_examples")
    lost = [LeftOut(row=number, source=name, reason=reason) for number, _, reason in found if reason]
    return [Table(source=name, rows=rows, columns=tuple(rows[0].values), left_out=lost, encoding=decoded.encoding)]


def _claims(raw: bytes, suffix: str) -> bool:
    return suffix in (".html", ".htm") and b'class="from_name"' in raw[:_HEAD] and b'class="message ' in raw[:_HEAD]


READER = Reader(suffixes=(), read=read, claims=_claims)
