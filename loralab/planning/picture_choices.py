"""Owns which models that see are offered for some pictures on this computer, as cards.

Invariant: a card is what the planner itself says of that model; what does not fit is offered with that said, what is for another kind of
training is not offered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile
from loralab.machine.hardware import Machine
from loralab.models.drawing import DrawingEntry, drawing_models
from loralab.models.model_check import ModelCheck
from loralab.models.vision import VisionEntry, vision_models
from loralab.planning import drawing, estimate
from loralab.planning.calibration import Experience
from loralab.planning.model_choice import ModelChoice
from loralab.planning.pictures import KINDS, propose

STARTER, OWN, MORE = "Quickest, and here already", "Made for exactly this", "Sees more, takes longer"
DRAWS = "draw"
LARGER, TO_TRY = "Draws large pictures of anything", "Newest, to be tried out"


def is_for_pictures(profile: DatasetProfile) -> bool:
    """Whether examples are pictures, which only a model that sees can learn from."""
    return profile.task in KINDS or profile.task == DRAWS


def picture_choices(
    check: Callable[[str], ModelCheck], profile: DatasetProfile, changes: dict[str, Any], machine: Machine, past: Experience
) -> tuple[ModelChoice, ...]:
    """A card for each model of the catalogue that can learn these pictures: those that fit first, each group from small to large."""
    entries: tuple[VisionEntry | DrawingEntry, ...] = (
        drawing_models() if profile.task == DRAWS else tuple(entry for entry in vision_models() if profile.task in entry.good_for)
    )
    cards = [_card(entry, check(entry.name), profile, changes, (machine, past)) for entry in entries]
    return tuple(sorted(cards, key=lambda card: (not card.able, card.source != "bundled", card.parameters)))


def _card(
    entry: VisionEntry | DrawingEntry, check: ModelCheck, profile: DatasetProfile, changes: dict[str, Any], here: tuple[Machine, Experience]
) -> ModelChoice:
    card = ModelChoice(
        name=entry.name,
        title=entry.title,
        words=entry.words,
        parameters=entry.parameters,
        good_for=(DRAWS,) if isinstance(entry, DrawingEntry) else entry.good_for,
        licence=entry.licence,
        source=entry.source,
        here=check.present,
        download_bytes=0 if check.present else entry.download_bytes,
        benchmark=f"{entry.benchmark} ({entry.benchmark_source})",
        recommended=True,
        why=_why(entry),
    )
    machine, past = here
    try:
        ways = drawing.propose if profile.task == DRAWS else propose
        needs = ways(profile, check, machine, changes, None, past).footprint
    except UserError:  # a setting that a person has fixed is not possible with it
        return card.model_copy(update={"fits": False})
    minutes = needs.seconds / 60 if needs.seconds is not None else None
    return card.model_copy(update={"fits": estimate.fits(needs, machine), "minutes": minutes})


def _why(entry: VisionEntry | DrawingEntry) -> str:
    if entry.source == "bundled":
        return STARTER
    if isinstance(entry, DrawingEntry):
        return TO_TRY if entry.experimental else LARGER
    return OWN if entry.seeing.own_head else MORE
