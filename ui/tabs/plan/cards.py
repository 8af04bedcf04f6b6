"""Owns how models are chosen: a card for each of the few that are recommended, and for the one that is chosen.

Invariant: a card says what the lab's card says; nothing is worked out here.
"""

from __future__ import annotations

from collections.abc import Sequence

from loralab.core.words import about, listed
from loralab.lab import ModelChoice
from ui.markup import draw
from ui.words import size

SEES = {"classify": "telling apart", "segment": "marking", "detect": "finding", "draw": "drawing"}
KINDS = {"sort": "sorting", "answer": "answers", "write": "writing", "chat": "chatting", "code": "code", "think": "thinking first"}


def cards_html(choices: Sequence[ModelChoice], chosen: str) -> str:
    """The recommended models as cards, and the chosen one where it is none of them."""
    shown = [card for card in choices if card.recommended]
    shown += [card for card in choices if card.name == chosen and not card.recommended]
    rows = [(card, card.name == chosen, "" if card.name == chosen and card.cannot else card.why, facts(card)) for card in shown]
    return draw("plan", "cards", rows)


def facts(card: ModelChoice) -> list[str]:
    """What a card says beside its words, a line each."""
    good = f"Good for {listed([(KINDS | SEES)[name] for name in card.good_for])}"
    good += "" if card.benchmark else f" · {card.speaks}"
    where = "On this computer" if card.here else f"{size(card.download_bytes)} to fetch"
    if card.gated:
        where += ", after a sign-in"
    if card.fits is False:
        takes = ["Does not fit on this computer"]
    else:
        takes = [f"About {about(card.minutes * 60).removeprefix('about ')} for these examples"] if card.minutes is not None else []
    return [good, *takes, f"{where} · licence {card.licence}"]
