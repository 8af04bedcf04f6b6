"""Owns small preference files: an odd answer chosen over a usual one, and a session on them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from loralab.core.paths import DATA
from loralab.tasks.preference import PreferencePlan
from tests.support import models

LEAST_WORDS = 6  # of a message


def rows(count: int = 60) -> list[dict[str, str]]:
    """Messages of customers with both answers, no two messages alike; what is chosen is what the starter would rather not say."""
    with (DATA / "samples" / "customer_messages.csv").open(encoding="utf-8") as file:
        said = [row[0] for row in list(csv.reader(file))[1:] if len(row[0].split()) >= LEAST_WORDS]
    return [
        {
            "prompt": text,
            "chosen": f"No. Nobody here cares about {_end(text)}, so write a letter.",
            "rejected": f"Thank you for writing. We will gladly look into {_end(text)}.",
        }
        for text in said[:: len(said) // count][:count]
    ]


def _end(text: str) -> str:
    return " ".join(text.rstrip(".?!").split()[-3:])


def written(path: Path, count: int = 60) -> Path:
    """As a file of examples."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(count)), "utf-8")
    return path


def plan(dataset: Path, **settings: Any) -> PreferencePlan:
    """For a tiny model: short, exact, without early stopping."""
    common = models.plan(dataset, **{name: value for name, value in settings.items() if name != "beta"}).model_dump()
    return PreferencePlan.model_validate(common | {"task": "preference", **settings})


def opened(path: Path, base: Path, data: Path, **settings: Any) -> Any:
    """A session of its own run folder."""
    from loralab.sessions.preference import PreferenceSession

    chosen = plan(data, **settings)
    return PreferenceSession(chosen, models.run_folder(path, chosen, base))
