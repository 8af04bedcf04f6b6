"""Owns the proof that a run survives a lack of memory: real workers under ever less of it, and a fault injected everywhere one can be.

python -m benchmarks.out_of_memory FOLDER

Each run is compared with the same run that had all the memory it wanted: updates made, examples in each, and the final adapter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

from loralab.core.events import Adjusted, Ended, Incident, Stepped
from loralab.runs.run_folder import RunFolder
from loralab.sessions.text import TextSession
from loralab.train import loop
from tests.support import limited_worker, models, tiny
from tests.support.faults import PLACES, Fault

SHARES = (1.1, 0.9, 0.7, 0.5, 0.35, 0.25, 0.15)  # of the memory the whole micro-batch takes
ROWS, STEPS = 110, 6


def main(root: Path) -> None:
    """Print both tables."""
    root.mkdir(parents=True)
    base, data = _model(root / "base"), _rows(root / "rows.jsonl")
    for precision in ("fp32", "bf16"):
        _limited(root / precision, base, data, precision)
    _injected(root, base, data)


def _limited(root: Path, base: Path, data: Path, precision: str) -> None:
    whole, needed, seconds = _work(root / "whole", base, data, 0, precision)
    sys.stdout.write(f"\n{precision}: the undisturbed run takes {needed} MB over the loaded model and {seconds:.1f} s.\n\n")
    sys.stdout.write(
        "| memory given | of what it takes | updates | did not fit | token budget at the end | largest difference | seconds |\n"
    )
    sys.stdout.write("|--:|--:|--:|--:|--:|--:|--:|\n")
    for share in SHARES:
        megabytes = int(share * needed)
        folder, _, seconds = _work(root / f"{share}", base, data, megabytes, precision)
        failures, changes = models.told(folder, Incident), models.told(folder, Adjusted)
        budget = next((change.after for change in reversed(changes) if change.setting == "token_budget"), "no limit")
        other = "".join(f", {change.setting} {change.after}" for change in changes if change.setting != "token_budget")
        row = (f"{megabytes} MB", f"{share:.0%}", _updates(folder, whole), len(failures), f"{budget}{other}", _difference(folder, whole))
        sys.stdout.write("| " + " | ".join(map(str, row)) + f" | {seconds:.1f} |\n")


def _work(path: Path, base: Path, data: Path, megabytes: int, precision: str) -> tuple[RunFolder, int, float]:
    """A real worker's run: its folder, megabytes taken, seconds of training."""
    chosen = models.plan(data, max_length=256, micro_batch=32, effective_batch=32, max_steps=STEPS, precision=precision)
    folder = models.run_folder(path, chosen, base)
    (path / "job.json").write_text(folder.job.model_dump_json())
    command = [sys.executable, "-m", "tests.support.limited_worker", str(path), str(megabytes)]
    done = subprocess.run(command, env=os.environ | limited_worker.ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stdout.write(done.stderr[-2000:])
    steps = models.told(folder, Stepped)
    return folder, int(done.stdout.split()[-1]), sum(step.tokens / step.tokens_per_second for step in steps)


def _injected(root: Path, base: Path, data: Path) -> None:
    sys.stdout.write("\n| fault in | update | updates | told | largest difference |\n|---|--:|--:|--:|--:|\n")
    whole = _train(root / "injected", base, data)
    for place, put in PLACES.items():
        for at in (1, STEPS // 2, STEPS):
            with pytest.MonkeyPatch.context() as patch:
                put(Fault(at + (place == "evaluation")), patch)
                folder = _train(root / f"{place}{at}", base, data)
            found = (_updates(folder, whole), len(models.told(folder, Incident)), _difference(folder, whole))
            sys.stdout.write(f"| {place} | {at} | " + " | ".join(map(str, found)) + " |\n")


def _train(path: Path, base: Path, data: Path) -> RunFolder:
    chosen = models.plan(data, max_length=256, micro_batch=32, effective_batch=32, max_steps=STEPS, eval_every=1)
    folder = models.run_folder(path, chosen, base)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_judge", lambda _: None)
        loop.train(TextSession(chosen, folder), chosen, folder)
    return folder


def _updates(folder: RunFolder, whole: RunFolder) -> str:
    """How many updates were made with as many tokens as they should have."""
    made, expected = models.told(folder, Stepped), models.told(whole, Stepped)
    return f"{sum(a.tokens == b.tokens for a, b in zip(made, expected, strict=False))} of {len(expected)}"


def _difference(folder: RunFolder, whole: RunFolder) -> str:
    ending = models.told(folder, Ended)
    if ending and ending[-1].outcome != "finished":
        return f"{ending[-1].outcome}: {ending[-1].code}"
    ours, theirs = (load_file(run.artifacts / "adapter" / "adapter_model.safetensors") for run in (folder, whole))
    return f"{max((tensor - theirs[name]).abs().max().item() for name, tensor in ours.items()):.1e}"


def _model(folder: Path) -> Path:
    """A Llama large enough for a step to take a quarter of a gigabyte."""
    size = AutoConfig.from_pretrained(tiny.model_folder(folder, 512)).vocab_size
    torch.manual_seed(7)
    shape: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4}
    special: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 3, "pad_token_id": 1, "tie_word_embeddings": True}
    config = LlamaConfig(vocab_size=size, num_key_value_heads=2, max_position_embeddings=512, **shape, **special)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def _rows(path: Path) -> Path:
    """Rows of 200 to 230 tokens."""
    rows = (
        {"prompt": f"Tell me about number {i}.", "completion": " ".join(["green sea and blue sky"] * (24 + i % 5))} for i in range(ROWS)
    )
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    return path


if __name__ == "__main__":
    begun = time.monotonic()
    main(Path(sys.argv[1]))
    sys.stdout.write(f"\n{time.monotonic() - begun:.0f} s\n")
