"""Repairs LabFail's failing runs for real: each is run again with what the advisor offers, at most twice.

    python -m benchmarks.labfail.make.repairs OUT [--each N] [--only CAUSE,CAUSE] [--part dev|heldout]

The trouble stays in: the memory is as small, the row as broken, the kernel as wrong. A run that failed is tried again with what the app
would change by itself (advisor/repair, with the limits that its failures teach), one that came out badly with the first way out that
its findings offer, as if a person pressed Apply. **A run is well** when it finishes, ends clearly below its base on held-out examples, and
X One that its guard put right while it ran is well before the first try, and counted apart. OUT is the
folder the corpus was generated in: its bases are used.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis, Fix
from advisor.proposals.learned import OUT_OF_MEMORY, RAN_AWAY
from advisor.repair.repair import KEPT, repair
from advisor.text import text_plan
from benchmarks.labfail.make.bases import base
from benchmarks.labfail.make.cause import base_loss, best
from benchmarks.labfail.make.causes import causes
from benchmarks.labfail.make.generate import LEARNED
from benchmarks.labfail.make.healthy import PLAIN, setup_of
from benchmarks.labfail.make.setups import Ran, Setup, changed, dumped, run
from benchmarks.labfail.records import HEALTHY, LabRun, corpus
from benchmarks.labfail.replay import case_of, wilson
from loralab.core.events import RunView
from loralab.datasets.fixes import OPERATIONS, Reading, apply
from loralab.planning.limits import Limits, avoid_known_failures, points
from loralab.tasks.text import TextPlan

TRIES = 2
INSIDE, NEVER = 0, -1  # tries it took: none, or not repaired


def well(view: RunView, cause: str, twin: RunView) -> bool:
    """Whether a run is what it should be: see the module."""
    learned = best(view) < base_loss(view) - LEARNED
    return view.state == "finished" and learned and causes()[cause].mended(view, twin)


def failures(case: Case, limits: Limits) -> None:
    """What a failed run teaches never to try again."""
    code = case.view.ending.code if case.view and case.view.ending else ""
    if case.facts:
        memory, rate = points(text_plan(case.plan), case.facts, failed=True)
        if code in (*OUT_OF_MEMORY, *RAN_AWAY):
            limits.learn(memory if code in OUT_OF_MEMORY else rate)


def way_out(case: Case, found: Diagnosis, limits: Limits, tried: list[dict[str, Any]]) -> Fix | None:
    """What is done next; None where nothing is offered that was not tried. A Fix, as the app does it."""
    failed = case.view is not None and case.view.state in ("failed", "killed")
    if failed and (ours := repair(case, found, limits, [fix["settings"] for fix in tried])):
        return Fix(words=ours.words, settings=ours.settings)
    for finding in found.findings:
        for fix in finding.fixes:
            wanted = {n: v for n, v in fix.settings.items() if n not in KEPT}
            settings = {n: v for n, v in (wanted | moved(case, wanted, limits)).items() if getattr(case.asked, n) != v}
            data = fix.data if fix.data in OPERATIONS else ""
            if (settings or data) and not any(old["settings"] == settings and old["data"] == data for old in tried):
                return Fix(words=fix.words, settings=settings, data=data)
    return None


def moved(case: Case, wanted: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """What the app changes further before a start, because something at or beyond it has failed."""
    plan = TextPlan.model_validate(case.plan.model_dump() | wanted)
    return avoid_known_failures(plan, case.facts, limits).settings if case.facts else {}


def applied(setup: Setup, fix: Fix, plan: TextPlan, root: Path) -> Setup:
    """A setup with a way out taken. Raises LabError where the operation on the examples changes nothing."""
    after = replace(setup, settings={**setup.settings, **fix.settings})
    if not fix.data:
        return after
    model, made = base(root, setup.model), root / "work" / "made" / "before.jsonl"
    made.parent.mkdir(parents=True, exist_ok=True)
    if setup.change:  # the operation reads the template that the run read
        model = changed(model, made.with_name("model-before"), setup.change)
    made.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in setup.rows))
    advice = apply(fix.data, made, Reading(plan.max_length, plan.learn_from, plan.roles), model, root / "work")
    return replace(after, rows=tuple(json.loads(line) for line in Path(advice.path).read_text("utf-8").splitlines()))


def repaired(failed: LabRun, twin: RunView, root: Path) -> tuple[int, str]:
    """How many tries it took, INSIDE or NEVER; and how, in words."""
    usual = setup_of(PLAIN, failed.model, failed.data, failed.twin)
    setup = causes()[failed.cause].inject(usual, Random(f"{failed.cause} {failed.number}"))
    if rid := causes()[failed.cause].rid:
        twin = run(rid(setup), root, f"enough-{failed.cause}-{failed.model}-{failed.data}-{failed.number}").view
    if well(failed.view, failed.cause, twin):
        return INSIDE, "put right while it ran"
    now, limits, tried, said = failed, Limits(), list[dict[str, Any]](), list[str]()
    for number in range(TRIES):
        case = case_of(now, now.view)
        failures(case, limits)
        fix = way_out(case, diagnose(case), limits, tried)
        if fix is None:
            return NEVER, "; ".join([*said, "no way out is offered"])
        tried.append({"settings": fix.settings, "data": fix.data})
        setup = applied(setup, fix, text_plan(case.plan), root)
        now = again(failed, setup, run(setup, root, f"repair-{failed.cause}-{failed.model}-{failed.data}-{failed.number}-{number}"), root)
        view = now.view
        said.append(f"{fix.data} {fix.settings}: {view.state}, {base_loss(view):.2f} to {best(view):.2f} beside {best(twin):.2f}")
        if well(view, failed.cause, twin):
            return number + 1, "; ".join(said)
    return NEVER, "; ".join(said)


def again(failed: LabRun, setup: Setup, made: Ran, root: Path) -> LabRun:
    """The record of another try."""
    profile = made.profile.model_dump() if made.profile else None
    plan = {**made.plan, "dataset": failed.plan["dataset"], "base_model": setup.model}
    changes = {"plan": plan, "events": dumped(made.events, root), "log": made.log, "profile": profile, "facts": None}
    return LabRun.model_validate(failed.model_dump() | changes)


def chosen(asked: argparse.Namespace) -> Iterator[tuple[LabRun, RunView]]:
    """Runs to repair and their twins, one of each cause after the other; those nobody looked at come first."""
    runs = corpus()
    twins = {(r.model, r.data, r.number): r.view for r in runs if r.cause == HEALTHY and r.kind == PLAIN}
    groups: dict[str, list[LabRun]] = defaultdict(list)
    for failed in sorted(runs, key=lambda r: (r.part == "dev", r.number)):
        wanted = (not asked.only or failed.cause in asked.only.split(",")) and asked.part in (None, failed.part)
        if wanted and failed.cause != HEALTHY and causes()[failed.cause].fixable:
            groups[failed.cause].append(failed)
    for number in range(asked.each):
        for _, group in sorted(groups.items()):
            if number < len(group):
                yield group[number], twins[group[number].model, group[number].data, group[number].twin]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=99)
    parser.add_argument("--only", default="")
    parser.add_argument("--part", choices=("dev", "heldout"))
    asked = parser.parse_args()
    for module in ("sessions.job", "sessions.text", "runs.worker"):
        importlib.import_module(f"loralab.{module}")
    took: dict[str, list[int]] = defaultdict(list)
    for failed, twin in chosen(asked):
        begun = time.monotonic()
        tries, how = repaired(failed, twin, asked.out.resolve())
        took[failed.cause].append(tries)
        say(f"{tries if tries != NEVER else 'NO'} {failed.key} [{failed.part}] {failed.injected}; {time.monotonic() - begun:.0f} s: {how}")
    say("", "| cause | runs | while it ran | first try | second | not |", "|---|--:|--:|--:|--:|--:|")
    for name, counts in sorted(took.items()):
        say(f"| {name} | {len(counts)} | " + " | ".join(str(counts.count(n)) for n in (INSIDE, 1, 2, NEVER)) + " |")
    every = [tries for counts in took.values() for tries in counts]
    say("", f"repaired: {wilson(sum(n != NEVER for n in every), len(every))}")
    say(f"of those that did not put themselves right: {wilson(sum(n > 0 for n in every), sum(n != INSIDE for n in every))}")


def say(*lines: str) -> None:
    """Lines of the result, at once."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
