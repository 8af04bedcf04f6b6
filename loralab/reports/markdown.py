"""Owns how text of people, files and models is put into Markdown: the model card and the report.

Invariant: such text is read as the letters it has, by Markdown and by HTML: never as a tag, a heading, a table, a link, an emphasis.
"""

from __future__ import annotations

import re

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = re.compile(r"[\\`*\[\]#|~$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINKS = re.compile(r"\b(https?|ftp|mailto|xmpp|www)([:.])", re.IGNORECASE)
_BEGINS = re.compile(r"^(?:([-+=:])|(\d+)([.)]))")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")  # control marks, and those that turn a line round


def shielded(text: str) -> str:
    """One line that Markdown shows as `text`, in a sentence, a heading, a list or a table."""
    return _line(" ".join(_UNSEEN.sub("", text.replace("\r", "\n")).split()))


def quoted(text: str, most: int) -> str:
    """A quotation of several lines, of at most `most` characters."""
    shown = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    shown = shown if len(shown) <= most else shown[:most] + " …"
    return "\n".join(f"> {_indented(line)}" for line in (shown.strip() or "(nothing)").split("\n"))


def _indented(line: str) -> str:
    """Four spaces would begin a program."""
    bare = line.lstrip(" \t")
    return "&nbsp;" * len(line[: len(line) - len(bare)].expandtabs(4)) + _line(bare)


def _line(text: str) -> str:
    safe = re.sub(r"[&<>]", lambda found: _ENTITIES[found[0]], _MARKS.sub(r"\\\g<0>", text))
    safe = _LINKS.sub(r"\1\\\2", safe)
    return _BEGINS.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", safe)


def word(text: str) -> str:
    """A name as it may stand in a command or a program: letters, digits, points and dashes."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "model"
