"""Owns run folders that look as a worker leaves them, written in a moment: judged, half judged, judged long ago, not judged at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loralab.core.events import Ended, Evaluated, Event, EventLog, Measured, Previewed, Saved, Started, Stepped
from loralab.core.jobs import TrainJob
from loralab.core.records import Artifact, Sample, Score
from loralab.evaluations.shared.answer_scores import Trait
from loralab.evaluations.text.label_accuracy import summarise

LABELS = ("card lost", "refund", "change pin")
HARM = "<img src=x onerror=\"document.title='taken'\">"
FORGOT = Trait("forgetting", "Forgot everyday things", "Loss on everyday tasks.", "forgetting", "Less", "More", True, False)
ENDS = Trait("ends_turn", "Ends by itself", "The answer ended by itself.", "fluency", "It ends more often", "It ends less often")


def judgement(n: int = 24, wrong: Sequence[int] = (0, 1, 2, 3), lost: Sequence[int] = (), *, by: float = 2.0) -> dict[str, Any]:
    """A judging of `n` sorted messages: all but `wrong` are right now, only `lost` were right before; the loss fell by about `by`."""
    rows, answers, losses = [], [], []
    for i in range(n):
        label, before, after = LABELS[i % 3], i in lost, i not in wrong and i not in lost
        given = {"before": label if before else "no idea", "after": label if after else LABELS[(i + 1) % 3]}
        rows.append({"row": i + 2, "label": label, **given, "before_right": before, "after_right": after})
        asked = f"Message {i} {HARM}" if i == 5 else f"Message {i}: where is it?"
        answers.append({"row": i + 2, "question": asked, "reference": label, **given, "before_active": [], "after_active": ["default"]})
        losses.append({"row": i + 2, "tokens": 4, "bytes": 12, "before_loss": 4.0 + i % 5 / 10, "after_loss": 4.0 - by + i % 7 / 10})
    main = summarise([r["before_right"] for r in rows], [r["after_right"] for r in rows]).model_copy(update={"main": True})
    scores = (main, FORGOT.score([4.0] * 12, [4.5 + i / 90 for i in range(12)]), ENDS.score([0.0, 1.0] * 6, [1.0] * 12))
    table = {label: {label: 6, LABELS[0]: 2} if label != LABELS[0] else {label: 8} for label in LABELS}
    return {
        "verdict": main.verdict,
        "words": f"{main.words} But: It forgot some things.",
        "complete": True,
        "scores": [s.model_dump() for s in scores],
        "samples": [],
        "rows": {"label_accuracy": rows, "loss": losses, "answers": answers},
        "tables": {
            "label_accuracy": {
                "macro_f1": [0.1, 0.8],
                "confusion": {"before": {LABELS[0]: {LABELS[1]: 8}}, "after": table},
                "false_positives": {"before": {LABELS[1]: 8}, "after": {LABELS[0]: 4}},
            }
        },
    }


def write_run(
    home: Path,
    name: str,
    found: dict[str, Any] | None,
    *,
    title: str = "",
    keep: bool = True,
    outcome: Any = "finished",
    adapter: bool = True,
) -> str:
    """A run that ended, with the judging `found` in its log, and (`keep`) example by example in its folder."""
    folder = home / "runs" / name
    (folder / "artifacts").mkdir(parents=True)
    plan = {"task": "text", "title": title or name, "dataset": "messages.csv", "base_model": "starter"}
    (folder / "job.json").write_text(TrainJob(run=name, plan=plan, model="starter").model_dump_json(), "utf-8")
    log = EventLog(folder / "events.jsonl")
    for event in _story(folder, found, outcome, adapter=adapter):
        log(event)
    if found and keep:
        (folder / "artifacts" / "evaluation.json").write_text(json.dumps(found), "utf-8")
    return name


def _story(folder: Path, found: dict[str, Any] | None, outcome: Any, *, adapter: bool) -> list[Event]:
    made = Saved(step=9, artifact=Artifact(kind="adapter", path=str(folder / "artifacts" / "adapter"), step=9))
    events: list[Event] = [
        Started(pid=1),
        Measured(text="Learning from 96 examples.", n_train=96, n_heldout=24),
        Evaluated(split="base", loss=4, n=24),
        Stepped(step=9, loss=2, grad_norm=1, learning_rate=1e-3, tokens=9, tokens_per_second=9, memory_bytes=9, total_steps=9),
    ]
    if adapter:
        events.append(made)
    if found:
        scores = tuple(Score.model_validate(s) for s in found["scores"])
        events.append(
            Evaluated(
                step=9,
                split="final",
                loss=2,
                n=24,
                scores=scores,
                verdict=found["verdict"],
                words=found["words"],
                conclusion=found.get("conclusion"),
            )
        )
        events.append(Previewed(step=9, samples=(Sample(prompt="Where is it?", before="", after="refund", after_active=("default",)),)))
    return [*events, Ended(step=9, outcome=outcome, what="Stopped as you asked." if outcome == "stopped" else "", result={"seconds": 42.0})]
