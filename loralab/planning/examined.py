"""What a plan's examples teach, read before its first update. Invariants: the same file and settings are not read twice; a large file is
looked at in part, so that an answer takes seconds.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from loralab.core.facts import Facts
from loralab.core.records import DatasetProfile, Plan
from loralab.datasets.dataset import load_examples
from loralab.datasets.run_facts import of_plan
from loralab.models.tokenize import TextEncoder
from loralab.tasks.text import TextPlan

MOST_EXAMPLES = 6_000  # looked at; more are sampled
READS = ("dataset", "roles", "max_length", "learn_from", "heldout_share", "seed")  # settings on which it depends what a model reads

Stamp = tuple[tuple[str, int, int], ...]


def what_is_learned(plan: Plan, model_folder: Path) -> tuple[Facts, DatasetProfile]:
    """Facts of a plan, and what reading its file found; remembered as long as neither the file, the model nor a setting changes.

    Raises UserError where its examples or its model's tokenizer cannot be read.
    """
    read = TextPlan.model_validate({name: getattr(plan, name) for name in READS})
    return _examined(read.model_dump_json(include=set(READS)), _stamp(Path(plan.dataset)), model_folder, _stamp(model_folder))


@lru_cache(maxsize=16)
def _examined(reads: str, _data: Stamp, model_folder: Path, _model: Stamp) -> tuple[Facts, DatasetProfile]:
    plan = TextPlan.model_validate_json(reads)
    examples, loaded = load_examples(Path(plan.dataset), plan.roles or None)
    facts = of_plan(plan, TextEncoder(model_folder), examples, MOST_EXAMPLES)
    profile = DatasetProfile(
        id=facts.data,
        path=plan.dataset,
        n_kept=len(examples),
        n_train=facts.n_train,
        n_heldout=facts.n_heldout,
        n_duplicates=facts.repeated,
        tokens=facts.tokens,
        tokenizer=model_folder.name,
        **loaded.model_dump(exclude={"path"}),
    )
    return facts, profile


def _stamp(path: Path) -> Stamp:
    """Name, time and size of a file, or of the files of a folder: changes when any of them does."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path] if path.is_file() else []
    found = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)
