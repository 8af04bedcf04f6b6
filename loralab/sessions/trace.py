"""Owns stage B of the fit: what a training step of a plan will hold in memory, counted on a model without weights.

Invariant: nothing is loaded and nothing is computed. The model is built from its config.json, its adapter, loss head and memory mode are
those a run uses, and two depths are run through without content and drawn out to all layers: every block costs the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from loralab.core.records import SQUEEZED
from loralab.runtimes.base_model import DTYPES, kernel
from loralab.runtimes.squeezed_base import ROWS
from loralab.sessions.head import TextHead
from loralab.sessions.lora import attach_adapter
from loralab.sessions.trace_ledger import Ledger, fused_attention
from loralab.tasks.text import TextPlan
from loralab.train.memory import SETTLED_FROM

DEPTHS = (2, 3)  # the first block differs (nothing learns below it), so one alone would mislead
_FOUR = 0.5 + 1 / 64 + 4 / (64 * 256)  # bytes of a weight in 4 bits: half a byte, a byte of scale for 64, its own scale for 256 of those
_FOUR_PLAIN = 0.5 + 4 / 64  # where the scales are not squeezed, too
_ROUNDING = {"cpu": 64, "cuda": 512}  # bytes torch's allocators round up to
_LIBRARIES = 10_000_000  # bytes of torch's own code and scratch that a first step on a processor brings in, measured
_SQUEEZED_FROM = 4096  # bitsandbytes keeps the notes of smaller tensors in full


@dataclass(frozen=True)
class Pack:
    """The largest micro-batch of a run."""

    rows: int
    longest: int  # tokens of its longest row, to which all are padded
    learned: int  # positions learned from, over all rows
    again: bool = False  # a second micro-batch follows in the same update: the first one's gradients are there already


def trace(plan: TextPlan, folder: Path, pack: Pack, where: str = "cpu") -> dict[str, int]:
    """Bytes held at the worst moment of a step, with the optimiser's notes there: weights, adapter, optimiser, activations,
    head, and what the allocator adds on a processor.
    """
    return count(plan, json.loads((folder / "config.json").read_text("utf-8")), pack, where)


def count(plan: TextPlan, config: dict[str, Any], pack: Pack, where: str = "cpu") -> dict[str, int]:
    """The same for a config.json's content."""
    layers = _layers(config)
    depths = DEPTHS if layers > max(DEPTHS) else (layers,)
    seen = [_phases(plan, _shallow(config, depth), pack, where) for depth in depths]
    drawn = [_drawn_out([each[phase] for each in seen], depths, layers) for phase in seen[0]]
    worst = max(drawn, key=lambda parts: sum(parts.values()))
    parts = {name: int(worst.get(name, 0)) for name in ("weights", "adapter", "optimiser", "activations", "head")}
    return parts | {"allocator": _allocator(parts, plan) if where == "cpu" else 0}


def _allocator(parts: dict[str, int], plan: TextPlan) -> int:
    """What a processor's memory holds beside the tensors. Small models are left with the quick allocator, which wastes about half."""
    size = _weight_bytes(plan)
    small = parts["weights"] / size < SETTLED_FROM
    return _LIBRARIES + ((parts["activations"] + parts["head"]) // 2 if small else 0)


def _drawn_out(at: list[Counter[str]], depths: tuple[int, ...], layers: int) -> dict[str, float]:
    """Parts at all layers from those at two depths, along a straight line."""
    if len(at) == 1:
        return dict(at[0])
    shallow, deep = at
    steps = (layers - depths[0]) / (depths[1] - depths[0])
    return {name: shallow[name] + (deep[name] - shallow[name]) * steps for name in shallow | deep}


def _layers(config: dict[str, Any]) -> int:
    return next(int(config[name]) for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if config.get(name))


def _shallow(config: dict[str, Any], layers: int) -> Any:
    """A config cut down to its first `layers` blocks."""
    cut = {name: layers if name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") else value for name, value in config.items()}
    whole = _layers(config)
    cut |= {
        name: value[:layers] for name, value in cut.items() if isinstance(value, list) and len(value) == whole and name != "architectures"
    }
    kind = str(cut.pop("model_type"))
    cut["stored"] = str(config.get("dtype") or config.get("torch_dtype") or "")  # the model is built in another type
    return AutoConfig.for_model(kind, **{name: value for name, value in cut.items() if name != "quantization_config"})


def _phases(plan: TextPlan, config: Any, pack: Pack, where: str) -> dict[str, Counter[str]]:
    """One step on a model without content: for each phase its worst moment, in parts."""
    with torch.device("meta"):
        base: Any = AutoModelForCausalLM.from_config(config, dtype=DTYPES[plan.computed_in], attn_implementation=kernel(plan.attention))
        base.requires_grad_(requires_grad=False)
        model: Any = attach_adapter(base.eval(), plan)
        ids = torch.zeros((pack.rows, pack.longest), dtype=torch.long)
        learned = torch.ones((pack.rows, pack.longest), dtype=torch.bool)
    base = model.get_base_model()
    head = TextHead(base, plain=_plain(config))
    if where != "cpu":
        head.by_hand = None
    head.set_mode(plan.recompute, plan.widest_rank)
    return record(model, head, ids, learned, Setting(plan, pack, where))


@dataclass(frozen=True)
class Setting:
    """Under what a step is recorded."""

    plan: TextPlan
    pack: Pack
    where: str = "cpu"


def record(model: Any, head: TextHead, ids: Tensor, learned: Tensor, setting: Setting) -> dict[str, Counter[str]]:
    """Run one micro-batch forward and backward under the books; works on real tensors as well as on those without content."""
    plan, pack = setting.plan, setting.pack
    ledger = Ledger(_ROUNDING.get(setting.where, 512), pack.learned)
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        ledger.count(parameter, "adapter")
        parameter.grad = torch.empty_like(parameter) if pack.again else None
        if parameter.grad is not None:
            ledger.count(parameter.grad, "adapter")
    for tensor in (*model.parameters(), *model.buffers()):
        ledger.count(tensor, "" if tensor.requires_grad else "weights")
    ledger.live["weights"] -= _squeezed(model, plan)
    ledger.peaks.clear()  # a base that is squeezed was never held whole
    ledger.live["optimiser"] = sum(_notes(p, plan) for p in trained)
    with ExitStack() as stack:
        _watch(head.top, trained, ledger, stack)
        stack.enter_context(fused_attention(setting.where))
        stack.enter_context(ledger)
        ledger.count(ids)
        ledger.count(learned)
        loss = head.loss(ids, learned)
        loss.backward()
    gradients = sum(p.numel() * p.element_size() for p in trained)
    ledger.peaks["step"] = Counter(weights=ledger.live["weights"], optimiser=ledger.live["optimiser"], adapter=2 * gradients)
    return ledger.peaks


def _watch(top: nn.Module, trained: Iterable[Tensor], ledger: Ledger, stack: ExitStack) -> None:
    """Let the books know where the pass is: in the blocks, in the head, on the way back; and what turned into a gradient."""

    def enter(part: str, phase: str) -> None:
        ledger.part, ledger.phase = part, phase

    def into_head(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        enter("head", "head")
        if inputs[0].requires_grad:
            inputs[0].register_hook(lambda _gradient: enter("activations", "backward"))

    stack.callback(top.register_forward_pre_hook(into_head).remove)
    for parameter in trained:
        hook = parameter.register_post_accumulate_grad_hook(lambda p: ledger.count(p.grad, "adapter") if p.grad is not None else None)
        stack.callback(hook.remove)


def _plain(config: Any) -> bool:
    """Whether logits are the output matrix times the last state: the settings by which families cap or scale them."""
    names = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    return all(getattr(config, name, None) in (None, 1, 1.0) for name in names)


def _notes(parameter: Tensor, plan: TextPlan) -> int:
    """Bytes of the optimiser's notes on one tensor: Adam's two numbers a weight."""
    n = parameter.numel()
    if plan.small_notes and n >= _SQUEEZED_FROM:
        return 2 * n + 2 * 4 * -(-n // 256)  # a byte each, with a scale for every 256
    return 8 * n + 4


def _weight_bytes(plan: TextPlan) -> float:
    if plan.precision not in SQUEEZED:
        return DTYPES[plan.precision].itemsize
    return 1.0 if plan.precision == "int8" else _FOUR if plan.double_quantisation else _FOUR_PLAIN


def _squeezed(model: Any, plan: TextPlan) -> int:
    """Bytes that 4 or 8 bits save: in the matrices, less the scratch they are unpacked into, and at the ends, which stay as in the file."""
    if plan.precision not in SQUEEZED:
        return 0
    base, number = model.get_base_model(), DTYPES[plan.computed_in].itemsize
    head = base.get_output_embeddings()
    ends = {id(end.weight): end.weight for end in (base.get_input_embeddings(), head) if end is not None}
    sizes = [
        module.weight.numel()
        for _, module in base.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and id(module.weight) not in ends and not module.weight.requires_grad
    ]
    rows = 0 if head is None or number == 2 else min(ROWS, len(head.weight)) * head.weight.shape[1]
    plain = type(base.get_input_embeddings()) is nn.Embedding and type(head) is nn.Linear
    halved = sum(end.numel() for end in ends.values()) * 2 if number == 4 and plain and _in_16_bits(base.config) else 0
    return int(sum(sizes) * (number - _weight_bytes(plan))) + halved - number * max(*sizes, rows, 0)


def _in_16_bits(config: Any) -> bool:
    """Whether the model's file says that its numbers are of two bytes."""
    return str(getattr(config, "stored", "")).removeprefix("torch.") in ("bfloat16", "float16")
