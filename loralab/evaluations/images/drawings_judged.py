"""Owns the judgement of what learned to draw: does what it draws look more like the person's own pictures, and are there copies among it?

Invariants: “it learned” needs both measures, the loss on the same noise and the look of what it draws, beyond their intervals; whether it
can be used only a person can say, with the drawings in view; the base is asked without the trigger word, which it never learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loralab.core.judgement import Judgement
from loralab.core.records import Sample, Score
from loralab.core.verdict import Check, Verdict
from loralab.core.words import count, plural
from loralab.evaluations.images import intervals
from loralab.evaluations.images.copies import Nearest, nearest
from loralab.evaluations.images.intervals import Statistic
from loralab.evaluations.images.likeness import Matrix, Pixels, distances
from loralab.evaluations.images.seen import Seen
from loralab.evaluations.images.told import Found, Leaks, Learned, Meaning, corrected, judged, nothing, score
from loralab.evaluations.shared import shares

LOOK_HELP = (
    "How far all drawings together are from your pictures kept aside, as a network that sees describes them (energy distance); 0 is alike."
)
LOSS_HELP = "How much it is wrong about what is noise and what is picture, on pictures kept aside, with the same noise before and after."
DECIDE = "Look at the drawings: whether they are what you want, only you can tell."


@dataclass(frozen=True, kw_only=True)
class SeenDrawings(Seen):
    """Losses of pictures kept aside [n]; drawings [k, side, side, 3] of the captions of those at `places`, before and after, and the files
    they lie in; drawings of learned captions (`recalled`); the pictures kept aside [n, ...] and the learned ones [m, ...] themselves.
    """

    loss_before: Matrix
    loss_after: Matrix
    places: Sequence[int]
    captions: Sequence[str]
    before: Pixels
    after: Pixels
    files_before: Sequence[str]
    files_after: Sequence[str]
    recalled: Pixels
    recalled_files: Sequence[str]
    recalled_captions: Sequence[str]
    real: Pixels
    learned: Pixels
    learned_media: Sequence[str]
    trigger: str


def judge_drawings(seen: SeenDrawings, features: Callable[[Pixels], npt.NDArray[np.float64]]) -> Judgement:
    """Both answers on what learned to draw. `features`: what pictures look like, as vectors of length 1."""
    if not seen.n or not len(seen.after):
        return nothing()
    k = len(seen.places)
    real, before, after = np.split(features(np.concatenate([seen.real[list(seen.places)], seen.before, seen.after])), [k, 2 * k])
    drawn = intervals.draws([seen.groups[place] for place in seen.places])
    look = intervals.compare(energy(before, real), energy(after, real), drawn)
    gains = seen.loss_after - seen.loss_before
    every = intervals.draws(seen.groups)
    loss = intervals.compare(intervals.mean(seen.loss_before), intervals.mean(seen.loss_after), every, gains)
    said = f"Its drawings are {look.found.after:.2f} away from your pictures; before: {look.found.before:.2f}."
    wrong = f"On {count(seen.n, 'picture')} it never saw, it is wrong by {loss.found.after:.3f}; before: {loss.found.before:.3f}."
    scores = corrected(
        [
            score(Meaning("look", "Distance of its drawings from yours", LOOK_HELP, said, "look", lower_is_better=True), look, k),
            score(Meaning("loss", "Loss on noise", LOSS_HELP, wrong, "loss", lower_is_better=True), loss, seen.n),
        ]
    )
    scores = tuple(one.model_copy(update={"share": False}) for one in scores)
    near, known = nearest(seen.after, seen.learned, seen.real), nearest(seen.recalled, seen.learned, seen.real)
    found = Found(scores, _conclusion(seen, scores, near, known), None, _rows(seen, near), _table(seen, near, known), _samples(seen))
    return judged(found, Leaks(0, seen.n), drawn.units)


def energy(drawn: Matrix, real: Matrix) -> Statistic:
    """The energy distance (Székely and Rizzo 2013) of vectors [n, d] from others [n, d], halved to 0..1, by how often each pair counts."""
    across, within = distances(drawn, real) / 2, (distances(drawn, drawn) + distances(real, real)) / 2

    def measured(weights: Matrix) -> Matrix:
        share = weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)
        others = np.maximum(1 - (share**2).sum(1), 1e-12)  # a picture drawn twice is no pair of pictures
        inside = np.einsum("ri,ij,rj->r", share, within, share) / others
        return np.maximum(0.0, 2 * np.einsum("ri,ij,rj->r", share, across, share) - inside)

    return measured


# ---- the two answers ---------------------------------------------------------------------------------------------------------
def _conclusion(seen: SeenDrawings, scores: Sequence[Score], near: Nearest, known: Nearest) -> Verdict:
    learned = _learned(scores)
    words = f"What it draws looks {_towards(scores[0])} your own pictures, and it is {_wrong(scores[1])} about what is noise in them."
    return Verdict(
        learned=learned,
        learned_words=f"{words} Measured on {count(seen.n, 'picture')} it never saw.",
        usable="you_decide",
        usable_words=DECIDE,
        but=_but(near, known),
        checks=(_check(near),),
    )


def _learned(scores: Sequence[Score]) -> Learned:
    look, loss = (one.verdict for one in scores[:2])
    if look == loss == "better":
        return "yes"
    return "no" if "worse" in (look, loss) or look == loss == "no difference seen" else "unknown"


def _towards(look: Score) -> str:
    return {"better": "more like", "worse": "less like"}.get(look.verdict, "not clearly more like")


def _wrong(loss: Score) -> str:
    return {"better": "less wrong", "worse": "more wrong", "no difference seen": "as wrong as before"}.get(
        loss.verdict, "not clearly less wrong"
    )


def _but(near: Nearest, known: Nearest) -> str:
    copied, again = int(near.copies.sum()), int(known.copies.sum())
    told: list[str] = []
    if copied:
        told.append(
            f"{copied} of {count(len(near.copies), 'drawing')} {plural(copied, 'is', 'are')} nearly a copy of a picture it learned from."
        )
    if again:
        told.append(
            f"Asked for what it learned, it copies {again} of {count(len(known.copies), 'picture')}: do not share it if they are private."
        )
    return f"But: {' '.join(told)}" if told else ""


def _check(near: Nearest) -> Check:
    new, n = int((~near.copies).sum()), len(near.copies)
    low, high = shares.between(new, n)
    words = f"{new} of {count(n, 'drawing')} {plural(new, 'is', 'are')} no copy of a picture it learned from."
    return Check(name="new", words=words, share=new / max(1, n), floor=1.0, between=(low, high), n=n, passed=new == n)


# ---- what is shown -----------------------------------------------------------------------------------------------------------
def _rows(seen: SeenDrawings, near: Nearest) -> list[dict[str, Any]]:
    return [
        {
            "row": seen.rows[place],
            "media": seen.media[place],
            "prompt": seen.captions[at],
            "loss_before": round(float(seen.loss_before[place]), 6),
            "loss_after": round(float(seen.loss_after[place]), 6),
            "drawn_before": seen.files_before[at],
            "drawn_after": seen.files_after[at],
            **_like(seen, near, at),
        }
        for at, place in enumerate(seen.places)
    ]


def _like(seen: SeenDrawings, near: Nearest, at: int) -> dict[str, Any]:
    name = seen.learned_media[int(near.places[at])] if len(seen.learned_media) else ""
    return {"nearest": name, "alike": round(float(near.alike[at]), 4), "copy": bool(near.copies[at])}


def _table(seen: SeenDrawings, near: Nearest, known: Nearest) -> dict[str, Any]:
    asked = zip(seen.recalled_captions, seen.recalled_files, strict=True)
    recalled = [{"prompt": words, "drawn": file, **_like(seen, known, at)} for at, (words, file) in enumerate(asked)]
    return {"drawn": len(near.copies), "copies": int(near.copies.sum()), "copy_from": round(near.from_on, 4), "recalled": recalled}


def _samples(seen: SeenDrawings) -> tuple[Sample, ...]:
    files = zip(seen.captions, seen.places, seen.files_before, seen.files_after, strict=True)
    return tuple(Sample(prompt=words, reference=seen.media[place], before=was, after=now) for words, place, was, now in files)
