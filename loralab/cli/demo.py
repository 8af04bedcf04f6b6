"""Owns the demonstration: a bundled data set through the whole way, as anyone would go it.

Invariant: the number of updates is fixed and none is skipped, so that a busy computer takes longer and ends with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loralab import lab as facade
from loralab.core.words import about

if TYPE_CHECKING:
    from loralab.core.records import Proposal
    from loralab.lab import Lab

SAMPLE = "customer_messages"  # the bundled data set whose lesson shows at a glance: an answer is right or wrong, not just other
UPDATES = 270


def model() -> str:
    """The model it was proven with."""
    return facade.sample(SAMPLE).model


def propose(lab: Lab, model: str, changes: dict[str, Any]) -> Proposal:
    """The sample's plan, of a fixed number of updates. `changes` are settings the person has fixed."""
    chosen = facade.sample(SAMPLE)
    settings: dict[str, Any] = {"title": f"Demo: {chosen.title}", "epochs": 10.0, "max_steps": UPDATES, "patience": 0, **changes}
    return lab.propose(lab.profile(chosen.path, model), model, **settings)


def result(report: dict[str, Any]) -> dict[str, Any]:
    """What the demonstration tells a script, from the run's report."""
    from loralab.core.report import ANSWERS

    names = ("run", "base_loss", "adapter_loss", "n_heldout", "samples", "adapter", "seconds", "tokens_per_second", "outcome")
    return {**{name: report[name] for name in (*names, *ANSWERS)}, "run_id": report["run"], "adapter_path": report["adapter"]}


def opening(proposal: Proposal) -> str:
    """What is about to happen, in two sentences."""
    chosen, seconds = facade.sample(SAMPLE), proposal.footprint.seconds
    takes = f", in {about(seconds)}" if seconds else ""
    return f"{chosen.title}: {chosen.teaches} The model {proposal.plan['base_model']} learns it now, on this computer{takes}."
