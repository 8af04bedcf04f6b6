"""Finished runs on pictures, made in a moment: a real base, an adapter whose every number moves something, and pictures held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from loralab.core import paths
from loralab.core.events import Ended, EventLog, Measured, Saved, Started
from loralab.core.jobs import ExportJob, TrainJob
from loralab.core.records import Artifact
from loralab.exports import Source, job
from loralab.models import fingerprint
from loralab.models.vision import bundled_folder
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.backbone import load_backbone
from loralab.runtimes.vision.picture_model import CARD, PictureCard, PictureModel, head_for
from loralab.sessions.pictures.model import attach
from loralab.tasks import parse_plan
from tests.support import small_pictures

DRAWN = {"classify": small_pictures.shapes, "segment": small_pictures.discs, "detect": small_pictures.things}
LABELS = {"classify": ("disc", "nothing", "square"), "segment": ("marked",), "detect": ("disc", "square")}
RUN = "small-run"


@dataclass(frozen=True)
class Made:
    """A workspace with one finished run in it."""

    home: Path
    task: str

    @property
    def adapter(self) -> Path:
        return self.home / "runs" / RUN / "artifacts" / "adapter"

    def source(self, variant: str = "") -> Source:
        found = job.open_source(self.home / "runs", RUN, str(bundled_folder()), str(self.adapter))
        return replace(found, variant=variant)

    def export(self, form: str, variant: str = "") -> dict[str, Any]:
        """By the job that does it for people."""
        name = f"export-{form}-{variant or 'usual'}"
        folder = self.home / "runs" / name
        folder.mkdir(exist_ok=True)
        asked = ExportJob(run=name, of=RUN, format=form, variant=variant, model=str(bundled_folder()), adapter=str(self.adapter))
        paths.write_atomic(folder / "job.json", asked.model_dump_json())
        log = EventLog(folder / "events.jsonl")
        result = job.run(RunFolder(folder, asked, log))
        log(Ended(outcome="finished", result=result))
        return result


def made(home: Path, task: str, **card: Any) -> Made:
    """A run of a kind of training, planted."""
    found = Made(home, task)
    run = found.adapter.parents[1]
    run.mkdir(parents=True)
    data = DRAWN[task](home / "drawn.zip")
    plan = parse_plan({"task": task, "dataset": str(data), "title": "Drawn", "image_size": 64, "rank": 4, "alpha": 8})
    chosen: dict[str, Any] = {"threshold": 0.3, "temperature": 1.3, "unsure_below": 0.4, **card}
    size = {"width": 96, "height": 64}  # wider than they are: there is something around them
    about = PictureCard.model_validate({"task": task, "labels": LABELS[task], **size, **chosen})
    planted(plan, about).save_pretrained(str(found.adapter), safe_serialization=True)
    paths.write_atomic(found.adapter / CARD, about.model_dump_json(indent=1))
    asked = TrainJob(run=RUN, plan=plan.model_dump(), model=str(bundled_folder()))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    fingerprint.keep(run, bundled_folder())
    log = EventLog(run / "events.jsonl")
    adapter = Artifact(kind="adapter", path=str(found.adapter))
    for event in (Started(pid=1), Measured(text="Learning.", n_train=40, n_heldout=8), Saved(artifact=adapter), Ended(outcome="finished")):
        log(event)
    return found


def planted(plan: Any, card: PictureCard) -> Any:
    """A model with an adapter and a head none of whose numbers is nought or one."""
    torch.manual_seed(3)
    seeing = PictureModel(load_backbone(bundled_folder()), head_for(card.task, len(card.labels)))
    model: Any = attach(seeing, plan)
    for name, value in model.named_parameters():
        if value.requires_grad and "lora_B" in name:
            value.data.normal_(0, 0.02)
        elif value.requires_grad and value.ndim == 1:
            value.data.add_(torch.rand_like(value) * 0.2)
    _shaken(model.base_model.model.head.modules_to_save["default"], card.task)
    return model.eval()


def _shaken(head: Any, task: str) -> None:
    """Let an untrained head say something else of every picture."""
    if task == "classify":
        head.center.uniform_(0.1, 0.3)
        head.spread.uniform_(0.5, 1.5)
        head.out.weight.data.normal_(0, 0.05)
    elif task == "segment":
        head.out.bias.data.fill_(-0.2)
        head.out.weight.data.mul_(10)
    else:
        head.classes.bias.data.fill_(-1.0)
        head.classes.weight.data.mul_(5)
