"""Texts made from few patterns: whoever has seen one row of a pattern knows the others, however many words change."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from loralab.core.records import Example, Message
from loralab.datasets.leaks import leaks, patterned

BEGIN, END = ("ri", "mar", "gar", "win", "cop", "lan", "vio", "har"), ("ver", "ket", "den", "dow", "per", "tern", "lin", "bor")
WORDS = [a + b for a in BEGIN for b in END]
ROWS, HELD, LENGTH = 120, 12, 20


def made(patterns: int, slots: int, seed: int) -> list[str]:
    """Rows of so many patterns; in each row so many words of its pattern are others."""
    dice = random.Random(seed)
    texts = [[dice.choice(WORDS) for _ in range(LENGTH)] for _ in range(patterns)]
    places = [dice.sample(range(LENGTH), slots) for _ in texts]
    rows: list[str] = []
    for row in range(ROWS):
        words = list(texts[row % patterns])
        for place in places[row % patterns]:
            words[place] = f"{dice.choice(WORDS)}{dice.randint(0, 99)}"
        rows.append(" ".join(words))
    return rows


def talks(questions: Sequence[str], answers: Sequence[str]) -> list[Example]:
    return [
        Example(row=row, messages=(Message(role="user", content=q), Message(role="assistant", content=a)))
        for row, (q, a) in enumerate(zip(questions, answers, strict=True))
    ]


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("patterns", [1, 2, 3, 5, 8, 12, 20, 35, 50])
def test_rows_of_a_learned_pattern_are_found_however_few_patterns_fill_the_file(patterns: int, slots: int):
    """3 or 5 patterns in 120 rows gave none, 8 gave 112: what is in most rows was taken for their form."""
    both = talks(made(patterns, slots, 1), made(patterns, slots, 2))
    found = leaks(both[HELD:], both[:HELD])
    assert len(found.copies) == HELD
    plain = [Example(row=row, text=text) for row, text in enumerate(made(patterns, slots, 3))]
    assert len(patterned(plain[HELD:], plain[:HELD])) == HELD


DICE = random.Random(9)
ALONE = [" ".join(DICE.choices(WORDS, k=LENGTH)) for _ in range(ROWS)]
QUIET = [
    pytest.param(made(3, 2, 1), ["yes", "no", "later"] * (ROWS // 3), id="few patterns asked, a short answer"),
    pytest.param(made(3, 2, 1), ALONE, id="few patterns asked, answers of their own"),
    pytest.param(ALONE, made(3, 2, 1), id="questions of their own, few patterns answered"),
    pytest.param([f"Put this plainly, in one sentence, for a child: {text}" for text in ALONE], ALONE[::-1], id="one instruction for all"),
    pytest.param([f"What is the colour of {word}?" for word in ALONE], ["red", "blue"] * (ROWS // 2), id="one form of question"),
]


@pytest.mark.parametrize(("questions", "answers"), QUIET)
def test_a_form_alone_is_no_sign_of_likeness(questions: list[str], answers: list[str]):
    both = talks(questions, answers)
    assert patterned(both[HELD:], both[:HELD]) == []


def test_the_fact_that_the_advisor_reads_counts_them():
    from loralab.datasets.row_flags import between

    both = talks(made(3, 3, 1), made(3, 3, 2))
    _, rows = between([(f"t{e.row}", e) for e in both[HELD:]], [(f"h{e.row}", e) for e in both[:HELD]])
    assert sorted(rows["near_shared"]) == list(range(HELD))
