"""Owns how two runs on the same pictures are shown beside each other: the pictures on which they differ, with what each says.

Invariant: of a run whose pictures are gone the words are left.
"""

from __future__ import annotations

from loralab.lab import BothAnswers, Comparison, Lab
from ui.markup import draw
from ui.shots import shots_of

SHOWN = 6


def both_looks_html(lab: Lab, found: Comparison, first: str, second: str, names: tuple[str, str]) -> str:
    """The pictures on which `first` and `second`, ids of runs, differ the most."""
    apart = [one for one in found.answers if one.first != one.second][:SHOWN]
    one, other = shots_of(lab, first), shots_of(lab, second)
    looks = [
        (
            one.truth(answer.question),
            answer.reference,
            [(names[0], answer.first, one.said(answer.question)), (names[1], answer.second, other.said(answer.question))],
        )
        for answer in apart
    ]
    title = "Pictures on which they differ" if apart else "They say the same of every picture"
    return draw("pictures", "versus", title, one.key, looks, [_right(answer) for answer in apart] if found.whole else [])


def _right(answer: BothAnswers) -> tuple[bool, bool]:
    return answer.first == answer.reference, answer.second == answer.reference
