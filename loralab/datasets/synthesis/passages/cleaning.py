"""Owns mending text before rows are made of it: what a printer or an archive put around the words is taken out, divided words are whole.

Invariant: words are only taken out or put together, never written; what is uncertain stays.
"""

from __future__ import annotations

import re
from collections import defaultdict

_START = re.compile(r"^(?:#{1,6} )?\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE)
_END = re.compile(r"^(?:#{1,6} )?(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG.*|End of (?:the )?Project Gutenberg.*)$", re.MULTILINE)
_DIVIDED = re.compile(r"(?<!\w)(\w{1,40})[-\u00ad]\n[ \t]*(?!(?:und|oder|bis|sowie|and|or|to)\b)([a-zäöüßéè]\w*)([,.;:!?”»“)]*)[ \t]*")
_EMPHASIS = re.compile(r"(?<![\w_])_(?=\S)([^_\n]{1,120}(?:\n[^_\n]{1,80})?)(?<=\S)_(?![\w_])")
_BOLD = re.compile(r"(\*\*|__)(?=\S)([^*\n]{1,200}?)(?<=\S)\1")
_LINK = re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,500}\)|\[([^\]\n]{1,200})\]\([^)\n]{1,500}\)")
_COMMENT = re.compile(r"<!--[^<]{0,2000}?-->")
_FRONT = re.compile(r"\A---\n(?:[\w-]+:.*\n|[ \t]+.*\n|- .*\n){1,60}---\n")
_RAISED = re.compile(r"(?<=[\w.,;:!?”“\"»«)])[¹²³⁴⁵⁶⁷⁸⁹⁰†‡]{1,3}(?=[\s.,;:)]|$)")
_UNITS = re.compile(r"(?:^|[\s\d(/])[a-zA-Z]{1,2}$|\d$")
_BRACKETED = re.compile(r"(?<=[\w.,;:!?”\")\]])\[(?:\d{1,3}|\^\w{1,8}|[a-z]|citation needed|edit|note \d{1,2})\]")
_NOTE = re.compile(r"(?:[¹²³⁴⁵⁶⁷⁸⁹†‡]{1,2}|\[\^?\w{1,4}\]:?) ?\S")
_FEW = 3  # times that a running head stands there
_HEAD = 90  # characters of one


def cleaned(text: str, *, markdown: bool = False) -> str:
    """The text as a reader takes it in. `markdown`: its marks for bold and links are taken out, too."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    text = _within_frame(text)
    if markdown:
        text = _COMMENT.sub("", _FRONT.sub("", text))
        text = _LINK.sub(lambda found: found[1] or "", text)
        text = _BOLD.sub(r"\2", text)
    text = without_emphasis(text)
    text = _joined_pages(text)
    text = whole_words(text).replace("\u00ad", "")
    return without_notes(text)


def without_emphasis(text: str) -> str:
    """Without the low strokes that stand for slanted letters in plain text."""
    return _EMPHASIS.sub(r"\1", text)


def frame(text: str) -> tuple[int, int]:
    """Where the text begins and ends between the lines that an archive of books puts around one."""
    start, end = _START.search(text), _END.search(text)
    return start.end() if start else 0, end.start() if end else len(text)


def without_notes(text: str) -> str:
    """Without footnotes and their marks. A raised number behind a unit (m²) or another number is no mark."""
    text = _BRACKETED.sub("", text)

    def kept(found: re.Match[str]) -> str:
        is_power = found[0] in "²³" and _UNITS.search(text[max(0, found.start() - 4) : found.start()])
        return found[0] if is_power else ""

    text = _RAISED.sub(kept, text)
    parts = re.split(r"(\n[ \t]*\n\s*)", text)
    return "".join(part for part in parts if not _NOTE.match(part))


def whole_words(text: str) -> str:
    """Words that a line's end divided, put together; one that stands elsewhere with its hyphen keeps it."""
    with_hyphen = {word.casefold() for word in re.findall(r"(?<!\w)\w{1,40}-\w{1,40}", text)}

    def joined(found: re.Match[str]) -> str:
        hyphen = "-" if f"{found[1]}-{found[2]}".casefold() in with_hyphen else ""
        return f"{found[1]}{hyphen}{found[2]}{found[3]}\n"

    return _DIVIDED.sub(joined, text)


def _within_frame(text: str) -> str:
    """What stands between the lines that an archive of books puts around one."""
    start, end = frame(text)
    return text[start:end].strip("\n") + "\n" if (start, end) != (0, len(text)) else text


def _joined_pages(text: str) -> str:
    """Without running heads and page numbers: lines for themselves that come again with another number; sentences go on behind them."""
    lines = text.split("\n")
    numbers: dict[str, set[str]] = defaultdict(set)
    marks: dict[int, str] = {}
    for at, line in enumerate(lines):
        alone = (at == 0 or not lines[at - 1].strip() or "\f" in line) and (at + 1 >= len(lines) or not lines[at + 1].strip())
        found = re.search(r"(?:^|\s)[-–—]?\s?(\d{1,4})\s?[-–—]?$|^(\d{1,4})\s", said) if (said := line.strip(" \t\f")) and alone else None
        if found and len(said) <= _HEAD and not said.endswith((".", "!", "?", ":")):
            marks[at] = re.sub(r"[^\w#]+", " ", said.replace(found[1] or found[2], "#", 1).casefold())
            numbers[marks[at]].add(found[1] or found[2])
    out = {at for at, mark in marks.items() if len(numbers[mark]) >= _FEW}
    if not out:
        return text
    kept = [line for at, line in enumerate(lines) if at not in out]
    return re.sub(r"(?<=[a-zäöüß,-])\n\s*\n+(?=[a-zäöüß])", "\n", "\n".join(kept))
