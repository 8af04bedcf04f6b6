"""Measures the facts and profiles of a generated corpus again, where what a worker notes has grown since: `... refresh OUT`, then pack.

No training: the examples and the model of every run lie in OUT still, and facts are a function of them and of the plan.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.labfail import records
from benchmarks.labfail.make.bases import base
from benchmarks.labfail.records import LabRun
from loralab.core.errors import LabError
from loralab.datasets.loading import load_examples
from loralab.datasets.profile import profile_dataset
from loralab.datasets.run_facts import of_plan
from loralab.models.tokenize import TextEncoder
from loralab.tasks.text import TextPlan


def refreshed(run: LabRun, out: Path) -> LabRun:
    """The run with facts and profile as they are measured today; as it is where its examples could not be read then or cannot now."""
    own = out / "work" / "made" / run.key.replace("/", "-")
    model = own / run.model if (own / run.model).is_dir() else base(out, run.model)
    plan = TextPlan.model_validate(run.plan | {"dataset": str(own / f"{run.data}.jsonl"), "base_model": str(model)})
    changes: dict[str, object] = {}
    then = run.view.facts
    try:
        found = of_plan(plan, TextEncoder(model), load_examples(Path(plan.dataset), plan.roles or None)[0])
    except LabError:
        found = None
    if found is not None:
        told = then.model_dump(include={"trainable", "parameters", "device"}) if then else {}
        changes["facts"] = found.model_copy(update=told).model_dump()
    try:
        profile = profile_dataset(own / f"{run.data}.jsonl", model, roles=plan.roles or None, learn_from=plan.learn_from)
        changes["profile"] = profile.model_copy(update={"previews": (), "path": profile.name}).model_dump()
    except LabError:
        changes["profile"] = None
    return LabRun.model_validate(run.model_dump() | changes)


def main() -> None:
    """Every file of the corpus, one after another."""
    out = Path(sys.argv[1]).resolve()
    for path in sorted((out / "records").glob("*.jsonl")):
        made = [records.as_line(refreshed(run, out)) for run in records.read(path)]
        path.with_suffix(".new").write_text("".join(made), "utf-8")
        path.with_suffix(".new").replace(path)
        sys.stdout.write(f"{path.name}: {len(made)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
