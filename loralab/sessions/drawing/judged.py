"""Owns what is measured of a run that learned to draw: losses on the same noise, drawings before and after, and what they look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loralab.core.judgement import Judgement, Note
from loralab.core.records import Example
from loralab.evaluations.images.drawings_judged import SeenDrawings, judge_drawings
from loralab.models.vision import bundled_folder
from loralab.runtimes.vision.features import features
from loralab.sessions.drawing.easel import thumbs

MOST, RECALLED = 24, 8  # pictures held out that are drawn, and learned ones that are asked for


def judged(session: Any, note: Note, stop: Callable[[], bool]) -> Judgement:
    """The verdict of a DrawSession; stopped, on as much as there is."""
    drawings, easel = session.drawings, session.easel
    held = list(session.heldout_examples)
    note("looking at the pictures it never saw", 0.0)
    after = session.denoising(held, trained=True)
    before = session.denoising(held, trained=False)
    chosen = held[:: max(1, -(-len(held) // MOST))][:MOST]
    note("drawing what it never saw", 0.1)
    now = drawings.of(chosen, trained=True, stop=stop)
    note("drawing the same as before training", 0.45)
    was = drawings.of(chosen[: len(now)], trained=False, stop=stop)
    n = min(len(now), len(was))
    note("looking for copies of what it learned from", 0.8)
    learned = list(session.train_examples)
    asked = learned[:: max(1, -(-len(learned) // RECALLED))][:RECALLED]
    recalled = drawings.of(asked, trained=True, stop=stop)
    seen = SeenDrawings(
        labels=(),
        rows=[one.row for one in held],
        media=[one.media[0] for one in held],
        groups=[one.group for one in held],
        loss_before=np.array(before),
        loss_after=np.array(after),
        places=[held.index(one) for one in chosen[:n]],
        captions=[easel.caption(one) for one in chosen[:n]],
        before=thumbs(was[:n], easel.thumb_side),
        after=thumbs(now[:n], easel.thumb_side),
        files_before=[drawings.keep(one) for one in was[:n]],
        files_after=[drawings.keep(one) for one in now[:n]],
        recalled=thumbs(recalled, easel.thumb_side),
        recalled_files=[drawings.keep(one) for one in recalled],
        recalled_captions=[easel.caption(one) for one in asked[: len(recalled)]],
        real=_thumbs(easel, held),
        learned=_thumbs(easel, learned),
        learned_media=[one.media[0] for one in learned],
        trigger=session.plan.trigger,
    )
    return judge_drawings(seen, lambda pixels: features(bundled_folder(), pixels))


def _thumbs(easel: Any, examples: Sequence[Example]) -> Any:
    return thumbs([easel.thumb(one) for one in examples], easel.thumb_side)
