"""Owns what people call a run. Invariants: a name given later lies beside job.json, which is never written again; no two runs begin with
one name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.jobs import TITLE_CHARACTERS, Job, TrainJob
from loralab.core.paths import write_atomic
from loralab.runs import runs
from loralab.runs.run_folder import TITLE_FILE

_NUMBERED = re.compile(r"(.+) (\d{1,3})")


def rename(home: Path, run: str, title: str) -> str:
    """Give a training another name; the name as it is kept. Raises UserError for one that is none."""
    place = runs.folder(home, run)
    if not isinstance(runs.job(home, run), TrainJob):
        raise UserError("Only a training has a name of its own.", "Choose a training.", code="no_training")
    kept = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    if not kept:
        raise UserError("A run needs a name.", "Write at least one letter.", code="no_title")
    if len(kept) > TITLE_CHARACTERS:
        what = f"A name has at most {TITLE_CHARACTERS} characters; this one has {len(kept)}."
        raise UserError(what, "Write a shorter one.", code="long_title")
    write_atomic(place / TITLE_FILE, kept)
    return kept


def titled(home: Path, job: Job, known: Mapping[str, str]) -> Job:
    """A training with a name that no other has: the one it was given, that of its examples among the `known`, or that of their file."""
    if not isinstance(job, TrainJob):
        return job
    wanted = str(job.plan.get("title") or known.get(str(job.plan.get("dataset")), job.title))
    return job.model_copy(update={"plan": job.plan | {"title": numbered(wanted, taken(home))}}) if wanted else job


def taken(home: Path) -> set[str]:
    """The names of the trainings there are."""
    found: set[str] = set()
    for run in runs.list_runs(home):
        try:
            job = runs.job(home, run)
        except UserError:  # a job that cannot be read has no name
            continue
        if isinstance(job, TrainJob):
            found.add(job.title)
    return found


def numbered(wanted: str, others: Collection[str]) -> str:
    """`wanted`, or where another run is called that, the next with a number: A poet, A poet 2, A poet 3."""
    if wanted not in others:
        return wanted
    found = _NUMBERED.fullmatch(wanted)
    base = found[1] if found and found[1] in others else wanted
    number = next(n for n in range(2, len(others) + 3) if f"{base} {n}" not in others)
    return f"{base[: TITLE_CHARACTERS - 1 - len(str(number))]} {number}"
