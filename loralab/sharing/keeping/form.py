"""Owns the form of a kept run: what its zip holds, and how places of one computer become places of another.

    loralab.json          what it is, and the checksum of every other file
    run/                  job.json, events.jsonl, title.txt, base.json, artifacts/
    data/                 the examples, where they were wished for
    README.md, report.html, plan.json, page-*.html     to be read without LoRALab

Invariant: a place stands in it as `loralab://run`, `loralab://data`, `loralab://base`, `loralab://bundled` or
`loralab://home`, never as a path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from loralab.core.records import Record

MANIFEST = "loralab.json"
KIND, VERSION = "loralab-kept-run", 1
RUN_FILES = ("job.json", "events.jsonl", "title.txt", "base.json")
MARK = "loralab://"
_MARKED = re.compile(r'loralab://(run|data|base|bundled|home)((?:[^"\\\s]|\\.)*)')


class Inside(Record):
    """One file of the zip."""

    sha256: str
    bytes: int = Field(ge=0)


class Manifest(Record):
    """What loralab.json says."""

    kind: str
    version: int
    made_by: str = ""
    run: str
    title: str = ""
    task: str = "text"
    base: str = ""  # as others know it: a name of the catalogue, a Hub id, or a folder's name
    base_print: dict[str, str] = Field(default_factory=dict)
    dataset: str = ""  # its name
    data: bool = False  # whether the examples are in it
    files: dict[str, Inside]


def without_places(text: str, places: Mapping[str, Path]) -> str:
    """A text of JSON in which folders of this computer are marks. `places`: mark -> folder; the longest goes first."""
    for mark, place in sorted(places.items(), key=lambda pair: -len(str(pair[1]))):
        written = re.escape(json.dumps(str(place), ensure_ascii=False)[1:-1])
        text = re.sub(rf'{written}((?:/|\\\\)(?:[^"\\\s]|\\.)*)?(?![\w-])', lambda found, to=mark: _marked(to, found[1]), text)
    return text


def _marked(mark: str, rest: str | None) -> str:
    return f"{MARK}{mark}{(rest or '').replace(chr(92) * 2, '/')}"


def with_places(text: str, places: Mapping[str, Path]) -> str:
    """The opposite: marks become folders of this computer. A mark that leads out of its folder stays a mark."""

    def placed(found: re.Match[str]) -> str:
        parts = [part for part in found[2].split("/") if part]
        if ".." in parts or found[1] not in places:
            return found[0]
        return json.dumps(str(places[found[1]].joinpath(*parts)), ensure_ascii=False)[1:-1]

    return _MARKED.sub(placed, text)
