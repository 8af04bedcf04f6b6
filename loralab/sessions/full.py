"""Owns the full-tuning session: the text session with every weight trainable; what is saved is a whole model."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.judgement import Judgement, Note
from loralab.core.records import SQUEEZED, Artifact, Sample, Score
from loralab.core.verdict import uncompared
from loralab.evaluations import answered
from loralab.runtimes.base_model import load_base
from loralab.sessions.lora import TOKENIZER_FILES
from loralab.sessions.text import TextSession
from loralab.train.finite import refuse_broken
from loralab.train.loop import artifact_of
from loralab.train.session import Batch


class FullSession(TextSession):
    """See loralab.sessions.text.TextSession. The base is loaded in fp32, whatever its file holds: these are the master
    weights, and bf16 only computes with rounded copies of them.
    """

    safe_rate = math.inf

    def worst_batch(self, cost: int = 0) -> None:
        """All of its weights learn, which the books do not cover."""

    def open_model(self) -> nn.Module:
        if self.plan.precision in SQUEEZED:
            raise UserError("All weights cannot learn in 4 or 8 bits.", "Choose fp32 or bf16, or train an adapter.", code="bad_precision")
        model = load_base(self.model_folder, "fp32", self.device, self.plan.attention)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model.train()

    def causal_model(self) -> PreTrainedModel:
        return self.model

    def grow(self, step: int, fraction: float, total: int, optimizer: Any) -> None:
        """There is no adapter whose rank could change."""

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.precision == "bf16"):
            return super().loss(batch)

    def _samples(self, count: int) -> tuple[Sample, ...]:
        """Held-out prompts answered; the base is another model by now, so there is no “before” in this process."""
        samples = []
        for example in [e for e in self.heldout_examples if e.messages][:count]:
            *asked, reference = example.messages
            text = answered(self.model, self.encoder, asked, 80)
            samples.append(Sample(prompt=asked[-1].content, reference=reference.content, before="", after=text))
        return tuple(samples)

    @torch.no_grad()
    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        """Held-out loss per learned token, all rows; there is no base left to compare with."""
        total, count, rows = 0.0, 0, 0
        for batch in self.heldout_batches():
            loss, n = self.loss(batch)
            total, count, rows = total + loss.item(), count + n, rows + len(batch.rows)
            if stop():
                break
        mean = total / max(count, 1)
        words = f"Held-out loss {mean:.3f}."
        score = Score(name="loss", before=float("nan"), after=mean, n=rows, words=words, main=True)
        note("answering held-out prompts", None)
        return Judgement(
            "", words, (score,), samples=self._samples(3), complete=rows == len(self.heldout_rows), conclusion=uncompared(words)
        )

    def save(self, folder: Path) -> Artifact:
        refuse_broken(self.state(), "model")
        folder = folder.with_name("model")
        self.model.to(torch.bfloat16).save_pretrained(folder)
        self.model.to(torch.float32)
        for name in (*TOKENIZER_FILES, "generation_config.json"):
            if (self.model_folder / name).exists():
                shutil.copyfile(self.model_folder / name, folder / name)
        self.encoder.keep_template(folder)
        return artifact_of(folder, "model", 0, digest(folder / "model.safetensors"))
