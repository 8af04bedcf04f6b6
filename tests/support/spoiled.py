"""Owns small models without weights and files of examples with a fault in them, for what is seen before a training begins."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from loralab.core.events import Ended, Evaluated, Event, Incident, NoteCode, Noted, Saved, Started, Stepped, fold
from loralab.core.records import Artifact, Score
from loralab.datasets import run_facts
from loralab.datasets.loading import load_examples
from loralab.models.tokenize import TextEncoder
from loralab.tasks.text import TextPlan
from tests.support import models, tiny

Row = dict[str, Any]
VOWELS, CONSONANTS = "aeiou", "bdfgklmnprstvz"


def names(count: int, seed: int = 0) -> list[str]:
    """Invented words, no two alike."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(draw.choice(CONSONANTS) + draw.choice(VOWELS) for _ in range(4))] = None
    return list(found)


def rows(count: int = 120, seed: int = 0) -> list[Row]:
    """Questions with answers that belong to them; no two texts are nearly alike."""
    draw, words = random.Random(seed), names(count + 400, seed)
    things, others = words[:count], words[count:]
    return [
        {
            "prompt": f"Which {' '.join(draw.sample(others, 4))} has {thing}?",
            "completion": f"{thing} has {' '.join(draw.sample(others, 9))}.",
        }
        for thing in things
    ]


def written(path: Path, data: Sequence[Row]) -> Path:
    """As a file of examples."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in data), "utf-8")
    return path


def model(folder: Path, template: str | None = tiny.TEMPLATE, vocabulary: int = 0, **settings: Any) -> Path:
    """A folder with tokenizer, template and config.json, and no weights. No template: None."""
    size = tiny._tokenizer(folder, 1024)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary or size,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 1024,
    }
    (folder / "config.json").write_text(json.dumps(config))
    file = folder / "chat_template.jinja"
    if template is None:
        file.unlink()
    else:
        file.write_text(template, "utf-8")
    if settings:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


def facts_of(plan: TextPlan, folder: Path) -> run_facts.Facts:
    """The facts of a plan before it runs."""
    return run_facts.of_plan(plan, TextEncoder(folder), load_examples(Path(plan.dataset), plan.roles or None)[0])


def foreseen(folder: Path, data: Path, **settings: Any) -> Case:
    """The case of a plan that has not run."""
    plan = TextPlan.model_validate(models.plan(data).model_dump() | {"max_length": 512, "epochs": 3.0} | settings)
    return Case(plan=plan, asked=plan, facts=facts_of(plan, folder))


def ran(*events: Event, losses: Sequence[float] = (), heldout: Sequence[float] = (), base: float = 3.0, **settings: Any) -> Case:
    """The case of a run with these losses and looks (spread evenly over it) and these events after them."""
    plan = TextPlan.model_validate({"dataset": "a.jsonl", **settings})
    told: list[Event] = [Started(pid=1), Evaluated(split="base", loss=base, n=20)]
    every = max(1, len(losses) // max(1, len(heldout)))
    looks = list(heldout)
    for step, loss in enumerate(losses, 1):
        told.append(
            Stepped(
                step=step,
                loss=loss,
                grad_norm=1.0,
                learning_rate=1e-3,
                tokens=100,
                tokens_per_second=100.0,
                memory_bytes=0,
                total_steps=len(losses),
            )
        )
        if looks and step % every == 0:
            told.append(Evaluated(step=step, loss=looks.pop(0), n=20))
    return Case(plan=plan, asked=plan, view=fold("r", [*told, *events]))


def ended(code: str = "", outcome: str = "failed", what: str = "It ended.") -> Ended:
    """Last words with a code."""
    return Ended.model_validate({"outcome": outcome, "code": code, "what": what, "todo": ""})


def judged(name: str, base: float, adapter: float, verdict: str) -> Evaluated:
    """A verdict with one measure."""
    return Evaluated(split="final", loss=1.0, n=30, scores=(Score(name=name, before=base, after=adapter, n=30, verdict=verdict),))


def incident(code: str, text: str = "What was found.", step: int = 3) -> Incident:
    """An incident of the run."""
    return Incident(step=step, code=code, text=text)


def note(text: str, code: NoteCode = "") -> Noted:
    """A sentence in the log."""
    return Noted(step=3, text=text, code=code)


def copy_of(step: int) -> Saved:
    """A safety copy."""
    return Saved(step=step, artifact=Artifact(kind="checkpoint", path="step.pt", step=step))


def found(case: Case, rule: str) -> Finding | None:
    """What one rule says of a case."""
    return next((finding for finding in diagnose(case).findings if finding.rule == rule), None)
