"""Owns which models are offered for some examples on this computer, as cards, and in what order.

Invariants: a card is what the planner itself says of that model, and never a promise; what cannot do it comes last, with the reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile
from loralab.machine.hardware import Machine
from loralab.models.catalog import Catalog
from loralab.models.model_check import ModelCheck, ModelEntry
from loralab.models.suitability import cannot
from loralab.planning import estimate
from loralab.planning.calibration import Experience
from loralab.planning.model_choice import ModelChoice
from loralab.planning.picture_choices import is_for_pictures, picture_choices
from loralab.planning.planner import propose

QUICK_MIN, PATIENCE_MIN = 3.0, 20.0  # minutes up to which a larger model is worth it; and worth it where it is at hand
SHOWN = 3


REMEMBERED_S = 60.0
_KEPT = 8
Weighed = Callable[[ModelCheck], tuple[bool, float | None]]  # whether it fits, and seconds; UserError where it cannot be planned with


def choices(checks: Sequence[ModelCheck], profile: DatasetProfile | None, weighed: Weighed) -> tuple[ModelChoice, ...]:
    """A card for each model, the recommended first, then those that will do, then the rest; each group from small to large."""
    cards = [_card(check, check.entry, profile, weighed) for check in checks if check.entry]
    need = profile.need if profile else ""
    best = _best(cards, need)
    first = [card.model_copy(update={"recommended": True, "why": why}) for card, why in best]
    named = {card.name for card in first}
    rest = sorted((card for card in cards if card.name not in named), key=lambda card: (not card.able, card.gated, card.parameters))
    return (*first, *rest)


def larger(cards: Sequence[ModelChoice], than: str) -> ModelChoice | None:
    """What to try where a model was not enough: the next larger one that will do and is free to fetch; None where there is none."""
    size = next((card.parameters for card in cards if card.name == than), 0)
    return next(iter(_above(cards, size)), None)


def _above(cards: Sequence[ModelChoice], parameters: int) -> list[ModelChoice]:
    """Larger models that know more: what is at hand first, then from small to large; those that only continue texts know no more."""
    able = [c for c in cards if c.able and not c.gated and c.parameters > parameters and "answer" in c.good_for]
    return sorted(able, key=lambda card: (not card.at_hand, card.parameters))


def _card(check: ModelCheck, entry: ModelEntry, profile: DatasetProfile | None, weighed: Weighed) -> ModelChoice:
    card = ModelChoice(
        name=entry.name,
        title=entry.title or entry.name,
        words=entry.words,
        parameters=check.parameters or entry.parameters,
        good_for=entry.good_for,
        languages=entry.languages,
        licence=entry.licence,
        gated=entry.gated,
        source=entry.source,
        here=check.present,
        download_bytes=0 if check.present else check.download_bytes,
    )
    if profile is None:
        return card
    reasons = tuple(problem.what for problem in cannot(entry, profile.language, profile.need, profile.tokens.get("p50", 0)))
    try:
        fits, seconds = weighed(check)
    except UserError:  # a setting that a person has fixed is not possible with it
        return card.model_copy(update={"cannot": reasons, "fits": False})
    return card.model_copy(update={"cannot": reasons, "fits": fits, "minutes": seconds / 60 if seconds is not None else None})


def _best(cards: Sequence[ModelChoice], need: str) -> list[tuple[ModelChoice, str]]:
    """Up to three cards with why: the one to take, then the next smaller and the next larger that will do."""
    able = sorted((card for card in cards if card.able and not card.gated), key=lambda card: card.parameters)
    if not able:
        return []
    chosen = _chosen(able, need)
    found = [(chosen, "Best for these examples here" if need else "The one to begin with")]
    if smaller := [card for card in able if card.parameters < chosen.parameters]:
        found.append((smaller[-1], "Quicker, knows less"))
    found += [(card, "Knows more, takes longer") for card in _above(able, chosen.parameters)]
    return found[:SHOWN]


def _chosen(able: Sequence[ModelChoice], need: str) -> ModelChoice:
    """To sort and to note a small model does; else more is better: the largest that is quick, or of those at hand, done soon."""
    if need in {"", "sort", "note"}:
        return able[0]
    quick = [card for card in able if card.minutes is not None and card.minutes <= QUICK_MIN]
    soon = [card for card in able if card.at_hand and (card.minutes is None or card.minutes <= PATIENCE_MIN)]
    return [*quick[-1:], *soon[-1:], able[0]][0]


class Cards:
    """The cards of one workspace, remembered for a moment: a page asks again with every change."""

    def __init__(self, catalog: Catalog, experienced: Callable[[], tuple[Machine, Experience]]) -> None:
        self._catalog, self._experienced = catalog, experienced
        self._known: dict[str, tuple[float, tuple[ModelChoice, ...]]] = {}

    def get(self, profile: DatasetProfile | None, changes: dict[str, Any]) -> tuple[ModelChoice, ...]:
        """The cards for these examples, where the person has fixed some settings."""
        fixed = {name: value for name, value in changes.items() if name not in {"base_model", "dataset"}}
        here = [entry.name for entry in self._catalog.entries() if entry.present] + self._catalog.seeing_here()
        asked = json.dumps(
            [profile and (profile.id, profile.path, profile.tokenizer, profile.roles), fixed, here], sort_keys=True, default=str
        )
        then, cards = self._known.get(asked, (0.0, ()))
        if not cards or time.monotonic() - then > REMEMBERED_S:
            cards = self._made(profile, fixed)
            kept = list(self._known.items())[-_KEPT:]
            self._known = dict([*(one for one in kept if one[0] != asked), (asked, (time.monotonic(), cards))])
        return cards

    def _made(self, profile: DatasetProfile | None, fixed: dict[str, Any]) -> tuple[ModelChoice, ...]:
        machine, past = self._experienced()
        if profile is not None and is_for_pictures(profile):
            return picture_choices(self._catalog.check, profile, fixed, machine, past)

        def weighed(check: ModelCheck) -> tuple[bool, float | None]:
            if profile is None:
                return True, None
            plan = propose(profile, check, machine, fixed, past=past, look_further=False)
            return estimate.fits(plan.footprint, machine), plan.footprint.seconds

        return choices([self._catalog.check(entry.name) for entry in self._catalog.entries()], profile, weighed)
