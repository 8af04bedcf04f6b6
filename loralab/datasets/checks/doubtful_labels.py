"""Labels that a text's neighbours disagree with: somebody slipped, or the classes are not clear. Told by row, changed by nobody.

Two readers who have not seen a text must agree that another class is far likelier: its nearest neighbours (TF-IDF) and naive Bayes over
words, each fitted without the text's fifth of the rows. Invariant: what is only hard is not called wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loralab.core.errors import Problem
from loralab.core.records import Example
from loralab.core.words import count, plural
from loralab.datasets.checks import Case, asked, where
from loralab.datasets.synthesis.search.space import Floats, Ints, Space

FEWEST, FEWEST_OF_CLASS, MOST = 40, 6, 4000  # texts; texts of a class; texts that are held against each other
FEWEST_FOUND, SHARE = 3, 0.01  # of the texts
_FOLDS, _NEAREST = 5, 7
_NEAR = 0.25  # cosine: texts that are further apart say nothing about each other
_FEWEST_NEAR = 3
_OTHER = 0.75  # share of the neighbours' weight that another class has
_OWN = 0.15  # share that its own class may have
_SURE = 3.0  # nats by which naive Bayes holds that class likelier


def check(case: Case) -> list[Problem]:
    """A warning with the rows and what their neighbours are called."""
    held = [example for example in case.examples if example.label is not None and asked(example)][:MOST]
    if len(held) < FEWEST:
        return []
    found = doubtful(held)
    if len(found) < max(FEWEST_FOUND, SHARE * len(held)):
        return []  # so few are odd in any healthy set
    first, label = found[0]
    examples = [example for example, _ in found]
    what = (
        f"{count(len(found), 'text')} may have the wrong class ({where(examples)}): texts like “{asked(first)[:60]}” are called “{label}”, "
        f"this one “{first.label}”."
    )
    return [
        Problem(
            code="doubtful_labels",
            what=what,
            todo=f"Look at {plural(len(found), 'it', 'them')}; fix what is wrong, keep what is right.",
            severity="warning",
        )
    ]


def doubtful(examples: Sequence[Example]) -> list[tuple[Example, str]]:
    """Examples with the class that their neighbours have, the surest first."""
    names = sorted({str(example.label) for example in examples})
    labels = np.array([names.index(str(example.label)) for example in examples])
    sizes = np.bincount(labels, minlength=len(names))
    if np.sum(sizes >= FEWEST_OF_CLASS) < 2:
        return []
    space = Space([asked(example) for example in examples])
    folds = np.random.default_rng(0).permutation(len(examples)) % _FOLDS
    votes = _votes(space, labels, len(names), folds)
    sure = _bayes(space, labels, len(names), folds)
    found: list[tuple[float, int, int]] = []
    for at, own in enumerate(labels):
        other = int(np.argmax(votes[at]))
        margin = sure[at, other] - sure[at, own]
        if other != own and sizes[other] >= FEWEST_OF_CLASS and votes[at, other] >= _OTHER and votes[at, own] <= _OWN and margin >= _SURE:
            found.append((-float(margin), at, other))
    return [(examples[at], names[other]) for _, at, other in sorted(found)]


def _votes(space: Space, labels: Ints, classes: int, folds: Ints) -> Floats:
    """For each text the share of its nearest neighbours' weight (of other folds) by class; zeros where too few are near."""
    votes = np.zeros((len(labels), classes), np.float32)
    for fold in range(_FOLDS):
        mine, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        near = space.vectors[mine] @ space.vectors[others].T
        nearest = np.argsort(-near, axis=1)[:, :_NEAREST]
        for row, place in enumerate(mine):
            chosen = nearest[row][near[row, nearest[row]] >= _NEAR]
            if len(chosen) >= _FEWEST_NEAR:
                weights = near[row, chosen]
                votes[place] = np.bincount(labels[others[chosen]], weights, minlength=classes) / weights.sum()
    return votes


def _bayes(space: Space, labels: Ints, classes: int, folds: Ints) -> Floats:
    """Log-likelihood of each text's words by class, fitted on the other folds; every word counts once, smoothed by one half."""
    told = np.zeros((len(labels), classes), np.float32)
    rows, columns = space.weights.rows, space.weights.columns
    for fold in range(_FOLDS):
        learned = folds[rows] != fold
        seen = np.zeros((space.weights.width, classes), np.float32)
        np.add.at(seen, (columns[learned], labels[rows[learned]]), 1.0)
        texts = np.bincount(labels[folds != fold], minlength=classes)
        rates = np.log((seen + 0.5) / (texts + 1.0))
        mine = np.flatnonzero(~learned)
        np.add.at(told, rows[mine], rates[columns[mine]])
        told[folds == fold] += np.log((texts + 0.5) / (texts.sum() + 1.0))
    return told


CHECK = check
