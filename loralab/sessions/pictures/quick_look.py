"""The quick look: what the frozen backbone sees of each picture is computed once and kept, and the head alone learns on it.

Invariant: it depends on seed, pictures and plan alone, so that an adapter begins where it would have begun.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from loralab.core.events import Noted
from loralab.core.records import Example
from loralab.core.words import count
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.picture_model import PictureModel
from loralab.sessions.pictures.album import Album, pixels
from loralab.sessions.pictures.kind import Kind
from loralab.sessions.pictures.model import tensor
from loralab.tasks.pictures import PicturePlan

KEPT = 1 << 30  # bytes of features that are kept; of more pictures an even part is
FIRST_VIEW = 1 << 20  # its variations are those of epochs that no run reaches
STEADY, WARM, LONGEST = 0.99, 40, 10.0  # what an update leaves of the running mean, gentle updates, longest gradient
LOOKING = 0.7  # of its time
TOLD_S = 1.0  # between two notes of how far it is: each is a line of the log that stays

Kept = list[list[Tensor]]
Targets = list[dict[str, Tensor]]


class QuickLook:
    """One head's quick look at the pictures of a run."""

    def __init__(self, kind: Kind, album: Album, plan: PicturePlan, device: torch.device, folder: RunFolder) -> None:
        self.kind, self.album, self.plan, self.device, self.folder = kind, album, plan, device, folder
        self._told = ("", 0.0)  # the last phase that was noted, and when

    def learn(self, seeing: PictureModel, examples: Sequence[Example], at_once: int) -> bool:
        """Look at the pictures, `at_once` of them together, and let the head learn; whether it did, and was not stopped."""
        kept, targets = self._looked(seeing, examples, at_once)
        if kept and not self.folder.stop_asked:
            self._learn_head(seeing.head, kept, targets, len(examples))
        return bool(kept) and not self.folder.stop_asked

    @torch.no_grad()
    def _looked(self, seeing: PictureModel, examples: Sequence[Example], at_once: int) -> tuple[Kept, Targets]:
        """What the backbone sees of each picture as it is, then of its variations, as the head takes it; and what is to be said."""
        kept, targets, room = Kept(), Targets(), KEPT
        chosen = [(view, one) for view in range(self.kind.quick_views) for one in examples]
        laid_out: Any = seeing
        laid_out.to(memory_format=torch.channels_last).eval()
        for start in range(0, len(chosen), at_once):
            if self.folder.stop_asked:
                break
            self._tell("a quick look: what the model sees of each picture", LOOKING * start / len(chosen))
            part = [one for _, one in chosen[start : start + at_once]]
            shown = [self.album.seen(one, view + FIRST_VIEW if view else None) for view, one in chosen[start : start + at_once]]
            features = self.kind.kept(seeing.features(tensor(pixels([one for one, _ in shown]), self.device)))
            said = self.kind.targets(part, shown)
            kept += [[feature[i].half() for feature in features] for i in range(len(part))]
            targets += [{name: value[i] for name, value in said.items()} for i in range(len(part))]
            room -= sum(2 * feature.numel() for feature in features)
            if room < 0:
                if len(kept) < len(examples):
                    self.folder.emit(Noted(text=f"The quick look is at {count(len(kept), 'picture')} of {len(examples):,}."))
                break
        return kept, targets

    def _learn_head(self, head: Any, kept: Kept, targets: Targets, pictures: int) -> None:
        """Rounds of AdamW over the head alone, each picture once a round in one of its variations, the learning rate falling to nothing.

        What is left is a running mean of the weights (Polyak and Juditsky 1992), which a few late pictures do not pull about.
        """
        if hasattr(head, "scale"):
            head.scale(torch.stack([features[0].float() for features in kept]))
        mean = {name: value.detach().clone() for name, value in head.named_parameters()}
        learner = torch.optim.AdamW(_decayed(head, self.plan.weight_decay), lr=self.kind.quick_rate)
        random, rounds, batch = np.random.default_rng([self.plan.seed, 7]), self.plan.probe_rounds, self.kind.quick_batch
        n = min(len(kept), pictures)
        total, done = rounds * math.ceil(n / batch), 0
        warm = max(1, min(WARM, total // 10))
        head.train()
        for _ in range(rounds):
            order = random.permutation(n) + n * random.integers(0, max(1, len(kept) // n), n)
            for start in range(0, n, batch):
                for group in learner.param_groups:
                    group["lr"] = self.kind.quick_rate * 0.5 * (1 + math.cos(math.pi * done / total)) * min(1.0, (done + 1) / warm)
                self._update(head, learner, kept, targets, order[start : start + batch].tolist())
                done += 1
                _follow(mean, head, min(STEADY, (1 + done) / (10 + done)))
                if self.folder.stop_asked:
                    return
            self._tell("a quick look: the part that answers learns", LOOKING + (1 - LOOKING) * done / total)
        head.load_state_dict(mean, strict=False)
        head.eval()

    def _update(self, head: Any, learner: torch.optim.Optimizer, kept: Kept, targets: Targets, chosen: list[int]) -> None:
        features = [torch.stack([kept[i][j] for i in chosen]).float() for j in range(len(kept[0]))]
        said = head(features, self.album.size[::-1])
        loss, n = self.kind.loss(head, said, {name: torch.stack([targets[i][name] for i in chosen]) for name in targets[0]})
        learner.zero_grad(set_to_none=True)
        (loss / max(1, n)).backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), LONGEST)
        learner.step()

    def _tell(self, phase: str, fraction: float) -> None:
        then, now = self._told, time.monotonic()
        if phase != then[0] or now - then[1] >= TOLD_S or fraction >= 1:
            self._told = (phase, now)
            self.folder.emit(Noted(text="", phase=phase, fraction=min(1.0, fraction)))


def _decayed(head: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Its weights, of which matrices alone are pulled towards zero."""
    parameters = list(head.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _follow(mean: dict[str, Tensor], head: nn.Module, keep: float) -> None:
    for name, value in head.named_parameters():
        mean[name].lerp_(value, 1 - keep)
