"""Owns the adapters of one base that takes turns with them: loaded when they are first asked for, the one asked for longest ago let go.

Invariants: within `using` exactly the adapter asked for takes part (or none); an adapter speaks with the tokenizer it was trained with;
one that belongs to another base is never laid over this one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import PeftModel
from torch import nn

from loralab.core.errors import UserError
from loralab.core.jobs import Job, TrainJob
from loralab.models import fingerprint
from loralab.models.tokenize import TextEncoder
from loralab.runs.run_folder import read_job
from loralab.serve.generate import adapter_off

MOST = 8  # adapters held at once; two answers are written at a time, so none that is in use is let go


def job_of(adapter: str) -> Job | None:
    """What the run that made the adapter was asked; None where that is not known."""
    run = Path(adapter).parent.parent
    return read_job(run) if adapter and (run / "job.json").is_file() else None


def voice_of(model: Path, adapter: str) -> Path:
    """Whose tokenizer and chat template are spoken: those of an adapter that was brought in are what it was trained with."""
    job = job_of(adapter)
    return Path(adapter) if isinstance(job, TrainJob) and job.imported else model


class Adapters:
    """The adapters on a base `model` whose files lie in `folder`. One thread may use it."""

    def __init__(self, model: nn.Module, folder: Path) -> None:
        self.model: Any = model
        self.folder = folder
        self.plain = TextEncoder(folder)
        self.held: OrderedDict[str, tuple[str, TextEncoder]] = OrderedDict()  # adapter's folder -> its name within the model
        self._on = ""

    @contextmanager
    def using(self, adapter: str) -> Generator[tuple[nn.Module, TextEncoder]]:
        """The model with the adapter of this folder, or bare. Raises LabError where it cannot be laid over this base."""
        if not adapter:
            with adapter_off(self.model):
                yield self.model, self.plain
            return
        name, encoder = self.held.get(adapter) or self._load(adapter)
        self.held.move_to_end(adapter)
        if self._on != name:
            self.model.set_adapter(name)
            self._on = name
        yield self.model, encoder

    def _load(self, adapter: str) -> tuple[str, TextEncoder]:
        place = Path(adapter)
        if not (place / "adapter_config.json").is_file():
            raise UserError("What was shared is not here any more.", "Share it again.", code="no_adapter")
        fingerprint.require_same_base(place.parent.parent, self.folder)
        encoder, name = TextEncoder(voice_of(self.folder, adapter)), f"a{hashlib.sha256(adapter.encode()).hexdigest()[:12]}"
        if isinstance(self.model, PeftModel):
            self.model.load_adapter(adapter, adapter_name=name)
        else:
            self.model = PeftModel.from_pretrained(self.model, adapter, adapter_name=name)  # type: ignore[arg-type]
        self.model.eval()
        self._on = ""
        self.held[adapter] = (name, encoder)
        if len(self.held) > MOST:
            _, (oldest, _) = self.held.popitem(last=False)
            self.model.delete_adapter(oldest)
        return name, encoder
