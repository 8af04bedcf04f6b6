"""Owns what is known of a plan before its first update: its examples read once, looked at by every rule that needs no run.

Invariants: the same file and settings are not read twice; a large file is looked at in part, so that an answer takes seconds; only what is
certain stands in the way of a start.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis, Finding
from advisor.text import TextPlan, text_plan
from loralab.core.errors import UserError
from loralab.core.facts import Facts
from loralab.core.records import DatasetProfile, Plan
from loralab.datasets.profile import load_examples
from loralab.datasets.run_facts import of_plan
from loralab.lab import Lab
from loralab.models.tokenize import TextEncoder
from loralab.planning import estimate

MOST = 6_000  # examples looked at; more are sampled
CERTAIN = 0.95
READS = ("dataset", "roles", "max_length", "learn_from", "heldout_share", "seed")  # settings on which it depends what a model reads

Stamp = tuple[tuple[str, int, int], ...]


def preflight(lab: Lab, plan: Plan, profile: DatasetProfile | None = None) -> Diagnosis:
    """What would go wrong with a plan. Raises UserError where its examples or its model's tokenizer cannot be read."""
    if not isinstance(plan, TextPlan):
        raise UserError("Only plans for texts can be looked at before they start.", code="bad_task")
    facts, read = examined(plan, lab.catalog.tokenizer_folder(plan.base_model))
    profile, machine = profile or read, lab.machine()
    needs = estimate.footprint(plan, lab.check_model(plan.base_model), machine, profile)
    return diagnose(Case(plan=plan, asked=plan, facts=facts, profile=profile, machine=machine, needs=needs))


def blocking(diagnosis: Diagnosis) -> Finding | None:
    """What stands in the way of a start: the first finding that is certain to spoil the run."""
    return next((f for f in diagnosis.alarms if f.action == "block" and f.severity == "error" and f.confidence >= CERTAIN), None)


def insist(diagnosis: Diagnosis) -> None:
    """Raise UserError where something certain stands in the way of a start."""
    found = blocking(diagnosis)
    if found is not None:
        todo = found.fixes[0].words if found.fixes else ""
        raise UserError(f"{found.title}. {found.words}", todo, code=f"preflight_{found.rule}")


def examined(plan: Plan, model_folder: Path) -> tuple[Facts, DatasetProfile]:
    """Facts of a plan, and what reading its file found; remembered as long as neither the file, the model nor a setting changes."""
    read = text_plan({name: getattr(plan, name) for name in READS})
    return _examined(read.model_dump_json(include=set(READS)), _stamp(Path(plan.dataset)), model_folder, _stamp(model_folder))


@lru_cache(maxsize=16)
def _examined(reads: str, _data: Stamp, model_folder: Path, _model: Stamp) -> tuple[Facts, DatasetProfile]:
    plan = TextPlan.model_validate_json(reads)
    examples, loaded = load_examples(Path(plan.dataset), plan.roles or None)
    facts = of_plan(plan, TextEncoder(model_folder), examples, MOST)
    profile = DatasetProfile(
        id=facts.data,
        name=loaded.name,
        path=plan.dataset,
        shape=loaded.shape,
        roles=loaded.roles,
        columns=loaded.columns,
        certain=loaded.certain,
        encoding=loaded.encoding,
        n_read=loaded.n_read,
        n_kept=len(examples),
        left_out=loaded.left_out,
        n_train=facts.n_train,
        n_heldout=facts.n_heldout,
        n_duplicates=facts.repeated,
        tokens=facts.tokens,
        tokenizer=model_folder.name,
    )
    return facts, profile


def _stamp(path: Path) -> Stamp:
    """Name, time and size of a file, or of the files of a folder: changes when any of them does."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path] if path.is_file() else []
    found = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)
