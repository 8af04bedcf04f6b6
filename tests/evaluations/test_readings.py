"""Rows that are read together cost what they cost alone, are read once however many measures ask, and need no more memory than learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import LabError
from loralab.core.records import Example
from loralab.evaluations import Answer, Answered, switched
from loralab.evaluations.shared import answers as _answers
from loralab.evaluations.shared.readings import BOTH, LIGHTER, Readings, micro_batches
from loralab.evaluations.text import base_likelihood, forgetting, heldout_loss, question_fit
from loralab.models.tokenize import Encoded
from tests.support.judged import judging, open_session, pushed, session

__all__ = ["pushed", "session"]


@pytest.fixture(params=["by hand", "by the library"])
def reading(request: pytest.FixtureRequest, pushed: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session whose adapter does something, its states computed in one way or the other."""
    assert pushed.head.by_hand is not None
    if request.param == "by the library":
        monkeypatch.setattr(pushed.head, "by_hand", None)
    return pushed


@pytest.fixture
def passes(pushed: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each pass for losses takes at once."""
    real, seen = pushed.head.losses, list[int]()
    monkeypatch.setattr(pushed.head, "losses", lambda ids, learned: seen.append(len(ids)) or real(ids, learned))
    return seen


def alone(session: Any, row: Encoded, *, adapter: bool) -> tuple[float, int]:
    """The loss of one row, asked as nothing else is, of the library's own logits."""
    import torch
    import torch.nn.functional as F

    ids, learned = torch.tensor([row.ids]), torch.tensor(row.learned)
    learned[0] = False
    with torch.no_grad(), switched(session.model, adapter=adapter):
        logits = session.model(input_ids=ids).logits[0, :-1][learned[1:]].float()
    return float(F.cross_entropy(logits, ids[0, 1:][learned[1:]], reduction="sum")), int(learned.sum())


def short_and_long(session: Any) -> list[Encoded]:
    """Rows of many lengths, some of which begin alike and one of which is the beginning of another."""
    rows = list(session.heldout_rows)
    first = rows[0]
    end = replace(first, ids=[*first.ids, *rows[1].ids], learned=[*first.learned, *[True] * len(rows[1].ids)])
    return [*rows, end, *(replace(row, ids=row.ids[: 6 + i], learned=[True] * (6 + i)) for i, row in enumerate(rows[2:6]))]


def test_rows_read_together_cost_what_they_cost_alone(reading: Any) -> None:
    reading.model.eval()
    rows, known = short_and_long(reading), Readings(reading)
    known.read(rows)
    for adapter in BOTH:
        for row in rows:
            told, wanted = known.loss(row, adapter=adapter), alone(reading, row, adapter=adapter)
            assert told is not None
            assert told[0] == pytest.approx(wanted[0], rel=1e-5)
            assert told[1] == wanted[1]
    assert known.loss(rows[0], adapter=False) != known.loss(rows[0], adapter=True)


def test_no_row_is_read_twice_whoever_asks(pushed: Any, passes: list[int]) -> None:
    known = Readings(pushed)
    known.read([*pushed.heldout_rows, *pushed.heldout_rows])
    assert sum(passes) == 2 * len(pushed.heldout_rows)  # without the adapter and with it
    known.read(pushed.heldout_rows[::-1])
    last = [replace(row, learned=[False] * (len(row.ids) - 1) + [True]) for row in pushed.heldout_rows]  # some of what was read
    known.read(last)
    assert sum(passes) == 2 * len(pushed.heldout_rows)
    known.read([replace(row, learned=[True] * len(row.ids)) for row in last])  # more than that
    assert sum(passes) == 4 * len(pushed.heldout_rows)


def test_what_several_ask_of_one_row_is_read_in_one_pass(pushed: Any, passes: list[int]) -> None:
    parts = [
        replace(row, learned=[i in (place, place + 1) for i in range(len(row.ids))])
        for row in pushed.heldout_rows[:5]
        for place in (4, 1, 9)
    ]
    known = Readings(pushed)
    known.read(parts)
    assert sum(passes) == 2 * 5
    for row in parts:
        assert known.loss(row, adapter=True) == pytest.approx(alone(pushed, row, adapter=True), rel=1e-5)


@pytest.mark.parametrize("by_hand", [True, False])
def test_measures_share_the_passes_that_both_need(by_hand: bool, pushed: Any, passes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where beginnings are read once, wrong questions come along; elsewhere only they are left to be read."""
    if not by_hand:
        monkeypatch.setattr(pushed.head, "by_hand", None)
    asked, n = judging(pushed), len(pushed.heldout_rows)
    strange = distinct([pair.other for pair in question_fit.encoded(asked)], but=pushed.heldout_rows)
    heldout_loss.measure(asked)
    assert sum(passes) == 2 * (n + strange if by_hand else n)
    shared = question_fit.measure(asked)
    assert sum(passes) == 2 * (n + strange)
    (score,) = question_fit.measure(judging(pushed)).scores
    assert sum(passes) == 4 * (n + strange), "a judging of its own knows nothing yet"
    assert shared.scores[0].difference == pytest.approx(score.difference, rel=1e-4)


def distinct(rows: Sequence[Encoded], but: Sequence[Encoded] = ()) -> int:
    """How many rows there are, alike ones counted once."""
    return len({tuple(row.ids) for row in rows} - {tuple(row.ids) for row in but})


def test_a_judging_by_its_loss_alone_reads_nothing_else(pushed: Any, passes: list[int]) -> None:
    heldout_loss.measure(judging(pushed, only=("heldout_loss",)))
    assert sum(passes) == 2 * len(pushed.heldout_rows)


@pytest.mark.parametrize("recompute", sorted(LIGHTER))
@pytest.mark.parametrize(("budget", "rows"), [(0, 2), (90, 8), (1, 8)])
def test_what_is_read_at_once_follows_from_what_the_plan_learns_from_at_once(
    recompute: str, budget: int, rows: int, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        session, "plan", session.plan.model_copy(update={"recompute": recompute, "token_budget": budget, "micro_batch": rows})
    )
    found, times = short_and_long(session), LIGHTER[recompute]
    parts = micro_batches(session, found)
    assert [i for part in parts for i in part] == list(range(len(found)))
    for part in parts:
        assert len(part) <= times * rows
        assert len(part) == 1 or not budget or len(part) * max(len(found[i].ids) for i in part) <= times * budget
    few = micro_batches(session, found, targets=20)
    assert all(len(part) == 1 or sum(sum(found[i].learned[1:]) for i in part) <= 20 for part in few)


def test_a_head_that_makes_all_logits_reads_no_more_at_once_than_it_learns_from(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.head, "plain", False)
    assert max(map(len, micro_batches(session, short_and_long(session)))) <= session.plan.micro_batch


def test_a_stop_keeps_the_pairs_that_were_read_whole(pushed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushed, "plan", pushed.plan.model_copy(update={"recompute": "full", "micro_batch": 2}))
    monkeypatch.setattr(pushed.head, "by_hand", None)
    whole, pairs = question_fit.measure(judging(pushed)), question_fit.encoded(judging(pushed))
    asked, told = judging(pushed), list[float]()
    heldout_loss.measure(asked)
    asked.note, asked.stop = lambda _text, fraction: told.append(fraction or 0.0), lambda: len(told) >= 2
    some = question_fit.measure(asked)
    kept = [pair.other for pair in pairs if pair.example.row in {row["row"] for row in some.rows}]
    assert distinct(kept, but=pushed.heldout_rows) == 4, "two micro-batches of two"
    assert 4 <= len(some.rows) == some.scores[0].n < len(whole.rows)
    assert told[0] == 0 < told[1] < 1
    asked = judging(pushed, stop=lambda: True)
    known = Readings(pushed)
    known.read(pushed.heldout_rows, stop=asked.stop)
    assert sum(known.loss(row, adapter=True) is not None for row in pushed.heldout_rows) == 2, "at least one micro-batch"


def test_an_adapter_that_cannot_be_switched_is_refused(pushed: Any) -> None:
    pushed.model.base_model.disable_adapter_layers()
    try:
        with pytest.raises(LabError, match="could not be switched"):
            Readings(pushed).read(pushed.heldout_rows)
    finally:
        pushed.model.base_model.enable_adapter_layers()


def test_training_mode_is_left_as_it_was(pushed: Any) -> None:
    pushed.model.train()
    Readings(pushed).read(pushed.heldout_rows[:2])
    assert pushed.model.training


# ---- the measures, against the straightforward way -------------------------------------------------------------------------


def test_answers_are_held_against_questions_as_one_by_one(reading: Any) -> None:
    reading.model.eval()
    found = question_fit.measure(judging(reading))
    for row, pair in zip(found.rows, question_fit.encoded(judging(reading)), strict=True):
        for who, on in (("before", False), ("after", True)):
            (mine, n), (theirs, m) = (alone(reading, each, adapter=on) for each in (pair.own, pair.other))
            assert row[f"{who}_advantage"] == pytest.approx(theirs / m - mine / n, abs=1e-5)
        assert row["tokens"] == n


def everyday(session: Any) -> Sequence[tuple[Example, Encoded]]:
    return list(zip(forgetting.general_set(), session.encoder.many(list(forgetting.general_set()), 256, "replies"), strict=True))


def test_forgetting_is_measured_as_one_by_one(reading: Any) -> None:
    import torch

    reading.model.eval()

    def shares(row: Encoded, *, adapter: bool) -> Any:
        with torch.no_grad(), switched(reading.model, adapter=adapter):
            logits = reading.model(input_ids=torch.tensor([row.ids])).logits[0, :-1]
        return logits[torch.tensor(row.learned[1:])].float().log_softmax(-1)

    found = forgetting.measure(judging(reading))
    assert len(found.rows) == len(everyday(reading))
    for told, (example, row) in list(zip(found.rows, everyday(reading), strict=True))[::7]:
        before, after = shares(row, adapter=False), shares(row, adapter=True)
        assert (told["row"], told["tokens"]) == (example.row, len(before))
        assert told["before_loss"] == pytest.approx(alone(reading, row, adapter=False)[0] / len(before), rel=1e-5)
        assert told["after_loss"] == pytest.approx(alone(reading, row, adapter=True)[0] / len(before), rel=1e-5)
        assert told["divergence"] == pytest.approx(float((before.exp() * (before - after)).sum()) / len(before), rel=1e-4)


def test_measures_follow_each_other_in_any_order(pushed: Any) -> None:
    """Memory that stays is written to by all of them."""
    measures: list[Callable[[Any], Any]] = [forgetting.measure, heldout_loss.measure, question_fit.measure]
    asked = judging(pushed)
    first = [measure(asked).scores for measure in measures]
    asked = judging(pushed)
    assert [measure(asked).scores for measure in measures[::-1]][::-1] == first
    batch = next(iter(pushed.steps(0)))[0]
    pushed.model.train()
    pushed.loss(batch)[0].backward()  # and so does learning
    for parameter in pushed.state().values():
        parameter.grad = None
    pushed.model.eval()


def test_a_stop_while_it_looks_for_what_was_forgotten_keeps_the_first_tasks(pushed: Any) -> None:
    found = forgetting.measure(judging(pushed, stop=lambda: True))
    assert 0 < len(found.rows) < len(forgetting.general_set())
    assert [row["row"] for row in found.rows] == [example.row for example in forgetting.general_set()][: len(found.rows)]


def test_what_the_base_makes_of_the_answers_is_read_by_the_base_alone(pushed: Any, passes: list[int]) -> None:
    said = [
        Answered(e, *_answers.asked(e), Answer("It is green.", True, 4), Answer(f"black coal {i}", True, 3, ("default",)))
        for i, e in enumerate(pushed.heldout_examples[:5])
    ]
    assert len(base_likelihood.measure(judging(pushed, written=said)).rows) == 5
    assert sum(passes) == 10


def test_a_model_whose_logits_are_its_own_is_read_as_it_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = open_session(tmp_path, micro_batch=3)
    monkeypatch.setattr(own.head, "plain", False)
    monkeypatch.setattr(own.head, "by_hand", None)
    own.model.eval()
    known = Readings(own)
    known.read(own.heldout_rows)
    for row in own.heldout_rows:
        assert known.loss(row, adapter=True) == pytest.approx(alone(own, row, adapter=True), rel=1e-5)
    assert forgetting.measure(judging(own)).scores[0].difference == 0
