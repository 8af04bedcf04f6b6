"""What a plan's examples teach, read before its first update. Invariants: the same file and settings are not read twice; a large file is
looked at in part, so that an answer takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from loralab.core.facts import Facts
from loralab.core.records import DatasetProfile, Example, Plan
from loralab.datasets.checks import Case, people
from loralab.datasets.fixes import OPERATIONS, Reading
from loralab.datasets.large.store import StoredExamples
from loralab.datasets.loading import load_examples
from loralab.datasets.readable import readable
from loralab.datasets.run_facts import of_plan
from loralab.models.tokenize import TextEncoder
from loralab.planning.examined_pictures import what_pictures_teach
from loralab.tasks.draw import DrawPlan
from loralab.tasks.pictures import PicturePlan
from loralab.tasks.text import TextPlan

MOST_EXAMPLES = 6_000  # looked at; more are sampled
READS = (
    "dataset",
    "guessed",
    "roles",
    "parts",
    "max_length",
    "learn_from",
    "heldout_share",
    "heldout_by",
    "seed",
)  # what a model reads depends on these

Stamp = tuple[tuple[str, int, int], ...]


def what_is_learned(plan: Plan, model_folder: Path, home: Path | None = None) -> tuple[Facts, DatasetProfile]:
    """Facts of a plan, and what reading its file found; remembered as long as neither the file, the model nor a setting changes.

    `home`: the workspace, where a large file was read into. Raises UserError where its examples or its model's tokenizer cannot be read.
    """
    if isinstance(plan, PicturePlan | DrawPlan):
        return what_pictures_teach(plan, _stamp(Path(plan.dataset)), home)
    read = TextPlan.model_validate({name: getattr(plan, name) for name in READS})
    return _examined(read.model_dump_json(include=set(READS)), _stamp(Path(plan.dataset)), model_folder, _stamp(model_folder), home)


@lru_cache(maxsize=16)
def _examined(reads: str, _data: Stamp, model_folder: Path, _model: Stamp, home: Path | None) -> tuple[Facts, DatasetProfile]:
    plan = TextPlan.model_validate_json(reads)
    examples, loaded = load_examples(Path(plan.dataset), plan.roles or None, plan.parts, home=home)
    encoder = TextEncoder(model_folder)
    examples, loaded = readable(encoder, examples, loaded)
    if plan.guessed:  # read again by its columns it would look certain
        loaded = loaded.model_copy(update={"certain": False})
    facts = of_plan(plan, encoder, examples, MOST_EXAMPLES).model_copy(update={"guessed": plan.guessed})
    profile = DatasetProfile(
        id=facts.data,
        path=plan.dataset,
        n_kept=len(examples),
        n_train=facts.n_train,
        n_heldout=facts.n_heldout,
        n_duplicates=facts.repeated,
        tokens=facts.tokens,
        tokenizer=model_folder.name,
        findings=tuple(people.check(Case(_some(examples), loaded))),
        **loaded.model_dump(exclude={"path"}),
    )
    return facts, profile


def what_would_be_learned(plan: Plan, model_folder: Path, operation: str, home: Path | None = None) -> Facts:
    """Facts of a plan once its examples were changed by an operation of loralab.datasets.fixes. Raises UserError as above."""
    read = TextPlan.model_validate({name: getattr(plan, name) for name in READS})
    return _changed(
        read.model_dump_json(include=set(READS)), _stamp(Path(plan.dataset)), model_folder, _stamp(model_folder), operation, home
    )


@lru_cache(maxsize=16)
def _changed(reads: str, _data: Stamp, model_folder: Path, _model: Stamp, operation: str, home: Path | None) -> Facts:
    plan, encoder = TextPlan.model_validate_json(reads), TextEncoder(model_folder)
    reading = Reading(plan.max_length, plan.learn_from, plan.roles, plan.parts)
    examples, _ = load_examples(Path(plan.dataset), plan.roles or None, plan.parts, home=home)
    return of_plan(plan, encoder, OPERATIONS[operation].apply(_some(examples), reading, encoder), MOST_EXAMPLES)


def rows_said(plan: Plan, rows: Sequence[int], home: Path | None = None) -> dict[int, tuple[str, str]]:
    """Question and answer of some rows of a plan's examples, by row; those that can be read. Raises UserError where the file cannot be."""
    read = TextPlan.model_validate({name: getattr(plan, name) for name in READS})
    examples, _ = load_examples(Path(read.dataset), read.roles or None, read.parts, home=home)
    wanted = set(rows)
    found = (example for example in examples if example.row in wanted and len(example.messages) > 1)
    return {example.row: (example.messages[-2].said, example.messages[-1].said) for example in found}


def _some(examples: Sequence[Example]) -> Sequence[Example]:
    """Of a large file's examples some, evenly spread; else all."""
    return examples.evenly(MOST_EXAMPLES) if isinstance(examples, StoredExamples) else examples


def _stamp(path: Path) -> Stamp:
    """Name, time and size of a file, or of the files of a folder: changes when any of them does."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path] if path.is_file() else []
    found = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)
