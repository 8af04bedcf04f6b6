"""Owns how a run is named to a person: by its title and its day, as in the list at the side, never by its id.

Invariant: a run that nobody remembers keeps its id, which the command line knows.
"""

from __future__ import annotations

import re
import time
from typing import Any

from loralab.core.jobs import data_title
from loralab.lab import Lab

_RUN = re.compile(r"\b\d{4}-\d\d-\d\d-[a-z]+-[a-z]+(?:-\d+)?\b")


def spoken(lab: Lab, text: str) -> str:
    """A text in which ids of runs are replaced by what a person knows them by."""
    if not _RUN.search(text):
        return text
    known = {str(row["id"]): row for row in lab.runs()}
    return _RUN.sub(lambda found: _named(known[found[0]]) if found[0] in known else _gone(lab, found[0]), text)


def name_of(row: dict[str, Any], run: str = "") -> str:
    """The title of a run of `Lab.runs` or of a plan, or the name of its file of examples."""
    return str(row.get("title") or data_title(str(row.get("dataset") or "")) or run or row.get("id", ""))


def run_title(lab: Lab, run: str) -> str:
    """What a person knows a run by."""
    return lab.job(run).title or run if run else ""


def when(started: Any) -> str:
    """“today 14:05” or “3 Nov”."""
    if not started:
        return ""
    then = time.localtime(float(started))
    today = time.localtime()
    same = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("today %H:%M", then) if same else time.strftime("%d %b %H:%M", then)


def _gone(lab: Lab, run: str) -> str:
    memory = lab.history.memories.of(run)
    name = (memory.title or memory.dataset) if memory else ""
    if not memory or not name:
        return run
    return f"“{name}” ({', '.join(filter(None, (when(memory.started), 'from elsewhere' if memory.imported else 'deleted')))})"


def _named(row: dict[str, Any]) -> str:
    return f"“{name_of(row)}” ({when(row.get('started'))})" if row.get("started") else f"“{name_of(row)}”"
