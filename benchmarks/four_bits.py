"""Bases in 4 bits without a card: how much memory a shape really takes to load and train, and what squeezing and unpacking cost.

    python -m benchmarks.four_bits memory 1.7b 4.0      a shape under a limit of so many GB, in a child process
    python -m benchmarks.four_bits speed                nanoseconds a number, beside bitsandbytes' own, interleaved

Weights are random and written once into a folder of the system's temporary ones, in bf16, piece by piece.
"""

from __future__ import annotations

import json
import math
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHAPES = {  # width, layers, inner width, heads, key-value heads, vocabulary, whether the output is the embedding
    "135m": (576, 30, 1536, 9, 3, 49152, True),
    "1.7b": (2048, 24, 8192, 32, 32, 49152, True),
    "8b": (4096, 32, 14336, 32, 8, 128256, False),
}
POOL = 1 << 25  # bytes of random numbers, used again and again


def folder_of(name: str) -> Path:
    """A Llama of this shape, made where it is not there."""
    folder = Path(tempfile.gettempdir()) / f"loralab_shape_{name}"
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(exist_ok=True)
    width, layers, inner, heads, kv, vocabulary, tied = SHAPES[name]
    shapes = {"model.embed_tokens.weight": (vocabulary, width), "model.norm.weight": (width,)}
    shapes |= {} if tied else {"lm_head.weight": (vocabulary, width)}
    narrow = kv * width // heads
    matrices = {"self_attn.q_proj": (width, width), "self_attn.k_proj": (narrow, width), "self_attn.v_proj": (narrow, width)}
    matrices |= {"self_attn.o_proj": (width, width), "mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width)}
    matrices |= {"mlp.down_proj": (width, inner), "input_layernorm": (width,), "post_attention_layernorm": (width,)}
    shapes |= {f"model.layers.{i}.{part}.weight": shape for i in range(layers) for part, shape in matrices.items()}
    _write(folder / "model.safetensors", shapes)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width, "num_hidden_layers": layers}
    config |= {"intermediate_size": inner, "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": vocabulary}
    config |= {"tie_word_embeddings": tied, "max_position_embeddings": 2048, "dtype": "bfloat16", "hidden_act": "silu"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _write(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    import torch

    head, at = {}, 0
    for name, shape in shapes.items():
        head[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 2 * math.prod(shape)]}
        at += 2 * math.prod(shape)
    words = json.dumps(head).encode()
    words += b" " * (-len(words) % 8)
    pool = (torch.randn(POOL // 2, generator=torch.Generator().manual_seed(0)) * 0.02).bfloat16().view(torch.uint8).numpy().tobytes()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(words)) + words)
        for shape in shapes.values():
            left = 2 * math.prod(shape)
            while left:
                left -= file.write(pool[:left])


def train(folder: Path, gigabytes: float, kind: str = "nf4", tokens: int = 128) -> dict[str, Any]:
    """Two updates in this process with no more private memory than that."""
    limit = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    import torch

    from loralab.runtimes.base_model import load_base
    from loralab.sessions.head import TextHead
    from loralab.sessions.lora import attach_adapter
    from loralab.sessions.recompute import set_mode
    from loralab.sessions.trace import Pack, trace
    from loralab.tasks.text import TextPlan
    from loralab.train import memory
    from loralab.train.optim import adamw

    plan = TextPlan.model_validate({"precision": kind, "recompute": "full", "optimizer": "paged_adamw_8bit"})
    memory.settle(1 << 30)
    alone, begun = memory.used(), time.perf_counter()
    model: Any = attach_adapter(load_base(folder, kind), plan)
    loaded = {"load_s": round(time.perf_counter() - begun, 1), "load_peak": memory.peak(), "loaded": memory.used()}
    memory.reset_peak()
    set_mode(model.get_base_model(), plan.recompute, plan.rank)
    head, optimizer = TextHead(model.get_base_model()), adamw([p for p in model.parameters() if p.requires_grad], plan)
    torch.manual_seed(1)
    ids = torch.randint(4, 40000, (1, tokens))
    losses, times = list[float](), list[float]()
    for _ in range(2):
        begun = time.perf_counter()
        loss = head.loss(ids, torch.ones_like(ids, dtype=torch.bool))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item() / (tokens - 1))
        times.append(round(time.perf_counter() - begun, 1))
    traced = trace(plan, folder, Pack(1, tokens, tokens))
    found = {"limit": gigabytes, "program": alone, **loaded, "train_peak": memory.peak(), "traced": sum(traced.values()), "losses": losses}
    return found | {"update_s": times, "tokens": tokens, "load": os.getloadavg()[0]}


def speed() -> None:
    """Squeezing and unpacking, ours and bitsandbytes' in turn."""
    import torch
    from bitsandbytes import functional

    from loralab.runtimes.four_bits import squeezed, unpacked

    general = torch.ops.bitsandbytes.quantize_4bit
    for rows, columns in ((576, 576), (1536, 576), (2048, 2048), (8192, 2048)):
        weight, out = torch.randn(rows, columns).mul_(0.02).bfloat16(), torch.empty(rows, columns)
        data, state = functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
        state.dtype = torch.float32
        held = type("Held", (), {"quant_state": state, "data": data, "dtype": data.dtype})()
        ways = {
            "unpack ours": lambda held=held, out=out: unpacked(held, out),  # type: ignore[misc]
            "unpack bitsandbytes": lambda data=data, state=state: functional.dequantize_4bit(data, state),  # type: ignore[misc]
            "squeeze ours": lambda weight=weight: squeezed(weight, 64, "nf4", torch.uint8),  # type: ignore[misc]
            "squeeze bitsandbytes": lambda weight=weight: general(weight, 64, "nf4", torch.uint8),  # type: ignore[misc]
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(7):
            for name, way in ways.items():
                begun = time.perf_counter()
                way()
                found[name].append((time.perf_counter() - begun) / weight.numel() * 1e9)
        said = ", ".join(f"{name} {min(times):.2f} (median {sorted(times)[3]:.2f})" for name, times in found.items())
        sys.stdout.write(f"{rows} x {columns}: {said} ns a number; load {os.getloadavg()[0]:.1f}\n")


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        speed()
    elif sys.argv[1] == "memory":
        place = folder_of(sys.argv[2])
        subprocess.run([sys.executable, "-m", "benchmarks.four_bits", "child", str(place), *sys.argv[3:]], check=True)
    else:
        sys.stdout.write(json.dumps(train(Path(sys.argv[2]), float(sys.argv[3]), "".join(sys.argv[4:5]) or "nf4")) + "\n")
