"""Repairs LabFail's failing runs for real: each is run again with what the advisor's best way out changes, at most twice.

    python -m benchmarks.labfail.repairs OUT [--each N] [--only CAUSE]

The trouble stays in: the memory is as small, the row as broken, the kernel as wrong. A repair succeeds when the run finishes, ends
clearly below its base on held-out examples, and is not told the same cause again. OUT is the folder the corpus was generated in: its bases
are used.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from advisor.diagnose import diagnose
from advisor.findings import Diagnosis
from benchmarks.labfail.causes import base_loss, best, causes
from benchmarks.labfail.generate import LEARNED
from benchmarks.labfail.healthy import PLAIN, setup_of
from benchmarks.labfail.records import LabRun, corpus
from benchmarks.labfail.replay import case_of, right, wilson
from benchmarks.labfail.setups import Ran, Setup, dumped, run

TRIES = 2
KEPT = frozenset({"dataset", "base_model", "seed", "heldout_share"})  # what is asked for, not how it is done


def way_out(found: Diagnosis, plan: dict[str, Any], tried: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The settings that the likeliest cause with a way out changes; None where there is none that was not tried."""
    for finding in found.findings:
        for fix in finding.fixes:
            changed = {name: value for name, value in fix.settings.items() if name not in KEPT and plan.get(name) != value}
            if changed and changed not in tried:
                return changed
    return None


def repaired(failed: LabRun, root: Path) -> tuple[bool, str]:
    """Whether it was repaired within TRIES, and how, in words."""
    cause = causes()[failed.cause]
    usual = setup_of(PLAIN, failed.model, failed.data, failed.twin)
    setup = cause.inject(usual, Random(f"{failed.cause} {failed.number}"))
    now, tried, said = failed, list[dict[str, Any]](), list[str]()
    for number in range(TRIES):
        found = diagnose(case_of(now, now.view))
        changed = way_out(found, now.plan, tried)
        if changed is None:
            return False, "; ".join([*said, "no way out is offered"])
        tried.append(changed)
        setup = replace(setup, settings={**setup.settings, **changed})
        made = run(setup, root, f"repair-{failed.cause}-{failed.model}-{failed.data}-{failed.number}-{number}")
        now = again(failed, setup, made, root)
        view = now.view
        after = diagnose(case_of(now, view))
        named = any(right(now, finding) for finding in after.alarms)
        said.append(f"{changed}: {view.state}, {base_loss(view):.2f} to {best(view):.2f}{', the same again' if named else ''}")
        if view.state == "finished" and best(view) < base_loss(view) - LEARNED and not named:
            return True, "; ".join(said)
    return False, "; ".join(said)


def again(failed: LabRun, setup: Setup, made: Ran, root: Path) -> LabRun:
    """The record of another try."""
    profile = made.profile.model_dump() if made.profile else None
    plan = {**made.plan, "dataset": failed.plan["dataset"], "base_model": setup.model}
    changes = {"plan": plan, "events": dumped(made.events, root), "log": made.log, "profile": profile, "facts": None}
    return LabRun.model_validate(failed.model_dump() | changes)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    for module in ("train.job", "train.text", "worker"):
        importlib.import_module(f"loralab.{module}")
    groups: dict[str, list[LabRun]] = defaultdict(list)
    for failed in corpus():
        if failed.cause in causes() and causes()[failed.cause].fixable and asked.only in ("", failed.cause):
            groups[failed.cause].append(failed)
    done: dict[str, list[bool]] = defaultdict(list)
    for number in range(asked.each):
        for name, runs in sorted(groups.items()):
            if number >= len(runs):
                continue
            failed = sorted(runs, key=lambda r: (r.part == "dev", r.number))[number]  # those nobody looked at come first
            begun = time.monotonic()
            well, how = repaired(failed, asked.out.resolve())
            done[name].append(well)
            every = [one for ones in done.values() for one in ones]
            sys.stdout.write(f"{'ok' if well else 'NO'} {failed.key} [{failed.part}] {time.monotonic() - begun:.0f} s: {how}\n")
            sys.stdout.write(f"   so far {wilson(sum(every), len(every))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
