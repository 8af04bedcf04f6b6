"""Judges the advisor by what its first advice does: every remedy of a case is really trained, and the best of them is the truth.

    python -m benchmarks.advice.judge OUT --half dev --minutes 10 [--seeds 3] [--base llama]   trains; goes on where it was
    python -m benchmarks.advice.judge OUT --half dev --score                                   the table of what is there
    python -m benchmarks.advice.judge OUT --pack                                               into runs/, compressed

Remedies are each rule's own ways out, half and double the rate and the rounds, the examples put right, and nothing (the same again
with other seeds, which is the noise). The held-out rows are in order whatever was done to the others, and the same for all.
**Regret**: the share of the best remedy's gain that the first advice brings. **Harm**: worse than nothing, beyond the noise. Where no
remedy gains beyond the noise, the right thing is to change nothing.
"""

from __future__ import annotations

import argparse
import importlib
import lzma
import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import Field

from advisor.diagnosis.case import Case, of_view
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis, Fix
from advisor.repair.repair import KEPT
from benchmarks.advice.recipes import Drawn, drawn
from benchmarks.labfail.make import setups
from benchmarks.labfail.make.setups import Setup, run
from benchmarks.labfail.replay import wilson
from loralab.core.events import RunView
from loralab.core.records import Record

MOST = 4  # ways out of the rules that are tried for one run
NOISE_SHARE, NOISE_TIMES = 0.02, 2.0  # of the loss, and standard deviations of the same run with other seeds: less is noise
ENOUGH = 0.8  # of the best remedy's gain
MORE = "add"  # what a way out does with the examples: that there be more of them
MEASURES = ("loss",)  # of the verdict: what remedies are compared by
SLOWEST_SECONDS = 3600.0  # of a training, before it is taken for one that hangs: the machine may be busy
PACKED = Path(__file__).parent / "runs"


class Tried(Record):
    """One remedy and the held-out losses it came to, one a seed."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    data: bool = False  # with the examples put right
    losses: tuple[float, ...] = ()

    @property
    def loss(self) -> float:
        return statistics.fmean(self.losses)


class Judged(Record):
    """A case with all its remedies. `advice`: the name of the first thing that is advised; empty: nothing is."""

    key: str
    half: str
    base: str
    faults: tuple[str, ...]
    rule: str = ""
    alarm: bool = False
    advice: str = ""
    advised: str = ""  # in words, for what no remedy stands for
    tried: tuple[Tried, ...] = ()
    seconds: float = 0.0

    def of(self, name: str) -> Tried | None:
        return next((one for one in self.tried if one.name == name), None)

    @property
    def nothing(self) -> Tried:
        return self.tried[0]

    @property
    def noise(self) -> float:
        spread = statistics.stdev(self.nothing.losses) if len(self.nothing.losses) > 1 else 0.0
        return max(NOISE_SHARE * self.nothing.loss, NOISE_TIMES * spread)

    def gain(self, name: str) -> float:
        found = self.of(name)
        return self.nothing.loss - found.loss if found else 0.0

    @property
    def best(self) -> Tried:
        return min(self.tried, key=lambda one: one.loss)

    @property
    def helped(self) -> bool:
        """Whether anything that was tried helps beyond the noise."""
        return self.nothing.loss - self.best.loss > self.noise


def loss_of(view: RunView) -> float:
    """The held-out loss of what is kept; of the base where nothing came of it."""
    found = {look.split: look.loss for look in view.evaluations if math.isfinite(look.loss)}
    looks = [look.loss for look in view.evaluations if look.split == "heldout" and math.isfinite(look.loss)]
    return found.get("final", min(looks, default=found.get("base", math.inf)))


def remedies(case: Case, found: Diagnosis) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """(name, settings, with the examples put right): each rule's own, then what anybody would try."""
    plan, rounds = case.asked, case.course.rounds
    own = [(finding, fix) for finding in found.findings for fix in finding.fixes if _does(fix, case)][:MOST]
    yield from ((named(finding.rule, fix), _settings(fix), bool(fix.data)) for finding, fix in own)
    yield "half the rate", {"learning_rate": plan.learning_rate / 2}, False
    yield "double the rate", {"learning_rate": min(0.9, 2 * plan.learning_rate)}, False
    yield "half the rounds", case.course.go_over(max(0.5, rounds / 2)), False
    yield "double the rounds", case.course.longer(), False
    yield "the examples put right", {}, True


def named(rule: str, fix: Fix) -> str:
    """What a way out is called among the remedies."""
    return f"{rule}: {fix.words}"


def _settings(fix: Fix) -> dict[str, Any]:
    return {name: value for name, value in fix.settings.items() if name not in KEPT}


def _does(fix: Fix, case: Case) -> bool:
    """Whether a way out can be carried out here: other settings, or the examples put right."""
    before = case.asked.model_dump()
    return bool(fix.data and fix.data != MORE) or any(before[name] != value for name, value in _settings(fix).items())


def trained(of: Drawn, base: str, settings: dict[str, Any], root: Path, seed: int, *, clean: bool) -> tuple[RunView, dict[str, Any]]:
    """One real training."""
    rows = of.clean if clean else of.rows
    setup = Setup(base, f"case-{of.key.split('/')[0]}", seed, rows, of.settings | settings | {"seed": seed})
    made = run(replace(setup, measures=MEASURES), root, f"advice-{of.key.split('/')[0]}-{seed}")
    return made.view, made.plan


def judged(of: Drawn, base: str, root: Path, seeds: int) -> Judged:
    """A case, with every remedy trained."""
    begun, number = time.monotonic(), int(of.settings["seed"])
    view, plan = trained(of, base, {}, root, number, clean=False)
    case = of_view(plan, view)
    found = diagnose(case)
    tried = [Tried(name="nothing", losses=(loss_of(view), *_losses(of, base, {}, root, number, seeds - 1, clean=False)))]
    seen: list[tuple[dict[str, Any], bool]] = []
    for name, settings, clean in remedies(case, found):
        if (settings, clean) not in seen:
            seen.append((settings, clean))
            losses = tuple(_losses(of, base, settings, root, number, seeds, clean=clean))
            tried.append(Tried(name=name, settings=settings, data=clean, losses=losses))
    first = next((one for one in found.findings if one.alarm and one.fixes), None)
    fix = first.fixes[0] if first else None
    return Judged(
        key=of.key,
        half=of.half,
        base=base,
        faults=of.faults,
        rule=first.rule if first else "",
        alarm=bool(found.alarms),
        advice=_among(tried, first.rule, fix) if first and fix else "",
        advised=fix.words if fix else "",
        tried=tuple(tried),
        seconds=round(time.monotonic() - begun, 1),
    )


def _among(tried: list[Tried], rule: str, fix: Fix) -> str:
    """The remedy that an advice is; putting the examples right where it is about them. None for more examples: there are none to try."""
    name = named(rule, fix)
    if any(one.name == name for one in tried):
        return name
    if fix.data == MORE:
        return ""
    same = next((one.name for one in tried if fix.settings and one.settings == _settings(fix)), "")
    return same or ("the examples put right" if fix.data else "nothing")


def _losses(of: Drawn, base: str, settings: dict[str, Any], root: Path, number: int, seeds: int, *, clean: bool) -> Iterator[float]:
    for seed in range(1, seeds + 1):
        yield loss_of(trained(of, base, settings, root, number + 1000 * seed, clean=clean)[0])


def kept(path: Path) -> list[Judged]:
    """What is there already."""
    raw = lzma.decompress(path.read_bytes()).decode() if path.suffix == ".xz" else path.read_text("utf-8") if path.exists() else ""
    return [Judged.model_validate_json(line) for line in raw.splitlines()]


def table(cases: list[Judged]) -> list[str]:
    """Regret, harm and false alarms, each with its number."""
    wrong = [one for one in cases if one.faults]
    helped = [one for one in wrong if one.helped]
    shares = [one.gain(one.advice) / one.gain(one.best.name) for one in helped]
    harmed = [one for one in cases if one.advice and one.gain(one.advice) < -one.noise]
    vain = [one for one in wrong if not one.helped]
    well = [one for one in cases if not one.faults]
    told = [one for one in well if one.advice and not one.helped]
    return [
        f"cases: {len(wrong)} with faults, {len(well)} without; {sum(len(t.losses) for one in cases for t in one.tried)} trainings",
        f"gain of the first advice, share of the best remedy's: median {statistics.median(shares):.2f} of {len(shares)}" if shares else "-",
        f"at least {ENOUGH:.0%} of the best: {wilson(sum(share >= ENOUGH for share in shares), len(shares))}",
        f"harm: {wilson(len(harmed), len(cases))}",
        f"nothing would help, and nothing is advised that changes a setting: {wilson(sum(not one.advice for one in vain), len(vain))}",
        f"without faults, told to change something that does not help: {wilson(len(told), len(well))}",
    ]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--half", choices=("dev", "closed"), default="dev")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", default="llama")
    parser.add_argument("--only", default="", help="numbers of cases, with commas; else all of the half, in order")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--pack", action="store_true")
    asked = parser.parse_args()
    path, until = asked.out / f"{asked.half}.jsonl", time.monotonic() + 60 * asked.minutes
    if asked.pack:
        PACKED.mkdir(exist_ok=True)
        for found in sorted(asked.out.glob("*.jsonl")):
            (PACKED / f"{found.name}.xz").write_bytes(lzma.compress(found.read_bytes(), preset=9))
        return
    if not asked.score:
        setups.PATIENCE_SECONDS = SLOWEST_SECONDS
        for module in ("sessions.job", "sessions.text", "runs.worker"):
            importlib.import_module(f"loralab.{module}")
        done = {one.key for one in kept(path)}
        for number in map(int, asked.only.split(",")) if asked.only else count():
            if time.monotonic() >= until:
                break
            of = drawn(number)
            if of.half != asked.half or of.key in done:
                continue
            made = judged(of, asked.base, asked.out, asked.seeds)
            with path.open("a", encoding="utf-8") as file:
                file.write(made.model_dump_json() + "\n")
            best = f"{made.best.name} {made.best.loss:.3f}"
            said = f"{made.advice or 'none'} ({made.gain(made.advice):+.3f})"
            sys.stdout.write(f"{of.key} {list(of.faults)}: {made.nothing.loss:.3f}; best {best}; advice {said}; {made.seconds:.0f} s\n")
            sys.stdout.flush()
    sys.stdout.write("\n".join(table(kept(path))) + "\n")


if __name__ == "__main__":
    main()
