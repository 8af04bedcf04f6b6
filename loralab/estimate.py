"""Owns what a plan will need: memory, time and disk, before anything is loaded.

Invariants: the numbers come from the model's measures in closed form and say so; micro-batches set the memory, the effective batch
never does. Constants are fitted to the high-water mark of resident memory of training steps on a processor; those for a graphics card
are arithmetic and deliberately high.
"""

from __future__ import annotations

from dataclasses import dataclass

from loralab.hardware import Machine
from loralab.model_check import ModelCheck
from loralab.model_folder import Shape
from loralab.records import DatasetProfile, Footprint
from loralab.tasks.text import TextPlan

FITS = 0.85  # of the free memory: beyond it the system starts to swap or to end programs
COMFORTABLE = 0.6
_WEIGHT_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "nf4": 0.5625}  # nf4: half a byte and one fp32 scale per 64 weights
_STEP_BYTES = 12  # a logit: half precision, fp32 and its gradient
_HEAD_TILE = 1024  # learned positions whose logits are held at once
_PROCESS = 700_000_000  # torch, transformers and peft in memory on a processor
_CONTEXT = 800_000_000  # a CUDA context with its workspaces
# effective (not peak) teraflops of one core, and of a card, where no probe has run: low on purpose
_CORE_TFLOPS = {"fp32": 0.045, "avx512_bf16": 0.06, "amx_bf16": 0.15}
_CARD_TFLOPS = 15.0
_EFFICIENCY = 0.4  # of a probe's large product that a whole training step reaches


@dataclass(frozen=True)
class Load:
    """How much a plan reads. Tokens."""

    row: int  # longest row
    mean: float  # mean row, after cutting
    rows: int  # training rows in an epoch
    heldout: int  # rows kept aside
    learned_share: float  # of the tokens


def load(plan: TextPlan, profile: DatasetProfile | None) -> Load:
    """What the profile says a plan will read; without one, full rows all learned."""
    if profile is None or not profile.tokens:
        return Load(plan.max_length, plan.max_length, 0, 0, 1.0)
    tokens, n = profile.tokens, max(1, profile.n_kept)
    mean = min(tokens.get("total", 0) / n, float(plan.max_length)) or 1.0
    share = min(1.0, tokens.get("learned", 0) / max(1, tokens.get("total", 0))) or 1.0
    rows = profile.n_train or round(n * (1 - plan.heldout_share))
    learned = share if plan.learn_from == "replies" else 1.0
    return Load(
        min(plan.max_length, tokens.get("max", plan.max_length)), mean, max(1, rows), profile.n_heldout or max(0, n - rows), learned
    )


def total_steps(plan: TextPlan, profile: DatasetProfile | None) -> int:
    """Updates of the whole run."""
    rows = load(plan, profile).rows
    steps = max(1, round(plan.epochs * -(-rows // plan.effective_batch)))
    return min(steps, plan.max_steps) if plan.max_steps else steps


def adapter_weights(plan: TextPlan, shape: Shape) -> int:
    """Numbers the adapter has: rank times (inputs + outputs) of every matrix it sits beside."""
    return int(plan.rank * shape.adapter_dims(plan.targets))


def seconds(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> float | None:
    """Training time with its looks at the held-out rows; None when the model or the data is not known."""
    speed = tokens_per_second(plan, model, machine, profile)
    if speed is None or profile is None:
        return None
    amount = load(plan, profile)
    trained = total_steps(plan, profile) * plan.effective_batch * amount.mean
    looked = 11 * amount.heldout * amount.mean / 2  # ten looks and the verdict, forward only: half the work of training
    return (trained + looked) / speed


def tokens_per_second(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> float | None:
    """Tokens trained on per second: what past runs on this model reached here, otherwise operations over speed."""
    known = machine.speed.tokens_per_second.get(plan.base_model)
    if known:
        return known
    if model.shape is None:
        return None
    amount, shape = load(plan, profile), model.shape
    # frozen weights: one pass forward and one for the inputs' gradients, two operations a weight each; the adapter has a third pass
    per_token = 4 * model.linear + 6 * adapter_weights(plan, shape) + 4 * shape.vocab * shape.hidden * amount.learned_share
    per_token += 6 * shape.heads * shape.head_dim * shape.layers * amount.mean  # attention, causal: half of the square
    return _flops(plan, machine) / per_token


def _flops(plan: TextPlan, machine: Machine) -> float:
    """Operations per second a training step reaches here."""
    probed = machine.speed.fp32_tflops if plan.precision == "fp32" else machine.speed.bf16_tflops
    if probed:
        return probed * 1e12 * _EFFICIENCY
    if machine.accelerator == "cuda":
        return _CARD_TFLOPS * 1e12 / (3 if plan.precision == "fp32" else 1)
    kind = "fp32" if plan.precision == "fp32" else "amx_bf16" if machine.amx_bf16 else "avx512_bf16" if machine.avx512_bf16 else "fp32"
    return _CORE_TFLOPS[kind] * 1e12 * machine.cores


def footprint(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None = None) -> Footprint:
    """What a plan will need on this machine: peak memory, time and disk, with the parts they are made of."""
    free = machine.training_memory_free
    if model.shape is None:
        return Footprint(memory_bytes=0, free_bytes=free, stage="unknown", words="What it needs is known once the model is here.")
    parts = _parts(plan, model, machine, profile)
    needed = sum(parts.values())
    fetch = model.entry.download_bytes if model.entry and not model.present else 0
    # the adapter, the best so far, and two checkpoints with the optimiser's two numbers a weight
    disk = fetch + adapter_weights(plan, model.shape) * 4 * 8 + 5_000_000
    duration = seconds(plan, model, machine, profile)
    words = f"needs about {_gigabytes(needed)}, you have {_gigabytes(free)} free: {verdict(needed, free)}"
    if duration is not None:
        words += f"; takes {duration_words(duration)}"
    return Footprint(memory_bytes=needed, free_bytes=free, seconds=duration, disk_bytes=disk, parts=parts, words=words)


def verdict(needed: int, free: int) -> str:
    """Comfortable, tight, or does not fit."""
    if needed > FITS * free:
        return "does not fit"
    return "comfortable" if needed <= COMFORTABLE * free else "tight"


def _parts(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> dict[str, int]:
    shape = model.shape
    if shape is None:
        raise ValueError("a footprint needs the model's measures")
    amount, adapter = load(plan, profile), adapter_weights(plan, shape)
    other = max(0, model.parameters - model.linear)
    dense = 2.0 if plan.precision == "nf4" else _WEIGHT_BYTES[plan.precision]  # nf4 leaves embeddings in half precision
    tokens = plan.micro_batch * amount.row
    learned = min(_HEAD_TILE, max(1, round(tokens * amount.learned_share)))
    parts = {
        "weights": int(model.linear * _WEIGHT_BYTES[plan.precision] + other * dense),
        "adapter": adapter * 8,  # fp32 number and gradient
        "optimiser": adapter * 8,  # Adam's two fp32 numbers
        "activations": int(tokens * shape.layers * activation_bytes(plan, shape, machine)),
        "head": learned * shape.vocab * _STEP_BYTES,
        "reserve": _CONTEXT if machine.accelerator == "cuda" else _PROCESS,
    }
    if plan.precision == "nf4":  # the largest matrix is unpacked while it is used, forward and backward
        parts["weights"] += 2 * 2 * shape.hidden * shape.intermediate
    if plan.use_dora:  # DoRA forms the adapted matrix of one layer to take its norm
        parts["activations"] += 2 * int(dense) * shape.hidden * shape.intermediate
    parts["reserve"] += sum(parts.values()) // 20  # what the allocator cannot use
    return parts


def activation_bytes(plan: TextPlan, shape: Shape, machine: Machine) -> float:
    """Bytes kept for the backward pass per token and layer, with adapters on all matrices and no recomputation.

    Counted in widths: 4 of the model, 2 of keys and values, 2 of the feed-forward. On a processor a width costs 20 bytes in fp32 and
    15 in half precision (adapters stay fp32, so their inputs are kept twice); dropout keeps the inputs of every adapter once more.
    """
    width = 4 * shape.hidden + 2 * shape.kv_dim + 2 * shape.intermediate
    inputs = 6 * shape.hidden + shape.intermediate
    full = plan.precision == "fp32"
    if machine.accelerator == "cuda":
        return width * (10 if full else 8) + (inputs * 2 if plan.dropout else 0)
    return width * (20 if full else 15) + (inputs * (6 if full else 7.5) if plan.dropout else 0)


def duration_words(value: float) -> str:
    """Seconds as people say them."""
    if value < 90:
        return f"about {max(10, round(value, -1)):.0f} seconds"
    if value < 5400:
        return f"about {value / 60:.0f} minutes"
    return f"about {value / 3600:.1f} hours" if value < 36 * 3600 else f"about {value / 86400:.0f} days"


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.1f} GB"
