"""Owns the choice of how memory is used: which mode, and how many tokens at once; and the nearest plans where one does not fit.

Invariants: the effective batch is never touched; nothing a person fixed is changed; the choice is the smallest token budget, in the
least intrusive mode, within NEAR of the best speed that fits with headroom: never the largest that fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from loralab.core.records import SQUEEZED, DatasetProfile, Footprint
from loralab.core.words import count
from loralab.machine.hardware import Machine
from loralab.models.catalog import catalogue
from loralab.models.model_check import ModelCheck, absent
from loralab.planning import duration, estimate
from loralab.planning.calibration import NOTHING, Experience
from loralab.planning.memory import load, rows_at_once
from loralab.tasks.text import TextPlan

NEAR = 1.03  # of the shortest time: a faster plan is not worth more memory
LENGTHS = (4096, 2048, 1024, 512, 256, 128, 64)
MODES = ("token_budget", "recompute", "offload", "precision", "optimizer")  # what may be changed to make a plan fit


def rungs(plan: TextPlan, machine: Machine, fixed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Ways to hold a step in memory that leave the result as it is, then those with four bits, the least intrusive first."""
    card = machine.accelerator == "cuda"
    bits = can_squeeze(machine)
    eight = ["adamw", "adamw_8bit"] if bits and card else ["adamw"]
    choices = {
        "precision": [plan.precision, *(["nf4"] if bits and plan.precision not in SQUEEZED else [])],
        "optimizer": eight if plan.optimizer == "adamw" else [plan.optimizer],
        "offload": [False, True] if card and not plan.offload else [plan.offload],
        "recompute": ["none", "selective", "full"],
    }
    names = list(choices)
    for values in product(*(([fixed[name]] if name in fixed else choices[name]) for name in names)):
        yield dict(zip(names, values, strict=True))


def can_squeeze(machine: Machine) -> bool:
    """Whether a base in 4 or 8 bits can be trained over here: on an NVIDIA card or a processor, with bitsandbytes."""
    return machine.accelerator in ("cuda", "cpu") and machine.has("bitsandbytes")


def budgets(plan: TextPlan, profile: DatasetProfile | None, fixed: dict[str, Any]) -> list[int]:
    """Token budgets worth looking at, the smallest first: from one longest row to a whole effective batch of them."""
    if "token_budget" in fixed:
        return [int(fixed["token_budget"])]
    row = load(plan, profile).row
    most = max(1, min(plan.micro_batch, plan.effective_batch))
    return [row * rows for rows in sorted({1, 2, 4, 8, 16, 32, 64, most}) if rows <= most]


def choose(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, fixed: dict[str, Any], past: Experience = NOTHING
) -> dict[str, Any] | None:
    """The settings of MODES under which the plan fits with headroom, fast and small; None when there are none."""
    found: list[tuple[float, int, dict[str, Any]]] = []
    last: tuple[str, str] = ("", "")
    for order, rung in enumerate(rungs(plan, machine, fixed)):
        group = (rung["precision"], rung["optimizer"])
        if found and group != last:  # four bits and small notes are only for what does not fit without
            break
        last = group
        for budget in budgets(plan, profile, fixed):
            change = rung | {"token_budget": budget}
            asked = plan.model_copy(update=change)
            if not estimate.fits(estimate.footprint(asked, model, machine, profile, past=past), machine, estimate.HEADROOM):
                break
            found.append((duration.update_seconds(asked, model, machine, profile) or 0.0, order, change))
    if not found:
        return None
    best = min(seconds for seconds, _, _ in found)
    near = [(order, change["token_budget"], change) for seconds, order, change in found if seconds <= NEAR * best]
    return min(near, key=lambda candidate: candidate[:2])[2]


def nearest(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, fixed: dict[str, Any], past: Experience = NOTHING
) -> list[dict[str, Any]]:
    """Changes that make a plan fit when they are fixed beside what the person fixed, the least intrusive first.

    Memory modes leave the result as it is; half precision and four bits cost a little exactness, shorter examples content, and another
    model is the last resort.
    """
    formats = [plan.precision, *[p for p in ("bf16", "nf4") if plan.precision not in (p, *SQUEEZED)]]
    if not can_squeeze(machine):
        formats = [p for p in formats if p != "nf4" or plan.precision == "nf4"]
    lengths = [plan.max_length, *[n for n in LENGTHS if n < min(plan.max_length, load(plan, profile).row)]]
    weighed: list[tuple[float, dict[str, Any]]] = []
    for (i, precision), (j, length), memory in product(enumerate(formats), enumerate(lengths), (False, True)):
        wanted = {"precision": precision, "max_length": length}
        changed = plan.model_copy(update=wanted)
        row = load(changed, profile).row
        bare = {"recompute": "full", "token_budget": row} if memory else {}
        asked = changed.model_copy(update=bare)
        if not estimate.fits(estimate.footprint(asked, model, machine, profile, past=past), machine, estimate.HEADROOM):
            continue
        if memory:  # something in between may do
            kept = {name: value for name, value in fixed.items() if name not in ("recompute", "token_budget", "offload")}
            kept |= {"precision": precision, "optimizer": plan.optimizer}
            bare = choose(changed, model, machine, profile, kept, past) or bare
        change = {name: value for name, value in (wanted | bare).items() if value != getattr(plan, name)}
        cost = 0.1 * memory + 1.0 * i + 1.5 * j + 0.5 * sum(name in fixed for name in change)
        weighed.append((cost, change))
    found: list[dict[str, Any]] = []
    for _, change in sorted(weighed, key=lambda w: w[0]):
        if change and not any(set(other.items()) <= set(change.items()) or _shorter(other, change) for other in found):
            found.append(change)
    smaller = smaller_adapter(plan, model, machine, profile, past)
    found += [smaller] if smaller else []
    found += [{"base_model": name} for name in smaller_models(plan, model, machine, profile, past)]
    return found


def smaller_adapter(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, past: Experience = NOTHING
) -> dict[str, Any]:
    """The largest lower rank, just as loud, that fits with all else as it is; empty where none does or the rank is no larger than usual."""
    for rank in (128, 64, 32, 16):
        change = {"rank": rank, "alpha": plan.alpha * rank / plan.rank}
        needs = estimate.footprint(plan.model_copy(update=change), model, machine, profile, past=past)
        if rank < plan.rank and estimate.fits(needs, machine, estimate.HEADROOM):
            return change
    return {}


def smaller_models(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, past: Experience = NOTHING
) -> list[str]:
    """The two largest models of the catalogue below this one that fit with the same settings."""
    found: list[str] = []
    for entry in reversed([e for e in catalogue() if e.parameters < model.parameters]):
        shorter = plan.model_copy(update={"base_model": entry.name, "max_length": min(plan.max_length, entry.context)})
        if estimate.fits(
            estimate.footprint(shorter, absent(entry.name, Path(), entry), machine, profile, past=past), machine, estimate.HEADROOM
        ):
            found.append(entry.name)
    return found[:2]


def _shorter(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether the second only cuts the examples further than the first: then it is not worth offering."""
    if "max_length" not in first or "max_length" not in second or first["max_length"] < second["max_length"]:
        return False
    apart = ("max_length", "token_budget", "recompute", "offload")
    return {n: v for n, v in first.items() if n not in apart} == {n: v for n, v in second.items() if n not in apart}


def words(plan: TextPlan, change: dict[str, Any], profile: DatasetProfile | None) -> str:
    """A change in plain words, as it stands on a button."""
    said: list[str] = []
    if "base_model" in change:
        said.append(f"the model {change['base_model']}")
    if "precision" in change:
        said.append(
            {"bf16": "half-precision numbers", "nf4": "4-bit numbers", "fp4": "4-bit numbers", "int8": "8-bit numbers"}.get(
                change["precision"], str(change["precision"])
            )
        )
    if "max_length" in change:
        said.append(f"examples cut at {count(change['max_length'], 'token')}")
    if "rank" in change:
        said.append(f"an adapter of rank {change['rank']}")
    if change.get("recompute", "none") != "none":
        said.append({"selective": "some results computed twice", "full": "most results computed twice"}[change["recompute"]])
    if change.get("offload"):
        said.append("intermediate results kept in main memory")
    if str(change.get("optimizer")).endswith("8bit"):
        said.append("the optimiser in 8 bits")
    if "token_budget" in change or "micro_batch" in change:
        asked = plan.model_copy(update=change)
        rows = rows_at_once(asked, load(asked, profile).row)
        said.append(f"{count(rows, 'example')} at once")
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said) or "as it is"


class RowsAtOnce(NamedTuple):
    """How many rows go through the model together."""

    tokens: int  # of the longest row
    now: int
    fitting: int  # 0 where not even one does


def rows_that_fit(plan: TextPlan, profile: DatasetProfile | None, needs: Footprint) -> RowsAtOnce | None:
    """Rows at once, now and as many as the free memory takes; None where it fits. Results of layers grow with them, no more."""
    if needs.upper_bytes <= estimate.FITS * needs.free_bytes:
        return None
    row = load(plan, profile).row
    rows = rows_at_once(plan, row)
    grows = needs.parts.get("activations", 0) + needs.parts.get("head", 0)
    left = estimate.HEADROOM * needs.free_bytes - (needs.upper_bytes - grows)
    return RowsAtOnce(row, rows, int(rows * left / grows) if grows else 0)
