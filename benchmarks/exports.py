"""Owns the matrix of the parity gate: architecture x format, each exported whole from a tiny model and judged against its bound.

Run: `python -m benchmarks.exports FOLDER [--only FAMILY] [--onnx]`. Prints a row per cell and how many were green.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from loralab.core import paths
from loralab.core.events import EventLog, Started
from loralab.core.jobs import ExportJob, TrainJob
from loralab.exports import job
from loralab.exports.parity import gate as _gate
from loralab.exports.parity.checks import BOUNDS, gate
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.llama import parent
from loralab.runtimes.llama.parent import Child
from loralab.tasks import parse_plan
from tests.support import gguf_models, tiny

FAMILIES = ("llama", "llama_biases", "llama3", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi", "phi3", "gpt2", "falcon")
FORMATS = (("gguf", "f16"), ("gguf", "q8_0"), ("gguf", "q4_k_m"), ("gguf_adapter", ""), ("adapter", ""), ("merged", ""))
ONNX = (("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "int8"), ("onnx", "uint8"))
WORDS = 32  # tokens written for tokens/s


def workspace(home: Path, family: str) -> tuple[Path, Path]:
    """A finished run on a tiny model of a family; returns base and adapter."""
    base = gguf_models.model_folder(home / "base", family)
    run = home / "runs" / "tiny-run"
    adapter = gguf_models.adapter_folder(run / "artifacts" / "adapter", base)
    plan = parse_plan({"dataset": str(tiny.examples_file(home / "colours.jsonl", 40)), "base_model": str(base), "rank": 4})
    asked = TrainJob(run="tiny-run", plan=plan.model_dump(), model=str(base))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1))
    return base, adapter


def export(home: Path, base: Path, adapter: Path, form: str, variant: str) -> dict[str, Any]:
    """The result of a whole export, with its seconds."""
    folder = home / "runs" / f"export-{form}-{variant}"
    folder.mkdir(parents=True)
    options = {"of": "tiny-run", "format": form, "variant": variant, "model": str(base), "adapter": str(adapter)}
    begun = time.perf_counter()
    result = job.run(RunFolder(folder, ExportJob.model_validate({"run": folder.name, **options}), EventLog(folder / "events.jsonl")))
    return result | {"seconds": time.perf_counter() - begun}


def watched(speeds: list[float], kinds: list[str]) -> Any:
    """The gate, with a clock on the runtime it opens."""

    def timed(opened: Any, encoder: Any, wanted: Any, kind: str, *found: Any) -> Any:
        def open_and_time(context: int) -> Any:
            runtime = opened(context + WORDS)
            begun = time.perf_counter()
            written = runtime.generate(wanted.ids[:16], WORDS)
            speeds.append(len(written) / (time.perf_counter() - begun))
            return runtime

        kinds.append(kind)
        return gate(open_and_time, encoder, wanted, kind, *found)

    return timed


def row(family: str, name: str, result: dict[str, Any], kind: str, speed: float) -> str:
    """One cell as a line of a table."""
    bound = BOUNDS[kind]
    size = result.get("file_bytes") or result["bytes"]
    gap = abs(result["heldout_loss"] - result["heldout_loss_trained"])
    same = f"{result['answer_tokens_equal']:.0f}/{result['answer_tokens']:.0f}"
    return (
        f"| {family} | {name} | {result['parity']} | {size / 1e6:.2f} | {result['seconds']:.1f} | {result['max_logit_difference']:.1e} | "
        f"{result['divergence']:.1e} ({bound.divergence:g}) | {result['top1_agreement']:.0%} | {same} | "
        f"{result['rounding_divergence']:.1e} | {gap:.1e} | {speed:.0f} |"
    )


def tell(line: str) -> None:
    """Say it at once: a matrix takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Every cell, in turns."""
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--only", default="")
    asked.add_argument("--onnx", action="store_true", help="the ONNX cells instead of the others: tracing takes ten seconds each")
    options = asked.parse_args()
    kept = Child("transformers")  # one process for all folders: its start is the same everywhere
    shared = SimpleNamespace(version=kept.version, ask=kept.ask, close=lambda: None)
    parent.Child = lambda name="": shared if name == "transformers" else Child(name)  # type: ignore[assignment,misc]
    speeds: list[float] = []
    kinds: list[str] = []
    _gate.gate = watched(speeds, kinds)
    green = cells = 0
    tell("| model | format | | MB | s | largest | divergence (bound) | same | answer | rounding cost | loss | tokens/s |")
    tell("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for family in [options.only] if options.only else FAMILIES:
        home = options.folder / family
        base, adapter = workspace(home, family)
        for form, variant in ONNX if options.onnx else FORMATS:
            result = export(home, base, adapter, form, variant)
            cells, green = cells + 1, green + (result["parity"] == "proven")
            tell(row(family, f"{form} {variant}".strip(), result, kinds[-1], speeds[-1]))
    tell(f"\n{green} of {cells} green")
    kept.close()


if __name__ == "__main__":
    main()
