"""Owns what is known of the licence of a base model and of examples: from the catalogue, or from the papers that lie with them.

Invariant: what no paper says is not guessed; then a person is told to ask.
"""

from __future__ import annotations

import re
from pathlib import Path

from loralab.datasets.on_hub import from_hub
from loralab.datasets.samples import sample_at

UNKNOWN = "not known: ask before you publish"
_FRONT = re.compile(r"\A---\s*\n(?:.*\n)*?license:[ \t]*([\w.+-]+)[ \t]*\n(?:.*\n)*?---", re.IGNORECASE)
_HEADS = (
    ("apache license", "Apache-2.0"),
    ("mit license", "MIT"),
    ("gnu affero general public license", "AGPL"),
    ("gnu lesser general public license", "LGPL"),
    ("gnu general public license", "GPL"),
    ("creative commons attribution-noncommercial", "CC BY-NC"),
    ("creative commons attribution-sharealike", "CC BY-SA"),
    ("creative commons attribution", "CC BY"),
    ("cc0", "CC0"),
    ("redistribution and use in source and binary forms", "BSD"),
)
_HEAD = 4000  # characters of a paper that are looked at


def in_folder(folder: Path) -> str:
    """What the README or the LICENSE in a folder says; empty where neither says anything known."""
    for path in sorted(folder.glob("README*")) if folder.is_dir() else ():
        if found := _FRONT.match(_text(path)):
            return found[1]
    papers = sorted(p for p in folder.iterdir() if re.match(r"licen[sc]e|copying", p.name, re.IGNORECASE)) if folder.is_dir() else []
    for path in papers:
        text = " ".join(_text(path).lower().split())
        return next((name for words, name in _HEADS if words in text), f"see its file {path.name}")
    return ""


def of_data(dataset: str) -> str:
    """Of the examples a plan names: a bundled sample's, that of the folder they lie in as one, or what the Hub said."""
    path = Path(dataset)
    sample = sample_at(path) if dataset else None
    return f"{sample.licence} ({sample.credit})" if sample else (in_folder(path) or from_hub(path)) if dataset else ""


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_HEAD)
    except OSError:
        return ""
