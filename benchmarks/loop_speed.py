"""Two versions of the training loop against each other: the same run in turns, processor seconds per update, ratio by ratio.

    git worktree add /somewhere/older REVISION
    python -m benchmarks.loop_speed /somewhere/older [--pairs 8] [--kind starter|llama]

Each run has a process of its own, in the loop a worker runs, on one thread. Counted is the process's own time on the processor, which other
programs disturb least, from the FIRST update's end to the last's: the updates alone, and with the looks and safety copies in between.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
FIRST, LAST, LOOKS = 10, 70, 10  # updates: those that warm up, all, and every how many the held-out examples are looked at
KINDS = {"starter": "the bundled model, 8.4 M weights", "llama": "a Llama of 19 M weights, random"}
PLAN: dict[str, Any] = {
    "rank": 16,
    "alpha": 32,
    "max_length": 128,
    "micro_batch": 4,
    "effective_batch": 8,
    "patience": 0,
    "learning_rate": 2e-4,
    "epochs": 20.0,
    "max_steps": LAST,
    "eval_every": LOOKS,
    "precision": "fp32",
    "seed": 1,
}
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


class Enough(Exception):
    """The last update has been told."""


def train(kind: str, folder: Path) -> dict[str, Any]:
    """One run in this process, with the code that is on the path: processor milliseconds per update and per round of LOOKS updates."""
    import loralab
    from loralab.core.paths import SAMPLES, STARTER
    from loralab.sessions.text import TextSession
    from loralab.train import loop
    from tests.support import models

    base = STARTER if kind == "starter" else _llama(folder / "base")
    plan = models.plan(SAMPLES / "customer_messages.csv", **PLAN)
    where = models.run_folder(folder / "run", plan, base)
    marks: list[tuple[int, float]] = []  # update, processor seconds when it began or was told
    emit, update = where.emit, loop._update  # noqa: SLF001  timed from outside, so that older code can be, too

    def told(event: Any) -> None:
        emit(event)
        if event.type == "stepped":
            marks.append((event.step, time.process_time()))
            if event.step == LAST:
                raise Enough

    begun: list[float] = []

    def updated(*given: Any) -> Any:
        begun.append(time.process_time())
        return update(*given)

    where.emit, loop._update = told, updated  # type: ignore[method-assign]  # noqa: SLF001
    with contextlib.suppress(Enough):
        loop.train(TextSession(plan, where), plan, where)
    alone = [end - start for (step, end), start in zip(marks, begun, strict=True) if step > FIRST]
    whole = (marks[-1][1] - marks[FIRST - 1][1]) / (LAST - FIRST)
    return {"code": str(Path(loralab.__file__).parent.parent), "update": statistics.median(alone), "whole": whole}


def _llama(folder: Path) -> Path:
    import shutil

    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from loralab.core.paths import STARTER

    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (STARTER / name).exists():
            shutil.copy(STARTER / name, folder / name)
    torch.manual_seed(0)
    size = len(AutoTokenizer.from_pretrained(str(STARTER)))
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=384,
            intermediate_size=1024,
            num_hidden_layers=10,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=3,
            pad_token_id=1,
        )
    ).save_pretrained(folder)
    return folder


def timed(checkout: Path, kind: str) -> dict[str, Any]:
    """One run of a checkout's code in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), "--one", kind, folder]
        environment = os.environ | QUIET | {"PYTHONPATH": str(checkout)}
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    if Path(found["code"]).resolve() != checkout.resolve():
        raise SystemExit(f"{checkout} was asked for and {found['code']} was timed")
    return found


def main() -> None:
    """Pairs of runs, the older first in every other one; the ratios this version over the older."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("older", type=Path, nargs="?")
    options.add_argument("--pairs", type=int, default=8)
    options.add_argument("--kind", choices=sorted(KINDS), default="starter")
    options.add_argument("--one", nargs=2)
    chosen = options.parse_args()
    if chosen.one:
        sys.stdout.write(json.dumps(train(chosen.one[0], Path(chosen.one[1]))) + "\n")
        return
    ratios: dict[str, list[float]] = {"update": [], "whole": []}
    for number in range(chosen.pairs):
        order = [chosen.older.resolve(), HERE] if number % 2 else [HERE, chosen.older.resolve()]
        pair = {where: timed(where, chosen.kind) for where in order}
        for name, values in ratios.items():
            ours, theirs = pair[HERE][name], pair[chosen.older.resolve()][name]
            values.append(ours / theirs)
            sys.stdout.write(f"{name:7} {1e3 * theirs:7.1f} ms before, {1e3 * ours:7.1f} ms now, {ours / theirs:.3f}\n")
        sys.stdout.flush()
    for name, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4)
        sys.stdout.write(f"{chosen.kind}, {name}: now over before {middle:.3f} (quartiles {low:.3f} to {high:.3f})\n")


if __name__ == "__main__":
    main()
