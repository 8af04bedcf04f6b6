"""Train and held-out rows: seeded, nothing lost, no duplicate on both sides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loralab.core.records import Example, Message
from loralab.datasets.dataset import fingerprint, split


def example(row: int, question: str, answer: str = "yes") -> Example:
    return Example(row=row, messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=300), st.floats(0.01, 0.5), st.integers(0, 5))
def test_a_split_keeps_all_rows_and_parts_no_duplicates(words: list[str], share: float, seed: int) -> None:
    examples = [example(i, word + "!" * (i % 3), "yes" if i % 2 else "no") for i, word in enumerate(words)]
    train, heldout = split(examples, share, seed)
    assert sorted(e.row for e in (*train, *heldout)) == list(range(len(words)))
    assert not {fingerprint(e) for e in train} & {fingerprint(e) for e in heldout}
    assert len(heldout) <= max(len(words) // 2, 0)
    assert split(examples, share, seed) == (train, heldout)


@pytest.mark.parametrize(("count", "expected"), [(1000, 100), (100, 10), (40, 8), (16, 8), (10, 5), (2, 1), (1, 0), (0, 0)])
def test_ten_percent_at_least_eight_never_more_than_half(count: int, expected: int) -> None:
    train, heldout = split([example(i, f"question number {i}") for i in range(count)])
    assert (len(heldout), len(train)) == (expected, count - expected)


def test_another_seed_gives_another_split() -> None:
    examples = [example(i, f"question number {i}") for i in range(200)]
    assert split(examples, seed=0)[1] != split(examples, seed=1)[1]


def test_a_question_with_several_answers_stays_on_one_side() -> None:
    examples = [example(i, f"What is {i // 4}?", f"answer {i}") for i in range(400)]
    train, heldout = split(examples)
    assert not {e.messages[0].content for e in train} & {e.messages[0].content for e in heldout}
    assert len(heldout) == 40


def test_one_instruction_for_all_rows_can_still_be_split() -> None:
    train, heldout = split([example(i, "Write a poem.", f"poem number {i}") for i in range(100)])
    assert (len(train), len(heldout)) == (90, 10)
