"""Owns saved web pages (.html): their text in passages, and each table of several columns as a table.

Invariant: a page that only says that something went wrong is refused as that; a page under the name of something else is no page.
"""

from __future__ import annotations

import codecs
import re

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.datasets.formats import kinds
from loralab.datasets.formats.documents import Block, parts
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.markup import blocks
from loralab.datasets.readers import Reader, Table

_SUFFIXES = (".html", ".htm", ".xhtml")
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]{3,30})", re.IGNORECASE)
_ERROR = re.compile(
    r"\b(?:[45]\d\d\b(?!.*\b(?:ways|tips|ideas|recipes)\b)|not found|forbidden|access denied|unauthorized|bad gateway|service unavailable|"
    r"just a moment|attention required|captcha|are you (?:a )?human|sign in|log ?in|anmelden|nicht gefunden|page unavailable|error)\b",
    re.IGNORECASE,
)
_FEW = 1500  # characters: an error page says little


def read(raw: bytes, name: str) -> list[Table]:
    """The text as passages and the tables as parts, without menus and what is not shown."""
    found, title, menus = blocks(_text(raw, name))
    said = " ".join(block for block in found if isinstance(block, str))
    heading = title or said[:80]
    holds_table = any(isinstance(block, list) and len(block) > 3 for block in found)
    if len(said) < _FEW and not holds_table and _ERROR.search(f"{title} {said[:120]}"):
        todo = "Open it in a browser: where you see what you want, save that page; often one has to sign in first."
        raise UserError(f"{name} is a page that says “{heading[:80]}”, not what you wanted to save.", todo, code="error_page")
    made = parts(name, _titled(title, found), f"{count(menus, 'menu')} left out" if menus else "")
    if not any(one.rows for one in made):
        todo = "Its words may come only when a browser shows it. Copy them into a text file or a Word document, and choose that."
        raise UserError(f"{name} is a web page without text.", todo, code="empty_file")
    return made


def _titled(title: str, found: list[Block]) -> list[Block]:
    """The blocks under the page's title, where they do not begin with it."""
    first = next((block for block in found if isinstance(block, str)), "")
    return found if not title or not first or first in title or title in first else [title, *found]


def _text(raw: bytes, name: str) -> str:
    """By the encoding that the page names where it is not UTF-8."""
    decoded = decode(raw, name)
    named = _CHARSET.search(raw[:4096])
    if named and decoded.encoding != "utf-8" and not decoded.encoding.startswith("utf"):
        try:
            return raw.decode(codecs.lookup(named[1].decode()).name, errors="replace").replace("\0", "")
        except (LookupError, UnicodeError):
            return decoded.text
    return decoded.text


def _claims(raw: bytes, suffix: str) -> bool:
    """Some programs call a page with a table in it .xls."""
    kind = kinds.kind_of(raw, f"a{suffix}")
    return (suffix in _SUFFIXES and kind in (None, kinds.WEB_PAGE)) or (suffix == ".xls" and kind is kinds.WEB_PAGE)


READER = Reader(suffixes=_SUFFIXES, read=read, claims=_claims)
