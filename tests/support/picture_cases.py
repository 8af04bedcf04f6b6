"""Owns cases of training on pictures for the advisor's rules: plans that have not run, and runs with the curves and verdicts given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from advisor.diagnosis.case import Case
from loralab.core.events import Ended, Evaluated, Event, Incident, Measured, Saved, Started, Stepped, fold
from loralab.core.facts import Facts
from loralab.core.records import Artifact, DatasetProfile, Score
from loralab.core.verdict import Verdict
from loralab.tasks import parse_plan

MAIN = {"classify": "accuracy", "segment": "dice", "detect": "map50"}


def facts(**about: Any) -> Facts:
    """Of a hundred pictures of 500 pixels in two classes, in which nothing is odd."""
    usual: dict[str, Any] = {
        "n_train": 100,
        "n_watched": 20,
        "n_heldout": 40,
        "unit": "pixels",
        "classes": 2,
        "sides": {"p10": 400, "p50": 500, "p90": 640},
        "of_class": {"cat": 50, "dog": 50},
        "things": 200,
        "small_side": 0.08,
        "marked_share": 0.2,
    }
    return Facts.model_validate(usual | about)


def planned(task: str = "classify", known: Facts | None = None, profile: DatasetProfile | None = None, **settings: Any) -> Case:
    """The case of a plan that has not run."""
    size = {"classify": 224, "segment": 256, "detect": 416}[task]
    plan = parse_plan({"task": task, "dataset": "pictures.zip", "image_size": size, **settings})
    return Case(plan=plan, asked=plan, facts=known or facts(), profile=profile)


def ran(
    *events: Event,
    task: str = "classify",
    losses: Sequence[float] = (),
    looks: Sequence[float] = (),
    base: float = 0.6,
    known: Facts | None = None,
    judged: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Case:
    """The case of a run with these losses, looks (spread evenly over it) and events after them."""
    before = planned(task, known, **settings)
    told: list[Event] = [Started(pid=1), Measured(facts=before.facts), Evaluated(split="base", loss=base, n=20)]
    every, left = max(1, len(losses) // max(1, len(looks))), list(looks)
    for step, loss in enumerate(losses, 1):
        told.append(
            Stepped(
                step=step,
                loss=loss,
                grad_norm=1.0,
                learning_rate=before.plan.learning_rate,
                tokens=100,
                tokens_per_second=100.0,
                memory_bytes=0,
                total_steps=len(losses),
            )
        )
        if left and step % every == 0:
            told.append(Evaluated(step=step, loss=left.pop(0), n=20))
    view = fold("r", [*told, *events])
    return Case(plan=before.plan, asked=before.plan, facts=before.facts, view=view, judged=judged or {})


def done() -> list[Event]:
    """The end of a run that went well."""
    adapter = Saved(artifact=Artifact(kind="adapter", path="adapter"))
    return [adapter, Ended(outcome="finished", result={"seconds": 300.0})]


def final(task: str, before: float, after: float, *, learned: str = "yes", usable: str = "yes", **said: Any) -> Evaluated:
    """A verdict. `said`: of the conclusion: alarm, capped."""
    score = Score(name=MAIN[task], label="Sorted right", before=before, after=after, n=40, main=True, share=True, group="accuracy")
    words = {"learned_words": "It learned this much.", "usable_words": "It finds nothing, in any picture."}
    conclusion = Verdict.model_validate({"learned": learned, "usable": usable, **words, **said})
    word = "better" if learned == "yes" else "no difference seen"
    return Evaluated(split="final", loss=0.5, n=40, scores=(score,), verdict=word, words="So it went.", conclusion=conclusion)


def judged(
    task: str = "classify", rows: Sequence[Mapping[str, Any]] = (), probe: tuple[float, float, str] | None = None, **table: Any
) -> dict[str, Any]:
    """What a verdict rests on. `probe`: what the quick look reaches, the whole training, and the word for it."""
    tables: dict[str, Any] = {MAIN[task]: {"labels": ["cat", "dog"], **table}}
    if probe is not None:
        tables["probe"] = {"probe": probe[0], "after": probe[1], "difference": probe[1] - probe[0], "verdict": probe[2], "n": 40}
    return {"rows": {MAIN[task]: list(rows)}, "tables": tables}


def rows(n: int, wrong: Sequence[tuple[float, str]] = ()) -> list[dict[str, Any]]:
    """What was said of `n` pictures of cats; `wrong`: of the first ones that it is a dog, how surely, and what the quick look said."""
    told: list[dict[str, Any]] = []
    for i in range(n):
        sure, probe = wrong[i] if i < len(wrong) else (0.8, "cat")
        after = "dog" if i < len(wrong) else "cat"
        said = {"label": "cat", "after": after, "confidence": sure, "of_label": 1 - sure, "probe": probe}
        told.append({"row": i + 1, "media": f"cat/{i}.png", **said})
    return told


def incident(code: str, text: str = "What was found.", step: int = 3, **data: Any) -> Incident:
    """An incident of the run."""
    return Incident(step=step, code=code, text=text, data=data)
