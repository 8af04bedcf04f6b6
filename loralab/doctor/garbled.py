"""Garbled letters: text that was once opened in the wrong encoding (“cafÃ©”, “donâ€™t”, “�”). The model would learn to write them."""

from __future__ import annotations

import re

from loralab.doctor import Case, everything, where
from loralab.errors import Problem

# UTF-8 read as Windows-1252 or Latin-1 leaves these pairs; neither occurs in any living spelling.
_MOJIBAKE = re.compile("[ÂÃ][\u0080-\u00bf\u0192\u02c6\u2018-\u201e\u2020-\u2022\u2026\u20ac\u2122]|â€[\u0080-\u00bf\u0153\u2018-\u201d\u2122\u02dc\u00a6]|ï¿½|ðŸ")
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f]")


def check(case: Case) -> list[Problem]:
    """Warning with the rows for each of: wrong encoding, lost letters, control characters."""
    signs = (
        ("mojibake", lambda text: _MOJIBAKE.search(text), "hold letters garbled by a wrong encoding"),
        ("lost_letters", lambda text: "\ufffd" in text, "hold “�”, where a letter was lost"),
        ("control_characters", lambda text: _CONTROL.search(text), "hold invisible control characters"),
    )
    found: list[Problem] = []
    for code, is_bad, words in signs:
        bad = [example for example in case.examples if is_bad(everything(example))]
        if bad:
            what = f"{len(bad):,} examples {words} ({where(bad)})."
            found.append(Problem(code=code, what=what, todo="Save the file again as UTF-8 from where it comes from.", severity="warning"))
    return found


CHECK = check
