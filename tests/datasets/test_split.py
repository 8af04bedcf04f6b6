"""Train and held-out rows: seeded, nothing lost, no duplicate on both sides."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loralab.core.jobs import TrainJob, parse_job
from loralab.core.records import Example, Message
from loralab.datasets.dataset import fingerprint, split
from loralab.datasets.leaks import leaks
from loralab.datasets.tables.marked import words as marked_words
from loralab.tasks.text import TextPlan


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


def marked(count: int, of: int) -> list[Example]:
    return [example(i, f"question number {i}").model_copy(update={"held_out": i < count}) for i in range(of)]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 80), st.integers(0, 80), st.integers(0, 3))
def test_what_a_file_marks_is_held_out_or_the_reason_is_told(count: int, rest: int, seed: int) -> None:
    examples = marked(count, count + rest)
    train, heldout = split(examples, 0.1, seed)
    said = marked_words(examples, heldout)
    assert sorted(e.row for e in (*train, *heldout)) == list(range(count + rest))
    followed = count > 0 and rest >= 8
    assert bool(said) == (count > 0)
    assert ("not followed" in said) == (count > 0 and not followed)
    if followed:
        assert not any(e.held_out for e in train)
        assert len(heldout) == count if count >= 8 else len(heldout) <= max(8, round(0.1 * len(examples)))


def test_what_asks_the_same_as_a_marked_row_goes_with_it() -> None:
    examples = [*marked(10, 60), *(example(100 + i, f"question number {i}", "no") for i in range(2))]
    train, heldout = split(examples)
    assert [e.row for e in heldout] == [*range(10), 100, 101]
    assert marked_words(examples, heldout).endswith("with 2 more which ask the same.")
    assert not {e.messages[0].content for e in train} & {e.messages[0].content for e in heldout}


def dressed(number: int, dressing: str) -> Example:
    """One of many long questions, in one of its dressings: a word differs."""
    words = " ".join(f"word{number * 31 + i}" for i in range(24))
    return example(number, f"{words} {dressing}", f"{words} is the answer to that")


@pytest.mark.parametrize("dressings", [2, 4])
def test_near_copies_stay_on_one_side(dressings: int) -> None:
    examples = [dressed(i, f"dressing{n}") for i in range(60) for n in range(dressings)]
    train, heldout = split(examples)
    assert len(heldout) == round(0.1 * len(examples)) // dressings * dressings
    assert not leaks(train, heldout).copies
    apart = random.Random(0).sample(examples, len(examples))
    assert leaks(tuple(apart[8:]), tuple(apart[:8])).copies, "and parted by chance they would leak"


@pytest.mark.parametrize("questions", [1, 5])
def test_so_many_near_copies_that_they_would_be_the_test_are_parted_and_found(questions: int) -> None:
    train, heldout = split([dressed(i, f"dressing{n}") for i in range(questions) for n in range(40 // questions)])
    assert (len(train), len(heldout)) == (32, 8)
    assert len(leaks(train, heldout).copies) == 8


def test_a_run_from_before_is_divided_as_it_was() -> None:
    """Of rows that near copies or marks would move, it holds out what it held out: nothing that it learned from."""
    job = TrainJob(run="r", plan=TextPlan().model_dump())
    old = job.model_copy(update={"plan": {name: value for name, value in job.plan.items() if name != "heldout_by"}})
    by = {parse_job(one.model_dump_json().encode()).plan["heldout_by"] for one in (job, old)}
    assert by == {"likeness", "question"}
    moved = [dressed(i, f"dressing{n}").model_copy(update={"row": 4 * i + n, "held_out": n == 3}) for i in range(50) for n in range(4)]
    assert [e.row for e in split(moved, by="question")[1]] == sorted(random_rows(200, 20))
    assert [e.row for e in split(moved)[1]] == [e.row for e in moved if e.held_out]


def test_a_form_that_all_share_parts_as_before() -> None:
    examples = [example(i, f"question number {i}") for i in range(200)]
    assert [e.row for e in split(examples)[1]] == sorted(random_rows(200, 20))


def random_rows(n: int, held: int) -> list[int]:
    """What a split by chance alone holds out of `n` rows that have nothing in common."""
    rows = list(range(n))
    random.Random(0).shuffle(rows)
    return rows[:held]
