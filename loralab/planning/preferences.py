"""Owns the plan for pairs of answers (preference): a text plan's choices, made gentler. Invariant: what a person fixed stays as it is."""

from __future__ import annotations

from typing import Any

from loralab.core.records import DatasetProfile, Proposal
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.planning import planner
from loralab.planning.calibration import Experience
from loralab.planning.priors import Priors
from loralab.tasks.preference import PreferencePlan

GENTLER = 4.0  # times smaller a learning rate than where answers are imitated: a preference is a push, not a text to learn
WORK = 8 / 3  # times the work of a text run: two answers for one, and the base's view of both, which needs no way back


def propose(
    profile: DatasetProfile,
    model: ModelCheck,
    machine: Machine,
    changes: dict[str, Any],
    priors: Priors | None = None,
    past: Experience | None = None,
) -> Proposal:
    """A complete plan of the kind that `changes` name (text where they name none). A UserError names a setting that is not possible."""
    if changes.get("task", "text") != "preference":
        return planner.propose(profile, model, machine, changes, priors, past)
    common = {name: value for name, value in changes.items() if name not in ("task", "beta")}
    if "micro_batch" in common:
        common["micro_batch"] = 2 * int(common["micro_batch"])  # what is computed at once are two answers of each
    found = planner.propose(profile, model, machine, common, priors, past)
    values: dict[str, Any] = found.plan | {"task": "preference"}
    chosen: dict[str, tuple[Any, str]] = {
        "learning_rate": (values["learning_rate"] / GENTLER, "Learning what is preferred needs smaller corrections than learning answers."),
        "micro_batch": (max(1, values["micro_batch"] // 2), "Each example is two answers."),
        "epochs": (PreferencePlan.model_fields["epochs"].default, "Preferences are learned fast; more rounds make answers odd."),
        "beta": (PreferencePlan.model_fields["beta"].default, "The usual strength."),
    }
    values |= {name: value for name, (value, _) in chosen.items() if name not in changes}
    values |= {name: changes[name] for name in ("beta", "micro_batch") if name in changes}
    reasons = found.reasons | {name: "You chose this." if name in changes else why for name, (_, why) in chosen.items()}
    rounds = values["epochs"] / found.plan["epochs"]
    seconds = None if found.footprint.seconds is None else found.footprint.seconds * WORK * rounds
    plan = PreferencePlan.model_validate(values)
    return found.model_copy(
        update={
            "plan": plan.model_dump(),
            "reasons": reasons,
            "footprint": found.footprint.model_copy(update={"seconds": seconds}),
            "quick_look": None,
        }
    )
