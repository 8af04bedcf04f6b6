"""Makes the logs of trainings on pictures in tests/golden that the advisor's rules are held against: real workers, with a cause put in.

    python -m benchmarks.golden_pictures [BEGINNING OF A NAME...]

Each log is a line with the plan, the end of the worker's log and what the verdict rests on, and then the events as they were told. Paths of
the machine it was made on are taken out, and numbers have six digits.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from PIL import Image, ImageDraw

from benchmarks import faulty_pictures as faulty
from loralab.core import paths
from loralab.core.events import Ended, EventLog, Started
from loralab.core.jobs import TrainJob
from loralab.core.paths import CHECKOUT
from loralab.core.records import Proposal
from loralab.lab import Lab
from loralab.runs.run_folder import RunFolder
from loralab.sessions import job
from tests.support import small_pictures

GOLDEN = CHECKOUT / "tests" / "golden"
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d{6,}(?:e-?\d+)?(?![\w.])")
SHAPES = ("disc", "square", "triangle")
SIDE = 64


@dataclass(frozen=True)
class Log:
    """One training to be kept: the pictures it learns from, and the settings that a person chose."""

    name: str
    pictures: Callable[[Path], Path]
    settings: dict[str, Any] = field(default_factory=dict)
    fault: Callable[[], AbstractContextManager[None]] | None = None  # of the worker, which then runs in this process


def shapes(path: Path, each: int = 36, seed: int = 0, wrong: int = 0, *, shuffled: bool = False) -> Path:
    """A zip of discs, squares and triangles of any colour, by folder: nothing but the shape tells them apart. `wrong` of them lie in the
    folder of another shape; `shuffled`: each lies anywhere.
    """
    draws, choice = np.random.default_rng(seed), random.Random(seed)
    kinds = [kind for kind in SHAPES for _ in range(each)]
    folders = kinds[:]
    if shuffled:
        choice.shuffle(folders)
    for at in choice.sample(range(len(kinds)), wrong):
        folders[at] = choice.choice([kind for kind in SHAPES if kind != kinds[at]])
    with ZipFile(path, "w") as packed:
        for number, (kind, folder) in enumerate(zip(kinds, folders, strict=True)):
            picture = Image.fromarray(draws.integers(90, 150, (SIDE, SIDE, 3), dtype=np.uint8))
            _draw(picture, kind, draws)
            with packed.open(f"{folder}/{number:03}.bmp", "w") as file:
                picture.save(file, "BMP")  # all files are alike in size, which would tell the shapes apart
    return path


def _draw(picture: Image.Image, kind: str, draws: np.random.Generator) -> None:
    size = int(draws.integers(24, 40))
    left, top = (int(value) for value in draws.integers(2, SIDE - size - 2, 2))
    box, fill, pen = (left, top, left + size, top + size), tuple(draws.integers(0, 256, 3).tolist()), ImageDraw.Draw(picture)
    if kind == "disc":
        pen.ellipse(box, fill=fill)
    elif kind == "square":
        pen.rectangle(box, fill=fill)
    else:
        pen.polygon([(box[0], box[3]), (box[2], box[3]), (left + size // 2, top)], fill=fill)


LOGS = (
    Log("pictures_healthy_classify", shapes, {"epochs": 8.0}),
    Log("pictures_healthy_segment", lambda path: small_pictures.discs(path, 48), {"epochs": 6.0}),
    Log("pictures_healthy_detect", lambda path: small_pictures.things(path, 48), {"epochs": 8.0, "image_size": 256}),
    Log("pictures_rate_too_high", shapes, {"epochs": 4.0, "learning_rate": 0.3}),
    Log("pictures_wrong_labels", lambda path: shapes(path, 60, 3, wrong=12), {"epochs": 4.0, "heldout_share": 0.4}),
    Log(
        "pictures_shuffled",
        lambda path: shapes(path, 36, 4, shuffled=True),
        {"epochs": 12.0, "augmentation": "none", "patience": 0, "probe_rounds": 2},
    ),
    Log("pictures_short", shapes, {"epochs": 2.0, "probe_rounds": 1, "learning_rate": 5e-4, "eval_every": 1}),
    Log("pictures_shortcut", lambda path: small_pictures.shapes(path, 24), {"epochs": 2.0}),
    Log("pictures_always_one", faulty.uneven, {"epochs": 1.0, "class_weights": "none", "probe_rounds": 1, "heldout_share": 0.3}),
    Log("pictures_leak", faulty.copied, {"epochs": 4.0}),
    Log("pictures_tiny", faulty.dots, {"epochs": 2.0, "image_size": 256}),
    Log("pictures_few_of_a_class", faulty.few, {"epochs": 4.0}),
    Log("pictures_too_small", faulty.fine, {"epochs": 4.0, "image_size": 64, "augmentation": "none"}),
    Log("pictures_mirrored", faulty.arrows, {"epochs": 4.0, "augmentation": "photo"}),
    Log("pictures_headless", shapes, {"epochs": 2.0}, faulty.headless),
    Log("pictures_moved", shapes, {"epochs": 2.0}, faulty.moving),
)


def make(log: Log, folder: Path) -> None:
    """Train it in a worker, and keep its log."""
    lab = Lab(folder)
    proposal = lab.propose(lab.profile(log.pictures(folder / f"{log.name}.zip")), **log.settings)
    if log.fault:
        run = log.name
        with log.fault():
            _train_here(lab, run, proposal)
    else:
        run = lab.start(proposal)
        lab.wait(run)
    keep(lab, run, log.name)


def _train_here(lab: Lab, run: str, proposal: Proposal) -> None:
    """Train in this process, as a worker does."""
    place = lab.home / "runs" / run
    asked = TrainJob(run=run, plan=proposal.plan, model=str(lab.catalog.folder(str(proposal.plan["base_model"]))))
    paths.write_atomic(place / "job.json", asked.model_dump_json())
    told = EventLog(place / "events.jsonl")
    told(Started(pid=os.getpid()))
    told(Ended(outcome="finished", result=job.run(RunFolder(place, asked, told))))


def keep(lab: Lab, run: str, name: str) -> None:
    """Write the log of a run that has ended."""
    place = lab.home / "runs" / run
    view = lab.view(run)
    said = lab.log(run) if view.state != "finished" else ""
    head = json.dumps({"plan": lab.job(run).plan, "log": said[-3000:], "judged": lab.verdict_rests_on(run)})
    lines = (place / "events.jsonl").read_text("utf-8").splitlines()
    kept = "\n".join(_plain(line, place, lab.home) for line in (head, *lines)) + "\n"
    (GOLDEN / f"{name}.jsonl").write_text(kept, "utf-8")


def _plain(line: str, run: Path, home: Path) -> str:
    """A line without the places of this machine, its numbers to six digits."""
    line = line.replace(str(run), "run").replace(str(home), "data").replace(str(CHECKOUT), "app")
    line = re.sub(r'"dataset": ?"[^"]*/', '"dataset": "', line)
    return NUMBER.sub(lambda found: _short(float(found.group())), line)


def _short(number: float) -> str:
    """Six digits; of a time in seconds since 1970 the milliseconds, which tell what came first."""
    return f"{number:.4f}" if abs(number) > 1e6 else f"{number:.6g}"


def main(wanted: Sequence[str]) -> None:
    """Make the logs whose names begin so; those that are there already are left."""
    for log in LOGS:
        if not log.name.startswith(tuple(wanted or ("",))) or (GOLDEN / f"{log.name}.jsonl").exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            make(log, Path(folder))
        sys.stdout.write(f"{log.name}: {(GOLDEN / f'{log.name}.jsonl').stat().st_size:,} bytes\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
