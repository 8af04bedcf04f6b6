"""Owns cases that are built by hand for the advisor's rules, where no real run can be had here: cards, Windows, ten thousand updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from advisor.diagnosis.case import Case
from loralab.core.events import Adjusted, Ended, Evaluated, Event, Incident, Noted, Started, Stepped, adjusted, fold
from loralab.core.facts import Facts
from loralab.core.records import Footprint
from loralab.machine.hardware import Machine
from loralab.tasks.text import TextPlan

LARGE: dict[str, Any] = {"parameters": 1_500_000_000, "trainable": 4_000_000, "architecture": "LlamaForCausalLM", "vocabulary": 32_000}
TOKENS = {"p50": 100, "p90": 200, "p95": 250, "p99": 400, "max": 2000, "total": 45_000, "learned": 20_000}
CARD = (
    "OutOfMemoryError: CUDA out of memory. Tried to allocate {wanted} MiB. GPU 0 has a total capacity of 23.99 GiB of which {free} MiB is "
    "free. Including non-PyTorch memory, this process has {ours} GiB memory in use. Of the allocated memory {used} GiB is allocated by "
    "PyTorch, and {unused} GiB is reserved by PyTorch but unallocated."
)


def case(
    events: Sequence[Event] | None = None,
    *,
    log: str = "",
    facts: dict[str, Any] | None = None,
    machine: Machine | None = None,
    needs: Footprint | None = None,
    **settings: Any,
) -> Case:
    """A case as the advisor would be given it; without events, of a plan that has not run."""
    asked = TextPlan.model_validate({"dataset": "x.jsonl"} | settings)
    now = TextPlan.model_validate(adjusted(asked.model_dump(), events or ()))
    known = Facts.model_validate({"n_train": 450, "n_heldout": 50, "tokens": TOKENS, **LARGE, **(facts or {})})
    view = fold("built", [Started(pid=1), *events]) if events is not None else None
    return Case(plan=now, asked=asked, facts=known, machine=machine, view=view, log=log, needs=needs)


def curve(losses: Sequence[float], norms: Sequence[float] = (), *, rate: float = 2e-4, total: int = 0) -> list[Event]:
    """Updates with these losses; gradients of length 0.5 where none are named."""
    return [
        Stepped(
            step=n,
            loss=loss,
            grad_norm=norms[n - 1] if norms else 0.5,
            learning_rate=rate,
            tokens=800,
            tokens_per_second=1e3,
            memory_bytes=10**9,
            total_steps=total or len(losses),
        )
        for n, loss in enumerate(losses, 1)
    ]


def looks(base: float, *heldout: tuple[int, float]) -> list[Event]:
    """The look before the first update and those at (update, loss)."""
    return [Evaluated(split="base", loss=base, n=50), *(Evaluated(step=step, loss=loss, n=50) for step, loss in heldout)]


def falling(updates: int = 200, start: float = 3.0, end: float = 1.0) -> list[Event]:
    """A run that does well and settles."""
    losses = [end + (start - end) * 0.5 ** (12 * n / updates) + 0.02 * (-1) ** n for n in range(updates)]
    seen = [(n, losses[n - 1] + 0.05) for n in range(updates // 10, updates + 1, updates // 10)]
    return [*curve(losses), *looks(start, *seen), finished(updates)]


def finished(step: int = 0) -> Ended:
    return Ended(outcome="finished", step=step)


def failed(code: str, what: str = "It failed.", outcome: Any = "failed") -> Ended:
    return Ended(outcome=outcome, code=code, what=what)


def incident(code: str, step: int = 1, text: str = "", **data: Any) -> Incident:
    return Incident(code=code, step=step, text=text, data=data)


def change(setting: str, before: Any, after: Any, step: int = 0, reason: str = "it was needed") -> Adjusted:
    return Adjusted(setting=setting, before=before, after=after, step=step, reason=reason)


def loading() -> Noted:
    return Noted(text="", phase="loading the model")


def card_said(wanted: int = 512, free: int = 200, ours: float = 23.5, used: float = 22.0, unused: float = 0.5) -> str:
    """What torch says when a card is full; MiB and GiB as it says them."""
    return CARD.format(wanted=wanted, free=free, ours=ours, used=used, unused=unused)


def did_not_fit(step: int = 0, rows: int = 4, tokens: int = 800, error: str = "", doing: str = "learning") -> Incident:
    """Memory ran out, in the words of loralab/train/oom.py."""
    words = {
        "learning": f"{rows} examples of update {step + 1} ({tokens} tokens) did not fit into memory at once.",
        "one example": f"One example of update {step + 1} ({tokens} tokens) did not fit into memory.",
        "optimiser": f"Memory ran out while update {step + 1} was being made. It was made again.",
        "looking": f"{rows} held-out examples ({tokens} tokens) did not fit into memory at once.",
        "comparing": "Memory ran out while comparing before and after. What was learned is saved and can be compared later.",
    }
    return incident("out_of_memory", step, words[doing], rows=list(range(rows)), tokens=tokens, error=error or card_said())
