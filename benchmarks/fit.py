"""How well memory is foretold: three stages of the fit against the measured peak of real training steps, over a grid of models and plans.

    python -m benchmarks.fit [--out table.md] [--plot docs/images/fit.svg]

Each cell runs in a process of its own. Measured is the highest resident memory of two training steps on the largest micro-batch, over
what the process held once model and adapter were loaded: what is hard to foretell, without the weights, which are not. Weights are random.
Stage A is the closed form (its parts but weights, adapter and the process itself), B the trace, C two tries in that same
process, of half and of all the tokens.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COUNT = 24
_SIZES = {  # name -> hidden, feed-forward, layers, heads, key-value heads, vocabulary
    "13M": (384, 1024, 8, 6, 2, 4096),
    "40M": (512, 1408, 8, 8, 4, 16000),
    "135M": (576, 1536, 30, 9, 3, 49152),
    "0.5B": (896, 4864, 24, 14, 2, 151936),
}


@dataclass(frozen=True)
class Cell:
    """One model with one plan and one micro-batch."""

    kind: str
    size: str
    rows: int
    longest: int
    rank: int
    recompute: str
    precision: str
    targets: str


def _cell(text: str) -> Cell:
    kind, size, rows, longest, rank, recompute, precision, targets = text.split()
    return Cell(kind, size, int(rows), int(longest), int(rank), recompute, precision, targets)


CELLS = tuple(
    _cell(line)
    for line in """
llama 13M 8 128 8 none fp32 all-linear
llama 13M 2 1024 16 none fp32 all-linear
llama 40M 4 512 16 none fp32 all-linear
llama 40M 4 512 16 full fp32 all-linear
llama 40M 4 512 16 selective fp32 all-linear
llama 40M 2 1024 64 none bf16 attention
llama 135M 8 128 32 none bf16 all-linear
llama 135M 1 1024 16 full fp32 all-linear
qwen2 13M 8 256 8 none bf16 all-linear
qwen2 40M 2 1024 16 none fp32 attention
qwen2 40M 1 2048 16 full bf16 all-linear
qwen2 135M 4 256 64 none fp32 all-linear
qwen2 0.5B 1 256 8 none bf16 all-linear
qwen2 0.5B 1 512 16 full bf16 all-linear
qwen3 40M 4 256 16 none fp32 all-linear
qwen3 40M 2 1024 32 full fp32 attention
qwen3 135M 2 256 16 none bf16 all-linear
gpt2 13M 4 256 16 none fp32 all-linear
gpt2 40M 4 512 16 none fp32 all-linear
gpt2 40M 4 512 8 full bf16 all-linear
gpt2 135M 4 128 64 none fp32 attention
falcon 40M 2 512 16 none fp32 all-linear
falcon 40M 2 512 16 full fp32 attention
falcon 135M 4 128 8 none bf16 all-linear
""".strip().splitlines()
)


def config(cell: Cell) -> Any:
    """The model's config, of transformers' own class."""
    from transformers import AutoConfig

    hidden, forward, layers, heads, shared, vocabulary = _SIZES[cell.size]
    if cell.kind == "gpt2":
        return AutoConfig.for_model(
            "gpt2",
            n_embd=hidden,
            n_layer=layers,
            n_head=heads,
            n_inner=forward,
            n_positions=2048,
            vocab_size=vocabulary,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=3,
        )
    if cell.kind == "falcon":
        return AutoConfig.for_model(
            "falcon",
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            vocab_size=vocabulary,
            alibi=False,
            ffn_hidden_size=forward,
            multi_query=True,
            max_position_embeddings=2048,
            bos_token_id=0,
            eos_token_id=3,
        )
    own = {"head_dim": hidden // heads} if cell.kind == "qwen3" else {}
    return AutoConfig.for_model(
        cell.kind,
        hidden_size=hidden,
        intermediate_size=forward,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=shared,
        vocab_size=vocabulary,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=3,
        pad_token_id=1,
        **own,
    )


def measure(cell: Cell) -> dict[str, Any]:
    """One cell in this process: what three stages say, and what was. Bytes."""
    import torch
    from transformers import AutoModelForCausalLM

    from loralab.runtimes.base_model import DTYPES
    from loralab.sessions.head import TextHead
    from loralab.sessions.lora import attach_adapter
    from loralab.sessions.recompute import set_mode
    from loralab.sessions.trace import Pack, trace
    from loralab.tasks.text import TextPlan
    from loralab.train import memory
    from loralab.train.optim import adamw
    from loralab.train.probe import TRIES, Fit

    torch.manual_seed(0)
    plan = TextPlan.model_validate(
        {
            "rank": cell.rank,
            "recompute": cell.recompute,
            "precision": cell.precision,
            "targets": cell.targets,
            "micro_batch": cell.rows,
            "max_length": cell.longest,
            "effective_batch": cell.rows,
        }
    )
    folder = Path(tempfile.mkdtemp())
    made = config(cell)
    base: Any = AutoModelForCausalLM.from_config(made, dtype=DTYPES[cell.precision])
    base.config.save_pretrained(folder)
    weights = sum(p.numel() for p in base.parameters())
    model: Any = attach_adapter(base.requires_grad_(requires_grad=False).eval(), plan)
    memory.settle(sum(p.numel() for p in model.parameters()))
    set_mode(model.get_base_model(), plan.recompute, plan.rank)
    head, trained = TextHead(model.get_base_model()), [p for p in model.parameters() if p.requires_grad]
    optimizer = adamw(trained, plan)
    learned = cell.longest * 3 // 4

    def foretold(rows: int, longest: int) -> dict[str, int]:
        return trace(plan, folder, Pack(rows, longest, rows * min(learned, longest - 1)))

    def step(rows: int, longest: int, *, update: bool) -> int:
        ids = torch.randint(4, made.vocab_size, (rows, longest))
        mark = torch.zeros_like(ids, dtype=torch.bool)
        mark[:, longest - min(learned, longest - 1) :] = True
        memory.reset_peak()
        head.loss(ids, mark).backward()
        if update:
            optimizer.step()
        optimizer.zero_grad()
        return memory.peak()

    begun = time.monotonic()
    trace_parts = foretold(cell.rows, cell.longest)
    traced_in = time.monotonic() - begun
    adapter = sum(p.numel() * 4 for p in trained)
    gc.collect()
    loaded = memory.used()
    ballast = torch.ones(2 * adapter, dtype=torch.uint8)
    tries = [_smaller(cell, share) for share in TRIES]
    counted = [float(_moving(foretold(*size))) for size in tries]
    fit = Fit(tuple(counted), tuple(float(step(*size, update=False)) for size in tries))
    probed = fit.at(_moving(trace_parts)) - loaded
    del ballast
    peaks = [step(cell.rows, cell.longest, update=True) for _ in range(2)]
    return {
        "weights": weights,
        "measured": max(peaks) - loaded,
        "A": _closed_form(plan, made, folder, cell),
        "B": sum(trace_parts.values()) - trace_parts["weights"] - adapter,
        "C": probed,
        "trace_seconds": traced_in,
        "all": max(peaks),
        "parts": trace_parts,
        "tries": [m - loaded for m in fit.measured],
    }


def _moving(parts: dict[str, int]) -> int:
    return parts["activations"] + parts["head"] + parts["adapter"]


def _smaller(cell: Cell, share: float) -> tuple[int, int]:
    """A smaller micro-batch: fewer rows, or, where there are too few to leave out, a shorter one."""
    tokens = int(cell.rows * cell.longest * share)
    rows = tokens // cell.longest
    return (rows, cell.longest) if rows else (1, tokens)


def _closed_form(plan: Any, made: Any, folder: Path, cell: Cell) -> int:
    from loralab.machine.hardware import measure_machine
    from loralab.models.model_check import ModelCheck
    from loralab.models.model_folder import shape_of
    from loralab.planning import estimate

    shape = shape_of(json.loads((folder / "config.json").read_text()))
    model = ModelCheck(
        name="cell",
        ok=True,
        folder=folder,
        shape=shape,
        parameters=shape.parameters,
        present=True,
        attention_linear=shape.attention_linear,
        mlp_linear=shape.mlp_linear,
    )
    parts = estimate.footprint(plan, model, measure_machine(folder)).parts
    half = parts["adapter"] // 2  # the adapter itself is loaded already, its gradient is not
    return parts["activations"] + parts["head"] + parts["optimiser"] + half


def run(timeout: float = 240.0) -> list[tuple[Cell, dict[str, Any]]]:
    """All cells, one after another."""
    found = []
    for number, cell in enumerate(CELLS):
        command = [sys.executable, "-m", "benchmarks.fit", "--cell", str(number)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            sys.stderr.write(f"{cell}: {error} {str(error.stderr or '')[-800:]}\n")
            continue
        result = json.loads(done.stdout.strip().splitlines()[-1])
        found.append((cell, result))
        errors = {stage: f"{_error(result, stage):+.1%}" for stage in "ABC"}
        sys.stderr.write(f"{number} {cell} {result['measured'] / 1e6:.0f} MB {errors}\n")
    return found


def _error(result: dict[str, Any], stage: str) -> float:
    return result[stage] / result["measured"] - 1


def summary(found: list[tuple[Cell, dict[str, Any]]]) -> str:
    """Table and the numbers the bar is about, in Markdown."""
    lines = [
        "| model | weights | rows x tokens | rank | recompute | precision | adapter on | measured MB | A | B | C |",
        "|---|--:|--:|--:|---|---|---|--:|--:|--:|--:|",
    ]
    for cell, result in found:
        errors = " | ".join(f"{_error(result, stage):+.1%}" for stage in "ABC")
        lines.append(
            f"| {cell.kind} | {result['weights'] / 1e6:.0f} M | {cell.rows} x {cell.longest} | {cell.rank} | {cell.recompute} | "
            f"{cell.precision} | {cell.targets} | {result['measured'] / 1e6:.0f} | {errors} |"
        )
    lines += ["", "| stage | median error | 95th percentile | worst |", "|---|--:|--:|--:|"]
    for stage in "ABC":
        errors = sorted(abs(_error(result, stage)) for _, result in found)
        high = statistics.quantiles(errors, n=20, method="inclusive")[-1]
        lines.append(f"| {stage} | {statistics.median(errors):.1%} | {high:.1%} | {errors[-1]:.1%} |")
    slow = max(result["trace_seconds"] for _, result in found)
    return "\n".join([*lines, "", f"{len(found)} of {len(CELLS)} cells; the slowest trace took {slow:.1f} s."])


def plot(found: list[tuple[Cell, dict[str, Any]]]) -> str:
    """Foretold over measured, both in MB on a logarithmic scale, as an SVG."""
    import math

    colours = {"A": "#bbbbbb", "B": "#4477aa", "C": "#cc6677"}
    values = [result[stage] for _, result in found for stage in ("A", "B", "C", "measured")]
    low, high = math.log10(min(values) * 0.8), math.log10(max(values) * 1.25)

    def at(value: float) -> float:
        return 40 + 400 * (math.log10(value) - low) / (high - low)

    marks = [
        f'<circle cx="{at(result["measured"]):.1f}" cy="{480 - at(result[stage]):.1f}" r="4" fill="{colour}" fill-opacity="0.8"/>'
        for stage, colour in colours.items()
        for _, result in found
    ]
    named = {"A": "closed form", "B": "trace", "C": "probe"}
    legend = [
        f'<circle cx="60" cy="{30 + 20 * i}" r="4" fill="{colours[s]}"/><text x="70" y="{34 + 20 * i}">{s}: {words}</text>'
        for i, (s, words) in enumerate(named.items())
    ]
    ticks = [
        f'<text x="{at(v):.0f}" y="458" text-anchor="middle">{v / 1e6:.0f}</text><text x="36" y="{484 - at(v):.0f}" text-anchor="end">'
        f"{v / 1e6:.0f}</text>"
        for v in (1e7, 3e7, 1e8, 3e8, 1e9, 3e9)
        if low < math.log10(v) < high
    ]
    frame = '<rect width="480" height="490" fill="white"/><path d="M40 40V440H440" fill="none" stroke="#888"/>'
    diagonal = '<path d="M40 440L440 40" stroke="#888" stroke-dasharray="4"/>'
    axes = '<text x="240" y="480" text-anchor="middle">measured, MB</text><text x="10" y="24">foretold, MB</text>'
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 490" font-family="sans-serif" font-size="12">'
    return "\n".join([head, frame, diagonal, axes, *ticks, *legend, *marks, "</svg>", ""])


def main() -> None:
    """Parse the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cell", type=int)
    options.add_argument("--out", type=Path)
    options.add_argument("--plot", type=Path)
    chosen = options.parse_args()
    if chosen.cell is not None:
        sys.stdout.write(json.dumps(measure(CELLS[chosen.cell])) + "\n")
        return
    found = run()
    if chosen.plot:
        chosen.plot.write_text(plot(found), "utf-8")
    text = summary(found) + "\n"
    if chosen.out:
        chosen.out.write_text(text, "utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
