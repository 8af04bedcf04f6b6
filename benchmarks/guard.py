"""Puts troubles into real trainings, lets healthy ones frighten, and writes what the guard did as Markdown tables.

    python -m benchmarks.guard > table.md

Everything runs in this process through the loop a worker runs. The last table compares gradients in fp16 with those in fp32, with the loss
going backwards as a sum over targets (as ours does) and as a mean (as is usual, and why others need loss scaling).
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.events import Noted, Stepped
from loralab.core.paths import STARTER
from loralab.sessions.text import TextSession
from tests.support import models, troubles
from tests.support.healthy import HEALTHY, live

LEFT_OUT = ("bad_row", "nothing_to_learn")


def say(line: str) -> None:
    """A line of the result, at once: the whole takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def troubled(path: Path) -> None:
    """A row per trouble: when it was acted on, what was done, and how it ended."""
    where = troubles.folders(path)
    say("| trouble | acted after | what was done | ended | held-out loss before | kept | adapter finite |")
    say("|---|--:|---|---|--:|--:|---|")
    for number, case in enumerate(troubles.CASES):
        found = troubles.suffer(case, path / f"trouble{number}", where)
        back = sum("Went back" in note.text for note in models.told(found.folder, Noted))
        done = [f"went back x{back}"] * bool(back) + [f"{name} to {value}" for name, value in found.changed.items()]
        done += [f"row {row} left out" for incident in found.incidents if incident.code in LEFT_OUT for row in incident.data["rows"]]
        done += ["left out"] * (found.codes.count("non_finite") and not done)
        delay = "-" if found.delay is None else f"{found.delay} updates"
        ended, kept = found.ended or "finished", f"{found.best:.3f}" if found.best < 1e9 else "-"
        row = [case.name, delay, "; ".join(done) or "nothing", ended, f"{found.base:.3f}", kept, "yes" if found.finite else "NO"]
        say("| " + " | ".join(row) + " |")


def healthy(path: Path) -> None:
    """A row per healthy run: how frightening it was, and whether it was left alone."""
    say("\n| healthy run | loss: first, highest, lowest | gradient | held-out before, best | asked | touched |")
    say("|---|---|---|---|--:|--:|")
    for number, case in enumerate(HEALTHY):
        found, asked = live(case, path / f"healthy{number}")
        losses, norms = models.losses(found.folder), [step.grad_norm for step in models.told(found.folder, Stepped)]
        loud = f"{losses[0]:.2f}, {max(losses):.2f}, {min(losses):.3f}"
        row = [f"{case.name} ({case.base})", loud, f"{min(norms):.2g} to {max(norms):.2g}", f"{found.base:.2f}, {found.best:.2f}"]
        say("| " + " | ".join([*row, str(asked), str(len(found.incidents) + len(found.changed))]) + " |")


def gradients(path: Path) -> None:
    """Gradients of one batch of 8 poems in fp16 against fp32."""
    chosen = models.plan(TEXTS / "poet.jsonl", max_length=256, rank=16, alpha=32)
    found: dict[str, torch.Tensor] = {}
    for precision in ("fp32", "fp16", "bf16"):
        plan = chosen.model_copy(update={"precision": precision})
        session = TextSession(plan, models.run_folder(path / precision, plan, STARTER))
        torch.manual_seed(1)
        for tensor in session.state().values():
            tensor.data.normal_(std=0.02)
        batch = session.batch(session.train_rows, range(8), session.train_examples)
        for way in ("sum", "mean"):
            session.model.zero_grad()
            loss, count = session.loss(batch)
            (loss if way == "sum" else loss / count).backward()
            scale = count if way == "sum" else 1
            found[f"{precision} {way}"] = torch.cat([p.grad.flatten().double() / scale for p in session.state().values()])  # type: ignore[union-attr]
    say(f"\n| backwards ({count} targets) | cosine with fp32 | relative error | gradients that became 0 |\n|---|--:|--:|--:|")
    exact = found.pop("fp32 sum")
    for name, found_one in found.items():
        cosine = torch.nn.functional.cosine_similarity(exact, found_one, dim=0).item()
        error, zeros = ((found_one - exact).norm() / exact.norm()).item(), ((found_one == 0) & (exact != 0)).double().mean().item()
        say(f"| {name} | {cosine:.6f} | {error:.1e} | {zeros:.2%} |")


def main() -> None:
    """All three tables."""
    warnings.filterwarnings("ignore")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        gradients(Path(folder) / "gradients")
        troubled(Path(folder))
        healthy(Path(folder))
    say(f"\n{time.monotonic() - begun:.0f} s.")


if __name__ == "__main__":
    main()
