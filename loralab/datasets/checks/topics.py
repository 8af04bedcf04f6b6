"""Which topics the questions have, and whether one of them drowns the others or some have hardly a row.

Invariant: only where questions fall apart into clear groups is anything said; a set about one thing has one topic, and that is fine.
"""

from __future__ import annotations

import numpy as np

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case, asked
from loralab.datasets.dataset import spread
from loralab.datasets.synthesis.search.space import Space
from loralab.datasets.synthesis.search.topics import groups

FEWEST, MOST = 60, 1500  # questions
DROWNS, THIN, FEW = 0.6, 0.05, 5  # share of the largest topic; of a small one; rows of it at least
_CLEAR = 0.35  # usual cosine to the own topic's centre
_SAME = 0.3  # cosine of the centres of two groups that are one topic
_APART = 0.5  # how much of it is left to the nearest other


def check(case: Case) -> list[Problem]:
    """A hint on lopsided topics, with their words."""
    if any(example.label is not None for example in case.examples[:1]):
        return []  # classes say what is rare themselves
    texts = [asked(case.examples[place]) for place in spread(len(case.examples), MOST) if case.examples[place].messages]
    if len(texts) < FEWEST:
        return []
    found = clear_topics(texts)
    if len(found) < 3:
        return []
    (name, most), total = found[0], sum(number for _, number in found)
    thin = [(word, number) for word, number in found if FEW <= number < THIN * total]
    if most < DROWNS * total or not thin:
        return []
    told = ", ".join(f"“{word}” ({count(number, 'row')})" for word, number in thin[:3])
    what = f"{most:,} of {total:,} questions are about “{name}”; {told} {'has' if len(thin) == 1 else 'have'} few."
    return [Problem(code="lopsided_topics", what=what, todo="Add rows to the small topics if they matter as much.", severity="info")]


def clear_topics(texts: list[str]) -> list[tuple[str, int]]:
    """Topics by their words with the texts of each, the largest first; none where they are not apart."""
    space = Space(texts)
    assigned, names = groups(space)
    assigned = _joined(space, assigned)
    clear: list[tuple[str, int]] = []
    centres = {group: _centre(space, assigned == group) for group in set(assigned.tolist())}
    for group, centre in centres.items():
        mine = space.vectors[assigned == group]
        own = float(np.median(mine @ centre))
        nearest = max((float(np.median(mine @ other)) for name, other in centres.items() if name != group), default=0.0)
        if own >= _CLEAR and nearest <= _APART * own:
            clear.append((names[group], len(mine)))
    return sorted(clear, key=lambda one: -one[1])


def _joined(space: Space, assigned: np.ndarray) -> np.ndarray:
    """Groups that speak of much the same as one."""
    joined = assigned.copy()
    ordered = sorted(set(assigned.tolist()), key=lambda group: -int((assigned == group).sum()))
    for at, group in enumerate(ordered):
        for larger in ordered[:at]:
            if (joined == larger).any() and float(_centre(space, joined == larger) @ _centre(space, joined == group)) >= _SAME:
                joined[joined == group] = larger
                break
    return joined


def _centre(space: Space, mine: np.ndarray) -> np.ndarray:
    centre = space.vectors[mine].mean(axis=0)
    return centre / (np.linalg.norm(centre) or 1)


CHECK = check
