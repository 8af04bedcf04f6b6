"""Owns cutting long text into passages. Invariant: nothing but blank space at the cuts is lost, and no passage is longer than the limit."""

from __future__ import annotations

import re

LIMIT = 1200  # characters: about 300 tokens of English, so that a passage fits the shortest usual row length

_CUTS = (r"\n", r"(?<=[.!?…])\s|(?<=[。！？])", r"\s")  # line ends before sentence ends before blanks


def passages(text: str, limit: int = LIMIT) -> list[str]:
    """Passages of at most `limit` characters: whole paragraphs while they fit, longer paragraphs cut at lines, sentences, then words."""
    paragraphs = [part.strip("\n").rstrip() for part in re.split(r"\n[ \t]*\n", text)]
    pieces: list[str] = []
    for paragraph in filter(str.strip, paragraphs):
        pieces.extend(_cut(paragraph, limit))
    return _join(pieces, "\n\n", limit)


def _join(pieces: list[str], between: str, limit: int) -> list[str]:
    """Neighbours put together while they fit."""
    joined: list[str] = []
    current: list[str] = []
    length = 0
    for piece in pieces:
        if current and length + len(between) + len(piece) > limit:
            joined.append(between.join(current))
            current, length = [], 0
        length += len(piece) + (len(between) if current else 0)
        current.append(piece)
    return [*joined, between.join(current)] if current else joined


def _cut(paragraph: str, limit: int, level: int = 0) -> list[str]:
    if len(paragraph) <= limit:
        return [paragraph]
    if level == len(_CUTS):
        return [paragraph[start : start + limit] for start in range(0, len(paragraph), limit)]
    parts: list[str] = []
    for part in re.split(_CUTS[level], paragraph):
        if part.strip():
            parts.extend(_cut(part.rstrip(), limit, level + 1))
    between = ("\n", " " if " " in paragraph else "", " ")[level]
    return _join(parts, between, limit)
