"""How long the rules' answer takes for a run of 10,000 updates, a run that does well and one that does not.

    python -m benchmarks.diagnosis_speed

The log is read and folded before the clock starts: the app holds the view already. What the answer costs is given with the dearest rules.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import numpy as np

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.rules import rules
from loralab.core.events import Event
from tests.support.built_cases import case, change, curve, did_not_fit, finished, incident, looks

UPDATES, TIMES = 10_000, 20


def _fresh(one: Case) -> Case:
    """The same case with nothing computed yet."""
    return Case(plan=one.plan, asked=one.asked, facts=one.facts, view=one.view, log=one.log)


def _runs() -> dict[str, Case]:
    random = np.random.default_rng(0)
    losses = (1 + 2 * np.exp(-np.arange(UPDATES) / 2000) + random.normal(0, 0.2, UPDATES)).tolist()
    norms = np.exp(random.normal(0, 0.3, UPDATES)).tolist()
    seen = looks(3.0, *((n, losses[n - 1]) for n in range(100, UPDATES + 1, 100)))
    well: list[Event] = [*curve(losses, norms), *seen, finished(UPDATES)]
    rough: list[Event] = [
        *well,
        *(incident("diverged", n, heldout=9.0) for n in (500, 3000)),
        *(incident("non_finite", n, rows=[1]) for n in range(10, 3000, 100)),
        *(did_not_fit(n) for n in range(0, 9000, 90)),
        change("learning_rate", 2e-4, 4e-5, 499),
    ]
    return {"a run that does well": case(well), "a run with 132 incidents": case(rough)}


def main() -> None:
    """Milliseconds, as the median of TIMES."""
    rules()  # importing them is no part of an answer
    for name, one in _runs().items():
        took = []
        for _ in range(TIMES):
            fresh, begun = _fresh(one), time.perf_counter()
            diagnose(fresh)
            took.append(1e3 * (time.perf_counter() - begun))
        cost: dict[str, float] = {}
        fresh = _fresh(one)
        for rule_name, rule in rules().items():
            begun = time.perf_counter()
            rule.find(rule_name, fresh)
            cost[rule_name] = 1e3 * (time.perf_counter() - begun)
        dear = ", ".join(f"{rule} {ms:.1f}" for rule, ms in sorted(cost.items(), key=lambda item: -item[1])[:4])
        sys.stdout.write(f"{name}, {UPDATES:,} updates, {len(cost)} rules: {median(took):.1f} ms (most {max(took):.1f}); dearest: {dear}\n")


if __name__ == "__main__":
    main()
