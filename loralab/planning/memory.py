"""Owns stage A of the fit: the parts of memory that a plan needs, in closed form from the measures of a model, for every memory mode.

Invariant: the largest micro-batch sets the memory, the effective batch never does. What a block keeps for the way back is in
data/activations.json, which benchmarks/activation_table.py makes from traces; everything else here is arithmetic.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from loralab.core.paths import DATA
from loralab.core.records import SQUEEZED, DatasetProfile
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.models.model_folder import Shape
from loralab.tasks.text import TextPlan

WEIGHT_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.0, **dict.fromkeys(("nf4", "fp4"), 0.5 + 1 / 64 + 4 / (64 * 256))}
_SCALES = 4 / 64 - 1 / 64 - 4 / (64 * 256)  # bytes a weight more in 4 bits where the scales are not squeezed, too
_ENDS_AT_ONCE = 4096  # rows of a 16-bit output matrix that are made exact at once (runtimes/squeezed_base.py)
_SUM_AT_ONCE = 32 * 2**20  # numbers of a matrix with its adapter that are made at once: sessions/fast/weights.py
_HEAD_TILE, _TILE_BYTES = 512, 128 * 2**20  # learned positions whose logits are held at once, and bytes of them: sessions/fast/loss.py
_PIECE = 128  # and the fewest of them
_PROCESS = 480_000_000  # torch, transformers and peft in memory on a processor: 410 to 545 MB measured in workers on Linux
_ROUTINES = 70_000_000  # what a processor's library writes for itself to multiply in 16 bits (sessions/fast/products.py)
_SETTLED_FROM = 10_000_000  # weights of a model below which the C library is left to waste memory for speed (train/memory.py)
_CONTEXT = 800_000_000  # a CUDA context with its workspaces
_SLACK = 20  # one part in so many is lost between the pieces an allocator hands out
_DORA = 1.8  # DoRA keeps the output of each adapted matrix once more
_BY_HAND = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "GPT2LMHeadModel")
_BY_HAND_ADAPTERS = ("lora", "pissa")
_FAMILIES = (
    ("Qwen3", "qwen3"),
    ("SmolLM3", "llama"),
    ("Exaone4", "qwen3"),
    ("Olmo2", "qwen3"),
    ("Olmo3", "qwen3"),
    ("HunYuan", "qwen3"),
    ("Gemma2", "gemma3_text"),
    ("Gemma3", "gemma3_text"),
    ("VaultGemma", "gemma3_text"),
    ("Phi3", "phi3"),
    ("Phi", "gpt_neox"),
    ("Falcon", "falcon"),
    ("GPTNeoX", "gpt_neox"),
    ("Glm", "phi3"),
)


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
    longest = min(plan.max_length, tokens.get("max", plan.max_length))
    return Load(longest, mean, max(1, rows), profile.n_heldout or max(0, n - rows), learned)


def rows_at_once(plan: TextPlan, row: int) -> int:
    """Rows of `row` tokens that go through the model together."""
    most = max(1, min(plan.micro_batch, plan.effective_batch))
    return max(1, min(most, plan.token_budget // max(1, row))) if plan.token_budget else most


def adapter_weights(plan: TextPlan, shape: Shape) -> int:
    """Numbers the adapter has: rank times (inputs + outputs) of every matrix it sits beside."""
    return int(plan.file_rank * shape.adapter_dims(plan.targets))


def parts(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> dict[str, int]:
    """Bytes at the worst moment of a step: weights, adapter, optimiser, activations, head, reserve."""
    shape = model.shape
    if shape is None:
        raise ValueError("a footprint needs the model's measures")
    amount, adapter = load(plan, profile), adapter_weights(plan, shape)
    rows = rows_at_once(plan, amount.row)
    number, learned = 4 if plan.computed_in == "fp32" else 2, max(1, round(rows * amount.row * amount.learned_share))
    tile = min(_HEAD_TILE, max(_PIECE, _TILE_BYTES // (number * shape.vocab)), learned)
    head = number * (tile * shape.vocab + 2 * learned * shape.hidden)
    found = {
        "weights": weights(plan, model),
        "adapter": adapter * 8,  # fp32 number and gradient
        "optimiser": optimiser(plan, adapter),
        "activations": activations(plan, shape, machine, rows, amount.row, head),
        "head": head,
    }
    lost = (found["activations"] + found["head"]) // 2 if scattered(model, machine) else 0
    routines = _ROUTINES if machine.accelerator == "cpu" and plan.computed_in != "fp32" else 0
    return found | {"reserve": reserve(machine, sum(found.values())) + lost + routines}


def scattered(model: ModelCheck, machine: Machine) -> bool:
    """Whether the allocator is left to itself, and wastes about half of what a step holds."""
    return machine.accelerator == "cpu" and model.parameters < _SETTLED_FROM


def reserve(machine: Machine, rest: int) -> int:
    """What is needed beside the step itself: the program, or the card's context, and what the allocator cannot use."""
    return (_CONTEXT if machine.accelerator == "cuda" else _PROCESS) + rest // _SLACK


def weights(plan: TextPlan, model: ModelCheck) -> int:
    """The model itself. 4 and 8 bits only squeeze the matrices; embedding and output stay as they are in the file, and the largest matrix
    (or some rows of the output) is unpacked while it is used.
    """
    each, other = WEIGHT_BYTES[plan.precision], max(0, model.parameters - model.linear)
    if plan.precision not in SQUEEZED:
        return int((model.linear + other) * each)
    number = WEIGHT_BYTES[plan.computed_in]
    each += 0.0 if plan.double_quantisation or plan.precision == "int8" else _SCALES
    shape = model.shape
    scratch = shape.hidden * max(shape.intermediate * (2 if shape.mlp_matrices == 2 else 1), _ENDS_AT_ONCE) if shape is not None else 0
    return int(model.linear * each + other * min(number, float(model.dtype_bytes or 2)) + scratch * number)


def optimiser(plan: TextPlan, adapter: int) -> int:
    """Adam's two numbers a weight: fp32, or a byte each with a scale for every 256."""
    return int(adapter * (2 + 8 / 256)) if plan.small_notes else adapter * 8


def activations(plan: TextPlan, shape: Shape, machine: Machine, rows: int, row: int, head: int) -> int:
    """What `rows` rows of `row` tokens keep for the way back, and one block's work space on top where it is not the head that peaks."""
    tokens = rows * row
    by_hand = is_by_hand(plan, shape, machine)
    whole, kept, top = block_bytes(plan, shape, row, by_hand=by_hand)
    on_card = plan.offload and machine.accelerator == "cuda"
    held = tokens * (0 if on_card else kept) * shape.layers
    again = tokens * max(0.0, whole - (0 if on_card else kept))  # one block is whole while it is gone through backward
    numbers = shape.hidden * shape.intermediate * (2 if shape.hidden * shape.intermediate <= _SUM_AT_ONCE // 2 else 1)
    matrix = 4 * numbers if by_hand and plan.computed_in == "fp32" else 0  # in 16 bits nothing is summed
    return int(held + tokens * top + max(0.0, again - head)) + matrix


def host_bytes(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> int:
    """Main memory that offloading fills; 0 where nothing is offloaded."""
    if not plan.offload or machine.accelerator != "cuda" or model.shape is None:
        return 0
    row = load(plan, profile).row
    return int(rows_at_once(plan, row) * row * block_bytes(plan, model.shape, row)[1] * model.shape.layers)


def is_by_hand(plan: TextPlan, shape: Shape, machine: Machine) -> bool:
    """Whether the blocks are those of loralab.sessions.fast, which keep half."""
    usual = plan.computed_in in ("fp32", "bf16") and not plan.dropout and plan.adapter in _BY_HAND_ADAPTERS and plan.attention == "sdpa"
    return machine.accelerator == "cpu" and usual and shape.architecture in _BY_HAND


def block_bytes(plan: TextPlan, shape: Shape, row: int, *, by_hand: bool = False) -> tuple[float, float, float]:
    """Per token: (a whole block, what a block keeps in this mode, work space on top of all blocks)."""
    number = 4 if plan.computed_in == "fp32" else 2
    whole_row, saved_row = (_measured(plan, shape, mode, by_hand=by_hand) for mode in ("none", "selective"))
    eager = 0.0
    if plan.attention == "eager":  # the square of scores and of their softmax, in each head: kept, and at hand on the way back
        eager = shape.heads * row * max(4.0 if number == 4 else 6.0, whole_row.get("square", 0.0))
    square = 0.0 if eager else shape.heads * row * whole_row.get("square", 0.0)
    whole = _widths(whole_row, plan, shape) * (_DORA if plan.use_dora else 1) + eager + square
    saved = _widths(saved_row, plan, shape)
    kept = {"none": whole, "selective": saved, "full": float(number * shape.hidden)}[plan.recompute]
    wide = max(1.0, shape.intermediate / shape.hidden)
    top = whole_row["top2"] + (whole_row["top4"] - whole_row["top2"]) * (wide - 2) / 2
    return whole, min(kept, whole), max(top, whole_row["top2"] / 2) * shape.hidden * (2.5 if plan.use_dora else 1) + eager


def _widths(found: dict[str, float], plan: TextPlan, shape: Shape) -> float:
    """Bytes of a block per token: each width times what was measured for it. A family without a width of its own counts it as hidden."""
    q, kv = shape.heads * shape.head_dim, shape.kv_dim
    total = found["hidden"] * shape.hidden + found["intermediate"] * shape.intermediate
    total += found.get("q", 0.0) * q + found.get("kv", 0.0) * kv
    return total + found["rest"] * plan.file_rank / 16  # what is left over are the adapter's own thin products, traced at rank 16


def _measured(plan: TextPlan, shape: Shape, mode: str, *, by_hand: bool) -> dict[str, float]:
    family = next((found for start, found in _FAMILIES if shape.architecture.startswith(start)), "")
    family = family or ("gpt2" if shape.mlp_matrices == 2 else "llama")
    if by_hand:
        family = "by_hand_gpt2" if family == "gpt2" else "by_hand"
    precision = "fp32" if plan.computed_in == "fp32" else "bf16"
    targets = plan.targets if plan.targets in ("attention", "mlp") else "all-linear"
    return table()[f"{family} {precision} {targets} {'dropout' if plan.dropout else 'plain'} {mode}"]


@lru_cache(maxsize=1)
def table() -> dict[str, dict[str, float]]:
    """Bytes per token and unit of width, by family, precision, targets, dropout and mode."""
    found: dict[str, dict[str, float]] = json.loads((DATA / "activations.json").read_text("utf-8"))
    return found
