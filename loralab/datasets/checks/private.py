"""Private data: e-mail addresses, telephone numbers, keys. What a model learns it may say to anybody, so this is told before training.

The findings name rows and never repeat what was found.
"""

from __future__ import annotations

import re

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case, everything, where

_EMAIL = re.compile(r"\b[\w.+-]{1,64}@(?!example\.)[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[A-Za-z]{2,12}\b")
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\w)"  # 555-123-4567, (555) 123 4567
    r"|(?<!\w)\+\d{1,3}(?:[ .-]?\d{2,4}){3,4}(?!\w)"  # +44 20 7946 0958
)
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)[-_][A-Za-z0-9_-]{16,}|\bsk-[A-Za-z0-9]{32,}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}\b|\bhf_[A-Za-z0-9]{30,}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}\b|\bAIza[0-9A-Za-z_-]{35}\b"
    r"|(?i:\b(?:password|passwd|api[_-]?key|secret)\b\s*[:=]\s*[\"']?(?=\S*\d)\S{8,})"
)


KNOWN = "Remove or replace them, unless everyone who can use the model may know them."
_KINDS = (
    ("secrets", _SECRET, "", "Passwords or keys", "Remove them, and change them if they are real: a model repeats what it learned."),
    ("emails", _EMAIL, "@", "E-mail addresses", KNOWN),
    ("phone_numbers", _PHONE, "", "Telephone numbers", KNOWN),
)


def kinds_in(text: str) -> dict[str, str]:
    """What of private data seems to stand in a text: code -> what it is called."""
    return {code: words for code, pattern, sign, words, _ in _KINDS if (not sign or sign in text) and pattern.search(text)}


def check(case: Case) -> list[Problem]:
    """Warnings with row numbers, one per kind."""
    texts = [(example, kinds_in(everything(example))) for example in case.examples]
    found: list[Problem] = []
    for code, _, _, words, todo in _KINDS:
        hits = [example for example, kinds in texts if code in kinds]
        if hits:
            what = f"{words} seem to stand in {count(len(hits), 'example')} ({where(hits)})."
            found.append(Problem(code=code, what=what, todo=todo, severity="warning"))
    return found


CHECK = check
