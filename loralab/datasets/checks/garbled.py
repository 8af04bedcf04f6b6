"""Garbled letters: text that was once opened in the wrong encoding (“cafÃ©”, “donâ€™t”, “�”). The model would learn to write them."""

from __future__ import annotations

import re

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case, everything, where

# UTF-8 read as Windows-1252 or Latin-1 leaves these pairs; neither occurs in any living spelling.
_MOJIBAKE = re.compile(
    "[ÂÃ][\u0080-\u00bf\u0192\u02c6\u2018-\u201e\u2020-\u2022\u2026\u20ac\u2122]|â€[\u0080-\u00bf\u0153\u2018-\u201d\u2122\u02dc]|ï¿½|ðŸ"
)
_LOST = re.compile("\ufffd")
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f]")


def is_garbled(text: str) -> bool:
    """Whether letters of a text were lost or garbled by a wrong encoding."""
    return not text.isascii() and bool(_MOJIBAKE.search(text) or _LOST.search(text))


def check(case: Case) -> list[Problem]:
    """Warning with the rows for each of: wrong encoding, lost letters, control characters."""
    signs = (
        ("mojibake", _MOJIBAKE.search, "Letters garbled by a wrong encoding"),
        ("lost_letters", _LOST.search, "The sign “�”, where a letter was lost,"),
        ("control_characters", _CONTROL.search, "Invisible control characters"),
    )
    texts = [(example, everything(example)) for example in case.examples]
    found: list[Problem] = []
    for code, is_bad, words in signs:
        bad = [example for example, text in texts if is_bad(text)]
        if bad:
            what = f"{words} stand in {count(len(bad), 'example')} ({where(bad)})."
            found.append(Problem(code=code, what=what, todo="Save the file again as UTF-8 from where it comes from.", severity="warning"))
    return found


CHECK = check
