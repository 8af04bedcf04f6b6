"""Rows to learn from that give away a held-out one: the same question, or a good part of its answer, word for word.

What many rows say in the same words (“This condition is inherited in an autosomal dominant pattern”) is the form of such answers and gives
none away. Only rows of people and documents tell what the form is: a writer that copies a held-out row ten times does not make it one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from loralab.datasets.dataset import normalised
from loralab.datasets.synthesis.gates import Gate, Yard
from loralab.datasets.synthesis.rows import TEST, MadeRow

RUN = 8  # words in a row that are no chance
FORM = 3  # rows: a run that stands in more belongs to their form
PART = 0.2  # of a held-out answer's words, in such runs: it is given away
ASKED = 0.8  # of a held-out question's words, likewise


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """Rows of the learning side."""
    held = [*yard.heldout, *(row for row in rows if row.split == TEST)]
    if not held:
        return {}
    form = _form([row for row in (*yard.heldout, *rows) if row.origin != "synthetic"])
    answers = _Held([_words(row.answer) for row in held], form)
    asked = _Held([_words(row.question) for row in held], form)
    questions = {normalised(row.question) for row in held}
    found: dict[int, str] = {}
    for place, row in enumerate(rows):
        if row.split == TEST:
            continue
        question, told = _words(row.question), _words(row.answer)
        if normalised(row.question) in questions or max(asked.given(question), asked.given(told)) >= ASKED:
            found[place] = "A held-out row asks this very question."
        elif (share := max(answers.given(told), answers.given(question))) >= PART:
            found[place] = f"It says {share:.0%} of the answer of a held-out row, word for word."
    return found


def _form(rows: Sequence[MadeRow]) -> Counter[tuple[str, ...]]:
    """In how many rows each run stands; rows of one passage, which quote the same sentence, count as one."""
    said: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for place, row in enumerate(rows):
        for text in (row.question, row.answer):
            said[row.passage_id or str(place)].update(_runs(_words(text)))
    return Counter(run for runs in said.values() for run in runs)


class _Held:
    """Held-out texts by their runs, without those that belong to the form."""

    def __init__(self, texts: Sequence[Sequence[str]], form: Counter[tuple[str, ...]]) -> None:
        self._lengths = [len(words) for words in texts]
        self._where: dict[tuple[str, ...], set[int]] = defaultdict(set)
        for at, words in enumerate(texts):
            for run in _runs(words):
                if form[run] <= FORM:
                    self._where[run].add(at)

    def given(self, words: Sequence[str]) -> float:
        """The largest share of one held-out text that these words repeat."""
        covered: dict[int, set[int]] = defaultdict(set)
        for start, run in enumerate(_runs(words)):
            for at in self._where.get(run, ()):
                covered[at].update(range(start, start + RUN))
        return max((len(places) / self._lengths[at] for at, places in covered.items()), default=0.0)


def _words(text: str) -> list[str]:
    return normalised(text).split()


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]


GATE = Gate("Gives a held-out row away", 70, judge)
