"""Owns subtitles (.srt, .vtt): what was said, without times and numbers, in paragraphs.

Invariant: a line outside of all subtitles is named.
"""

from __future__ import annotations

import re

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.core.words import count
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.passages import passages
from loralab.datasets.readers import Reader, Row, Table

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[,.](\d{1,3})"
_TIMES = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_BEGINS = re.compile(rb"\A\s*(?:WEBVTT\b|(?:\d{1,6}\s*\r?\n)?\s*(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}\s*-->)")
_SPEAKER = re.compile(r"<v(?:\.[\w.]*)?\s+([^<>]{1,80})>")
_MARKS = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,100}\}")
_PAUSE = 3.0  # seconds of silence that begin a paragraph
_ABOUT = ("WEBVTT", "NOTE", "STYLE", "REGION")


def read(raw: bytes, name: str) -> list[Table]:
    """One row per passage; a line that is shown again with the next subtitle, as live ones are, is read once."""
    decoded = decode(raw.replace(b"\xef\xbb\xbf", b""), name)
    said, lost, number, again = _said(decoded.text.split("\n"), name)
    rows = [Row(at, {"text": passage}) for at, passage in enumerate(passages("\n\n".join(said)), 1)]
    if not rows:
        raise UserError(f"{name} holds no words.", "Choose a file with examples in it.", code="empty_file")
    about = count(number, "subtitle") + (f", {count(again, 'line')} taken out that stood there twice" if again else "")
    return [Table(name, rows, ("text",), lost, decoded.encoding, is_prose=True, about=about)]


def _said(lines: list[str], name: str) -> tuple[list[str], list[LeftOut], int, int]:
    """Paragraphs, lines left out, how many subtitles there were and how many lines came twice."""
    paragraphs: list[list[str]] = []
    lost: list[LeftOut] = []
    number = again = 0
    state, ended, shown = "outside", 0.0, ""
    for at, line in enumerate(lines):
        found = _TIMES.match(line)
        if found:
            begun, end = _seconds(found, 1), _seconds(found, 5)
            if not paragraphs or begun - ended > _PAUSE:
                paragraphs.append([])
            state, ended, number = "inside", end, number + 1
        elif not line.strip():
            state = "outside" if state != "inside" or shown else state
        elif state == "outside" and line.strip().startswith(_ABOUT):
            state = "about"
        elif state == "inside" and not _is_number_of_next(lines, at):
            words = _MARKS.sub("", _SPEAKER.sub(r"\1: ", line)).strip()
            again += words == shown
            if words and words != shown:
                paragraphs[-1].append(words)
                shown = words
        elif state == "outside" and not _is_number_of_next(lines, at):
            lost.append(LeftOut(row=at + 1, source=name, reason=f"Line {at + 1} belongs to no subtitle."))
    return [" ".join(lines) for lines in paragraphs if lines], lost, number, again


def _is_number_of_next(lines: list[str], at: int) -> bool:
    """Whether a line only names or counts the subtitle whose times follow."""
    if at + 1 >= len(lines) or not _TIMES.match(lines[at + 1]):
        return False
    return lines[at].strip().isdigit() or at == 0 or not lines[at - 1].strip()


def _seconds(found: re.Match[str], first: int) -> float:
    hours, minutes, seconds, parts = (int(part or 0) for part in found.group(*range(first, first + 4)))
    return hours * 3600 + minutes * 60 + seconds + parts / 1000


READER = Reader(
    suffixes=(".srt", ".vtt"), read=read, claims=lambda raw, _suffix: _BEGINS.match(raw[:200].removeprefix(b"\xef\xbb\xbf")) is not None
)
