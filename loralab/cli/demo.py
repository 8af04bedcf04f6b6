"""Owns the demonstration: a bundled data set through the whole way, as anyone would go it.

Invariant: nothing in it is prepared or shortened but the choice of the data set and a time limit.
"""

from __future__ import annotations

from typing import Any

from loralab.lab import Lab, sample

SAMPLE = "customer_messages"  # the bundled data set whose lesson shows at a glance: an answer is right or wrong, not just other
MINUTES = 1.2  # of training; reading, judging and answering come on top, and all of it stays under three minutes on two cores


def start(lab: Lab, changes: dict[str, Any], name: str = SAMPLE) -> str:
    """Profile the sample, let the planner plan, start the run; returns its id. `changes` are settings the person has fixed."""
    profile = lab.profile(sample(name).path)
    settings: dict[str, Any] = {"title": f"Demo: {sample(name).title}", "max_minutes": MINUTES, **changes}
    proposal = lab.propose(profile, **settings)
    return lab.start(proposal)


def result(report: dict[str, Any]) -> dict[str, Any]:
    """What the demonstration tells a script, from the run's report."""
    names = ("run", "base_loss", "adapter_loss", "n_heldout", "samples", "adapter", "seconds", "tokens_per_second", "outcome")
    return {**{name: report[name] for name in names}, "run_id": report["run"], "adapter_path": report["adapter"]}


def opening(name: str = SAMPLE) -> str:
    """What is about to happen, in two sentences."""
    chosen = sample(name)
    return f"{chosen.title}: {chosen.teaches} The bundled starter model learns it now, on this computer, in about two minutes."
