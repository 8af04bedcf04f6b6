"""Owns the measuring of ONNX exports against PyTorch: agreement by family, speed by variant, memory while writing.

python -m benchmarks.onnx FOLDER [--only families|speed|memory]

Models have random weights but for the starter: agreement, speed and memory do not depend on what was learned.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loralab.core.paths import DATA
from loralab.exports import onnx_model as form
from loralab.exports.onnx import graph, smaller
from loralab.exports.onnx.loading import open_model
from loralab.models.model_folder import count_weights, weight_files
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.base_model import load_base
from loralab.runtimes.onnx import OnnxModel
from tests.support import gguf_models, tiny

VARIANTS = ("fp32", "fp16", "int8", "uint8")
PROMPT, STEPS, ROUNDS = 128, 32, 5
PARTS = ("families", "speed", "memory")
_NEOX: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in gguf_models.FAMILIES if name not in ("gemma3", "llama_biases", "falcon_each")},
    "gemma3": ("gemma3", {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]}),
    "falcon_alibi": ("falcon_each", {"alibi": True, "bias": True}),
    "gpt_neox": ("gpt_neox", {}),
}


def main() -> None:
    """Print the tables as Markdown."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--only", choices=PARTS)
    asked.add_argument("--peak", choices=VARIANTS, help="(used by the part about memory)")
    given = asked.parse_args()
    if given.peak:
        _written_once(given.folder, given.peak)
        return
    gguf_models.FAMILIES["gpt_neox"] = ("gpt_neox", {**_NEOX, "max_position_embeddings": 512})
    given.folder.mkdir(parents=True, exist_ok=True)
    for part in [given.only] if given.only else PARTS:
        {"families": _families, "speed": _speed, "memory": _memory}[part](given.folder / part)


def _say(*cells: Any) -> None:
    sys.stdout.write("| " + " | ".join(str(cell) for cell in cells) + " |\n")
    sys.stdout.flush()


def _exported(base: Path, place: Path, variant: str) -> Path:
    """The model in `base` as ONNX, without an adapter; papers are left out."""
    target = place / variant
    shutil.copytree(base, target, ignore=shutil.ignore_patterns("*.safetensors"))
    form._describe(target, TextEncoder(target))  # noqa: SLF001
    if variant in ("int8", "uint8"):
        shutil.copytree(place / "fp32", place / "from")
        smaller.quantise(place / "from", target, signed=variant == "int8")
        shutil.rmtree(place / "from")
    else:
        model = load_base(base, "fp32", torch.device("cpu"))
        graph.write(model.half() if variant == "fp16" else model, target)
    return target


# ---- agreement -------------------------------------------------------------------------------------------------------------


def _families(room: Path) -> None:
    _say("family", *(f"{v}: max, mean, top-1" for v in VARIANTS), "past the window, fp32")
    _say("---", *("---" for _ in VARIANTS), "--:")
    for name, (family, changes) in FAMILIES.items():
        base = gguf_models.model_folder(room / name / "base", family, **changes)
        model = load_base(base, "fp32", torch.device("cpu"))
        wanted, beyond = _wanted(model), form.past_window(model)
        cells, far = [], "-"
        for variant in VARIANTS:
            with closing(open_model(_exported(base, room / name, variant))) as runtime:
                top, mean, most = _agreed(runtime, *wanted)
                cells.append(f"{most}, {mean}, {top}")
                if beyond and variant == "fp32":
                    far = f"{np.abs(runtime.logits(beyond[0])[-len(beyond[1]) :] - _log_softmax(beyond[1])).max():.1e}"
        _say(name, *cells, far)


def _wanted(model: Any) -> tuple[list[int], Any]:
    """48 tokens and what the model expects after each of them."""
    ids = [(7 + 37 * i) % model.config.vocab_size for i in range(48)]
    with torch.no_grad():
        return ids, _log_softmax(model(input_ids=torch.tensor([ids])).logits[0].numpy())


def _log_softmax(logits: Any) -> Any:
    return torch.log_softmax(torch.as_tensor(logits).double(), -1).numpy()


def _agreed(runtime: OnnxModel, ids: list[int], wanted: Any) -> tuple[str, str, str]:
    """Top-1 agreement, mean and largest difference; the last eight tokens are read one by one through the cache."""
    there = runtime.logits(ids)
    gap = np.abs(wanted - there)
    return f"{(wanted.argmax(-1) == there.argmax(-1)).mean():.2f}", f"{gap.mean():.1e}", f"{gap.max():.1e}"


# ---- speed -----------------------------------------------------------------------------------------------------------------


def _speed(room: Path) -> None:
    torch.set_num_threads(1)
    _say(
        "model",
        "engine",
        "size, MB",
        "a token: p50, p95, ms",
        "tokens/s",
        "to PyTorch",
        "prompt, tokens/s",
        "to PyTorch",
        "top-1",
        "mean diff.",
    )
    _say("---", "---", *("--:" for _ in range(8)))
    for name, base in (("starter", DATA / "starter" / "text"), ("148 M", _random(room / "base", 4, 1536))):
        _one_speed(name, base, room / name.replace(" ", ""))


def _one_speed(name: str, base: Path, room: Path) -> None:
    model = load_base(base, "fp32", torch.device("cpu"))
    wanted = _wanted(model)
    ids = [(7 + 37 * i) % model.config.vocab_size for i in range(PROMPT)]
    folders = {variant: _exported(base, room, variant) for variant in VARIANTS}
    runtimes = {variant: open_model(folder) for variant, folder in folders.items()}
    ways: dict[str, Any] = {"PyTorch": lambda: _in_torch(model, ids)}
    ways |= {variant: lambda runtime=runtime: _in_onnx(runtime, ids) for variant, runtime in runtimes.items()}
    took: dict[str, list[tuple[float, list[float]]]] = {way: [] for way in ways}
    for _ in range(ROUNDS + 1):  # the first warms up
        for way, ask in ways.items():
            took[way].append(ask())
    usual = {way: _numbers(rounds[1:]) for way, rounds in took.items()}
    for way, (p50, p95, rate, prompt) in usual.items():
        agreed = ("", "") if way == "PyTorch" else _agreed(runtimes[way], *wanted)[:2]
        size = _bytes(base if way == "PyTorch" else folders[way]) / 1e6
        ratios = rate / usual["PyTorch"][2], prompt / usual["PyTorch"][3]
        _say(
            name,
            way,
            f"{size:.0f}",
            f"{p50:.1f}, {p95:.1f}",
            f"{rate:.1f}",
            f"{ratios[0]:.2f}",
            f"{prompt:.0f}",
            f"{ratios[1]:.2f}",
            *agreed,
        )
    for runtime in runtimes.values():
        runtime.close()


def _numbers(rounds: list[tuple[float, list[float]]]) -> tuple[float, float, float, float]:
    """p50 and p95 of a token in ms, tokens a second by the median, tokens a second of the prompt."""
    steps = [1e3 * step for _, every in rounds for step in every]
    middle = statistics.median(steps)
    return middle, float(np.percentile(steps, 95)), 1e3 / middle, PROMPT / statistics.median(first for first, _ in rounds)


def _in_torch(model: Any, ids: list[int]) -> tuple[float, list[float]]:
    new, cache, took = torch.tensor([ids]), None, []
    with torch.no_grad():
        for _ in range(STEPS + 1):
            begun = time.perf_counter()
            told = model(input_ids=new, past_key_values=cache, use_cache=True)
            new, cache = told.logits[:, -1:].argmax(-1), told.past_key_values
            took.append(time.perf_counter() - begun)
    return took[0], took[1:]


def _in_onnx(runtime: OnnxModel, ids: list[int]) -> tuple[float, list[float]]:
    new, seen, cache, took = list(ids), 0, runtime.empty(), []
    for _ in range(STEPS + 1):
        begun = time.perf_counter()
        told, cache = runtime.read(new, seen, cache)
        seen, new = seen + len(new), [int(told[-1].argmax())]
        took.append(time.perf_counter() - begun)
    return took[0], took[1:]


def _bytes(folder: Path) -> int:
    names = (graph.FILE, graph.DATA) if (folder / graph.FILE).is_file() else [path.name for path in weight_files(folder)]
    return sum((folder / name).stat().st_size for name in names)


def _random(folder: Path, layers: int, hidden: int) -> Path:
    """A Llama with the tests' tokenizer and a vocabulary of a usual size."""
    from transformers import LlamaConfig, LlamaForCausalLM

    if not (folder / "config.json").is_file():
        tiny._tokenizer(folder, 1024)  # noqa: SLF001
        torch.manual_seed(7)
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=32000,
                hidden_size=hidden,
                intermediate_size=hidden * 11 // 4,
                num_hidden_layers=layers,
                num_attention_heads=16,
                num_key_value_heads=4,
                tie_word_embeddings=True,
                bos_token_id=0,
                eos_token_id=3,
                pad_token_id=1,
            )
        ).save_pretrained(folder)
    return folder


# ---- memory ----------------------------------------------------------------------------------------------------------------


def _memory(room: Path) -> None:
    weights = count_weights(weight_files(_random(room / "base", 12, 1024)))[0]
    _say("variant", "weights", "highest memory, GB", "bytes a weight over the libraries", "foretold, GB", "seconds")
    _say("---", *("--:" for _ in range(5)))
    for variant in ("fp32", "fp16", "int8"):
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.onnx", str(room), "--peak", variant], capture_output=True, check=True, text=True
        )
        peak, seconds = int(done.stdout.split()[-1]), time.perf_counter() - begun
        foretold = weights * form.MEMORY[variant] + form.LIBRARIES
        _say(
            variant,
            f"{weights / 1e6:.0f} M",
            f"{peak / 1e9:.2f}",
            f"{(peak - form.LIBRARIES) / weights:.1f}",
            f"{foretold / 1e9:.2f}",
            f"{seconds:.0f}",
        )


def _written_once(room: Path, variant: str) -> None:
    """In a process of its own: write as the export does, then print the highest resident memory."""
    target, way = room / variant, room / f"{variant}-fp32"
    target.mkdir()
    way.mkdir()
    model: Any = load_base(room / "base", "fp32", torch.device("cpu"))
    graph.write(model.half() if variant == "fp16" else model, way)
    del model
    if variant == "int8":
        smaller.quantise(way, target, signed=True)
        way = target
    shutil.copytree(room / "base", target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    if way != target:
        shutil.copytree(way, target, dirs_exist_ok=True)
    with closing(open_model(target)) as runtime:
        runtime.logits(list(range(4, 48)))
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}\n")


if __name__ == "__main__":
    main()
