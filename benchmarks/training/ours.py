"""Our own engine in turns: the product's plan, its session and its loop's update, in a process of its own.

    python -m benchmarks.training.ours SETTINGS.json

It comes first: what all engines share (rows as tokens in the order of the steps, the adapter they begin with, the optimiser's settings) is
written by it. It is also asked for the held-out losses of all. A second one of ours, with other settings, follows: it begins with what the
first one wrote.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks.training.turns import Turns
from loralab.core.events import EventLog
from loralab.core.jobs import TrainJob
from loralab.core.records import Plan
from loralab.lab import Lab
from loralab.runs.run_folder import RunFolder
from loralab.sessions.text import TextSession
from loralab.train import guard, loop
from loralab.train.checkpoint import Progress
from loralab.train.session import Batch
from loralab.train.state import Run

STIR = 0.01  # deviation of the adapter's second matrix at the start: with nothing in it the first matrix would have no gradient to compare


def main() -> None:
    """Train as the settings say, in turns."""
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    turns = Turns(settings["gradients"])
    folder = Path(settings["folder"])
    begun = time.monotonic()
    plan = _plan(settings, Lab(folder / "home"))
    planned = time.monotonic()
    run_folder = _folder(folder / "home" / "runs" / "measured", plan, Path(settings["base"]))
    session = TextSession(plan, run_folder)  # pyright: ignore[reportArgumentType]  (a text plan)
    opened = time.monotonic()
    if settings["follows"]:
        _load(session, Path(settings["adapter"]))
    else:
        _stir(session, plan.seed)
        session.save(Path(settings["adapter"]))
    run = Run(session, plan, run_folder, session.optimizer(), Progress(), settings["steps"], settings["steps"])
    guard.begin(run)
    shared = _write_rows(session, run, settings)
    turns.loaded(session.state, planning=planned - begun, opening=opened - planned)
    turns.answers |= {
        "shared": lambda _: shared,
        "save": lambda asked: {"adapter": session.save(Path(asked["path"])).path},
        "heldout": lambda asked: {"loss": _heldout(session, asked)},
        "shapes": lambda _: _shapes(session),
    }
    emit = run_folder.emit

    def told(event: Any) -> None:
        emit(event)
        if event.type == "stepped":
            turns.loss(event.loss)

    run_folder.emit = told  # type: ignore[method-assign]
    with contextlib.suppress(SystemExit):
        turns.ready()
        for micro_batches in islice(_updates(session), settings["steps"]):
            loop._update(run, guard.usable(run, micro_batches))  # noqa: SLF001  all that the product does in an update, and no more
            turns.stepped(sum(batch.n_units for batch in micro_batches), sum(batch.n_targets for batch in micro_batches))


def _plan(settings: dict[str, Any], lab: Lab) -> Plan:
    """The product's own proposal for these examples, with what all engines share fixed."""
    fixed = settings["plan"] | {"schedule": "constant", "warmup": 0.0, "patience": 0, "epochs": 1000.0, "max_steps": settings["steps"]}
    profile = lab.profile(settings["dataset"], model=settings["base"])
    return lab.typed(lab.propose(profile, model=settings["base"], **fixed))


def _folder(path: Path, plan: Plan, base: Path) -> RunFolder:
    path.mkdir(parents=True)
    return RunFolder(path, TrainJob(run=path.name, plan=plan.model_dump(), model=str(base)), EventLog(path / "events.jsonl"))


def _stir(session: TextSession, seed: int) -> None:
    """Give the adapter's second matrices small values, so that both have a gradient from the first update on."""
    drawn = torch.Generator().manual_seed(seed)
    state = {name: p.detach().clone() for name, p in session.state().items()}
    session.load_state({name: STIR * torch.randn(p.shape, generator=drawn).to(p) if "lora_B" in name else p for name, p in state.items()})


def _load(session: TextSession, adapter: Path) -> None:
    """Take up the weights of an adapter's folder."""
    saved = load_file(adapter / "adapter_model.safetensors")
    session.load_state({name: saved[name.replace(".default.", ".")].to(p) for name, p in session.state().items()})


def _updates(session: TextSession) -> Iterator[Any]:
    for epoch in count():
        yield from session.steps(epoch)


def _write_rows(session: TextSession, run: Run, settings: dict[str, Any]) -> dict[str, Any]:
    """Rows in the order of the steps into a file; returns what the peers' optimisers are to be given."""
    orders = (chosen for epoch in count() for chosen in session.order(epoch))
    ordered = [session.train_rows[i] for chosen in islice(orders, settings["steps"]) for i in chosen]
    if not settings["follows"]:
        Path(settings["rows"]).write_text(json.dumps([{"ids": row.ids, "learned": row.learned} for row in ordered]), "utf-8")
    group, plan = run.optimizer.param_groups[0], session.plan
    chosen = plan.model_dump(include={"micro_batch", "token_budget", "max_length", "precision", "effective_batch", "recompute"})
    return {"betas": group["betas"], "weight_decay": group["weight_decay"], "max_grad_norm": plan.max_grad_norm, "plan": chosen}


@torch.no_grad()
def _heldout(session: TextSession, asked: dict[str, Any]) -> float:
    """Mean loss per learned token of the first held-out rows with a saved adapter; what is being trained stays as it is."""
    kept = {name: p.detach().clone() for name, p in session.state().items()}
    _load(session, Path(asked["adapter"]))
    session.model.eval()
    batches: list[Batch] = list(session.heldout_batches(range(min(asked["rows"], len(session.heldout_rows)))))
    total = sum(session.loss(batch)[0].item() for batch in batches)
    session.model.train()
    session.load_state(kept)
    return total / sum(batch.n_targets for batch in batches)


def _shapes(session: TextSession) -> dict[str, Any]:
    """Sizes (out, in) of the frozen linear layers with how many there are of each, and of the head."""
    model = session.causal_model()
    head: Any = model.get_output_embeddings()
    layers = Counter(
        tuple(module.weight.shape)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and "lora_" not in name
    )
    return {"layers": [(*shape, times) for shape, times in layers.items()], "head": tuple(head.weight.shape)}


if __name__ == "__main__":
    main()
