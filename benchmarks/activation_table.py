"""Owns data/activations.json: bytes a block keeps for the way back, per token and per unit of each of its widths, by family and setting.

Invariant: every number is a difference of two traces (loralab.sessions.trace), nothing is fitted by hand.
Run: python -m benchmarks.activation_table [FAMILY ...]   (families named are traced again, the others are kept)
"""

from __future__ import annotations

import json
import sys
from itertools import product
from typing import Any

import torch
from transformers import AutoConfig

from loralab.core.paths import DATA
from loralab.sessions.trace import Pack, _phases
from loralab.tasks.text import TextPlan

BASE = {"hidden": 512, "intermediate": 1024, "q": 512, "kv": 256}
HEAD = 64  # width of an attention head
ROWS, LENGTH, RANK = 2, 128, 16
FAMILIES = {  # family -> widths that can be set apart from the hidden one
    "by_hand": ("q", "kv"),  # Llama's blocks as loralab.sessions.fast computes them on a processor
    "by_hand_gpt2": (),
    "llama": ("q", "kv"),
    "qwen3": ("q", "kv"),
    "gemma3_text": ("q", "kv"),
    "phi3": (),
    "gpt2": (),
    "falcon": (),
    "gpt_neox": (),
}


SQUARE = ("gpt2",)  # their own dropout in attention, where a plan asks for any, keeps fast kernels away: a square of scores is kept


def config(family: str, sizes: dict[str, int], layers: int) -> Any:
    """A small model of a family with these widths."""
    hidden, heads, kv = sizes["hidden"], sizes["q"] // HEAD, sizes["kv"] // HEAD
    shared = {"vocab_size": 1000, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    if family in ("gpt2", "by_hand_gpt2"):
        family = "gpt2"
        own = {"n_embd": hidden, "n_head": heads, "n_layer": layers, "n_inner": sizes["intermediate"], "n_positions": 4096}
        return AutoConfig.for_model(family, **shared, **own)
    shared |= {"hidden_size": hidden, "num_attention_heads": heads, "num_hidden_layers": layers, "max_position_embeddings": 4096}
    if family == "falcon":
        own = {"multi_query": True, "parallel_attn": True, "new_decoder_architecture": False, "alibi": False, "bias": False}
        return AutoConfig.for_model(family, **shared, **own, ffn_hidden_size=sizes["intermediate"])
    shared |= {"intermediate_size": sizes["intermediate"]}
    if family == "gpt_neox":
        return AutoConfig.for_model(family, **shared)
    own = {"num_key_value_heads": kv, "tie_word_embeddings": True}
    family = "llama" if family == "by_hand" else family
    if family != "phi3":
        own["head_dim"] = HEAD
    return AutoConfig.for_model(family, **shared, **own)


def per_token(family: str, sizes: dict[str, int], length: int = LENGTH, **settings: Any) -> tuple[float, float]:
    """(bytes per token and layer, bytes per token on top) from a trace at two depths."""
    rows = 64 if family.startswith("by_hand") else ROWS  # a block's matrices, which its work space holds, are counted apart
    plan, pack = TextPlan(rank=RANK, **settings), Pack(rows, length, 8)
    where = "cpu" if family.startswith("by_hand") else "cuda"
    two, three = (_phases(plan, config(family, sizes, layers), pack, where) for layers in (2, 3))
    tokens = rows * length
    slope = max((three[phase]["activations"] - two[phase]["activations"]) / tokens for phase in two)
    return slope, max(phase["activations"] for phase in two.values()) / tokens - 2 * slope


def row(family: str, **settings: Any) -> dict[str, float]:
    """What a block keeps per unit of each width, what is left over, and the work space on top at 2 and at 4 times the hidden width."""
    kept, top = per_token(family, BASE, **settings)
    apart, square, heads = FAMILIES[family], 0.0, BASE["q"] // HEAD
    if family in SQUARE:
        square = (per_token(family, BASE, 2 * LENGTH, **settings)[0] - kept) / LENGTH / heads
    wider = BASE | {"intermediate": 2 * BASE["intermediate"]}
    more, wide_top = per_token(family, wider, **settings)
    found = {"intermediate": (more - kept) / BASE["intermediate"]}
    for name in apart:
        more, _ = per_token(family, BASE | {name: 2 * BASE[name]}, **settings)
        found[name] = (more - kept) / BASE[name]
    both = {"hidden": 1024, "q": 1024, "kv": 512} if not apart else {"hidden": 1024}
    more, _ = per_token(family, BASE | both, **settings)
    found["hidden"] = (more - kept) / BASE["hidden"] - (square * LENGTH / HEAD if not apart else 0.0)
    rest = kept - square * LENGTH * heads - sum(found[name] * BASE[name] for name in found)
    found |= {"rest": rest, "top2": top / BASE["hidden"], "top4": wide_top / BASE["hidden"], "square": square}
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    """Trace every family and setting, and write the table."""
    torch.set_num_threads(1)
    file = DATA / "activations.json"
    table: dict[str, dict[str, float]] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    axes = product(sys.argv[1:] or FAMILIES, ("fp32", "bf16"), ("all-linear", "attention", "mlp"), (0.0, 0.1), ("none", "selective"))
    for family, precision, targets, dropout, mode in axes:
        if family.startswith("by_hand") and dropout:
            continue
        name = " ".join([family, precision, targets, "dropout" if dropout else "plain", mode])
        table[name] = row(family, precision=precision, targets=targets, dropout=dropout, recompute=mode)
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(values)}" for name, values in table.items())
    file.write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    main()
