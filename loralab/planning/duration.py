"""Owns how long a plan takes: a cost per micro-batch and a cost per token, measured where past runs measured them, and the test after.

Invariant: modelled constants are stated here and low on purpose; what runs on this computer reached replaces them.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from loralab.core.records import SQUEEZED, DatasetProfile
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.planning.calibration import NOTHING, TELLING, Experience, mode
from loralab.planning.memory import adapter_weights, block_bytes, load, rows_at_once
from loralab.tasks.text import TextPlan

# effective (not peak) teraflops of one core, and of a card, where no probe has run: low on purpose
_CORE_TFLOPS = {"fp32": 0.045, "avx512_bf16": 0.06, "amx_bf16": 0.15}
_CARD_TFLOPS = 15.0
_EFFICIENCY = 0.4  # of a probe's large product that a whole training step reaches
LAYER_SECONDS = {"cpu": 0.008, "cuda": 0.0012, "mps": 0.002}  # of a micro-batch per block, whatever is in it: starting the small pieces
# work of a step against keeping everything: frozen weights take one pass forward and one back; “full” goes forward twice, “selective”
# does the cheap pieces and the adapter again
RECOMPUTE_WORK = {"none": 1.0, "selective": 1.15, "full": 1.5}
_BUS = 12e9  # bytes a second between card and main memory
_UNPACK = {"cuda": 4e11, "cpu": 8e8, "mps": 8e8}  # weights a second that are unpacked from 4 or 8 bits (docs/measurements/memory.md)
START_SECONDS = 12.0  # until the first update: libraries, model, examples
# of the verdict (loralab/evaluations, loralab/sessions/text.py): answers and the tokens of them all, of one, tasks of everyday knowledge
MOST_ANSWERS, MOST_WRITTEN = 200, 5000
SHORTEST_ANSWER, LONGEST_ANSWER = 32, 160
QUESTIONS = 9  # answered while it learns, three at a time, beside those of the verdict
SPREAD_TOKENS = 1200  # of answering the same question several times
FORGETTING_TASKS = 48
LAST_RUNS = 5  # machines and settings change, so old runs count no more
ALL_WEIGHTS = frozenset({"pretrain", "full"})  # kinds of training that go at another speed than an adapter's
_QUANTILES = (("p50", 0.5), ("p90", 0.4), ("p95", 0.05), ("p99", 0.04), ("max", 0.01))  # what share of the rows each speaks for


def total_steps(plan: TextPlan, profile: DatasetProfile | None) -> int:
    """Updates of the whole run."""
    return plan.updates(-(-load(plan, profile).rows // plan.effective_batch))


def seconds(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, past: Experience = NOTHING
) -> float | None:
    """Training time with its looks at the held-out rows; None when the model or the data is not known."""
    speed = tokens_per_second(plan, model, machine, profile, past)
    if speed is None or profile is None:
        return None
    amount = load(plan, profile)
    trained = total_steps(plan, profile) * plan.effective_batch * amount.mean
    looked = 11 * amount.heldout * amount.mean / 2  # ten looks and the verdict, forward only: half the work of training
    return (trained + looked) / speed


def testing(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> float | None:
    """Start and verdict, modelled: answers are written token by token, all else is read once. None where nothing is known of the model."""
    if model.shape is None or profile is None:
        return None
    amount, sorting = load(plan, profile), profile.shape == "label"
    wanted = profile.tokens.get("learned", 0) / max(1, profile.n_kept)
    before = 2 * wanted + 4 if sorting else min(LONGEST_ANSWER, max(SHORTEST_ANSWER, 2 * wanted))  # a base seldom ends by itself
    judged = min(profile.n_heldout, MOST_ANSWERS, int(MOST_WRITTEN / max(1.0, 2 * before)))
    written = (judged + QUESTIONS) * (before + min(wanted, LONGEST_ANSWER)) + (0 if sorting else SPREAD_TOKENS)
    read = 8 * judged + 2 * FORGETTING_TASKS  # losses, the right answer beside a wrong one, labels; all with and without the adapter
    layer = LAYER_SECONDS[machine.accelerator] / 3 * model.shape.layers
    token = _token_seconds(plan, model, machine, profile) / 3  # forward only
    return START_SECONDS + written * (layer + token) + read * (layer + amount.mean * token)


def speeds(measured: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Tokens per second by base model, the median of the last runs long enough to tell; `measured` as History.measured gives it."""
    found: dict[str, list[float]] = {}
    for run in measured:
        if run["steps"] >= TELLING and run["task"] not in ALL_WEIGHTS and run["tokens_per_second"] > 0:
            found.setdefault(run["model"], []).append(run["tokens_per_second"])
    return {model: median(known[:LAST_RUNS]) for model, known in found.items()}


def tokens_per_second(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, past: Experience = NOTHING
) -> float | None:
    """Tokens trained on per second: what past runs reached here in this mode or another of this model, otherwise modelled."""
    reached = past.speeds.get(f"{plan.base_model} {mode(plan)}", ())
    if reached:
        return median(reached[:LAST_RUNS])
    known = machine.speed.tokens_per_second.get(plan.base_model)
    if known:
        return known / (RECOMPUTE_WORK[plan.recompute] * (1.25 if plan.offload and machine.accelerator == "cuda" else 1.0))
    spent = update_seconds(plan, model, machine, profile)
    return None if spent is None else plan.effective_batch * load(plan, profile).mean / spent


def basis(plan: TextPlan, machine: Machine, past: Experience = NOTHING) -> str:
    """What a time is foretold from: measured (past runs of this model) or modelled."""
    known = f"{plan.base_model} {mode(plan)}" in past.speeds or plan.base_model in machine.speed.tokens_per_second
    return "measured" if known else "modelled"


def update_seconds(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> float | None:
    """One update in this mode with this token budget, modelled: micro-batches times their fixed cost, plus tokens times theirs."""
    if model.shape is None:
        return None
    amount = load(plan, profile)
    micro_batches = 0.0
    tokens = profile.tokens if profile else {}
    for name, share in _QUANTILES:  # rows of like length come together, so each length has its own number at once
        row = max(1, min(plan.max_length, tokens.get(name, amount.row)))
        micro_batches += share * -(-plan.effective_batch // rows_at_once(plan, row))
    return micro_batches * fixed_seconds(plan, model, machine) + plan.effective_batch * amount.mean * _token_seconds(
        plan, model, machine, profile
    )


def fixed_seconds(plan: TextPlan, model: ModelCheck, machine: Machine) -> float:
    """What a micro-batch costs beside its tokens."""
    layers = model.shape.layers if model.shape else 1
    found = layers * LAYER_SECONDS[machine.accelerator] * RECOMPUTE_WORK[plan.recompute]
    ways = 3 if plan.recompute == "full" else 2
    return found + (ways * model.linear / _UNPACK[machine.accelerator] if plan.precision in SQUEEZED else 0.0)


def _token_seconds(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> float:
    """What a token costs: its operations over the speed here, and its way to main memory and back."""
    amount, shape = load(plan, profile), model.shape
    if shape is None:
        raise ValueError("a token's time needs the model's measures")
    # two operations a weight and pass; the adapter has a third pass
    work = 4 * model.linear + 6 * adapter_weights(plan, shape)
    work += 6 * shape.heads * shape.head_dim * shape.layers * amount.mean  # attention, causal: half of the square
    work *= RECOMPUTE_WORK[plan.recompute]
    spent = (work + 4 * shape.vocab * shape.hidden * amount.learned_share) / _flops(plan, machine)
    if plan.offload and machine.accelerator == "cuda":
        spent += 2 * block_bytes(plan, shape, amount.row)[1] * shape.layers / _BUS
    return spent


def _flops(plan: TextPlan, machine: Machine) -> float:
    """Operations per second a training step reaches here."""
    exact = plan.computed_in == "fp32"
    probed = machine.speed.fp32_tflops if exact else machine.speed.bf16_tflops
    if probed:
        return probed * 1e12 * _EFFICIENCY
    if machine.accelerator == "cuda":
        return _CARD_TFLOPS * 1e12 / (3 if exact else 1)
    kind = "fp32" if exact else "amx_bf16" if machine.amx_bf16 else "avx512_bf16" if machine.avx512_bf16 else "fp32"
    return _CORE_TFLOPS[kind] * 1e12 * machine.cores
