"""Judging: the statistics, the measures on a real session, and the Evaluate job in a real worker."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab import evaluations, runs
from loralab.evaluations import (
    Answer,
    Answered,
    Judging,
    _answers,
    _controls,
    _judge,
    _label_set,
    _paired,
    forgetting,
    heldout_loss,
    label_accuracy,
    question_fit,
)
from loralab.events import EventLog, RunView
from loralab.records import Example, Job, Message
from loralab.tasks import parse_plan
from loralab.train.run import RunFolder
from tests import tiny


def open_session(folder: Path, **changes: Any) -> Any:
    """A real text session on the tiny model, its adapter fresh (and so without effect)."""
    from loralab.train.text import TextSession

    folder.mkdir(parents=True, exist_ok=True)
    base = tiny.model_folder(folder / "base")
    data = tiny.examples_file(folder / "colours.jsonl")
    plan = parse_plan({"dataset": str(data), "max_length": 64, "rank": 4, **changes})
    job = Job(kind="train", run="tiny", plan=plan.model_dump(), options={"model": str(base)})
    return TextSession(plan, RunFolder(folder, job, EventLog(folder / "events.jsonl")))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_session(tmp_path_factory.mktemp("session"))


@pytest.fixture
def pushed(session: Any) -> Any:
    """The session with an adapter that does something; put back afterwards."""
    import torch

    before = {name: tensor.detach().clone() for name, tensor in session.state().items()}
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in session.state().items():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    yield session
    session.load_state(before)


def judging(session: Any, **changes: Any) -> Judging:
    return Judging(session, session.plan, **changes)


# ---- statistics ------------------------------------------------------------------------------------------------------------


def test_the_same_model_twice_shows_no_difference(session: Any) -> None:
    base, adapter, counts = heldout_loss.paired_losses(session)
    assert len(base) == len(session.heldout_rows) >= 8
    assert base == adapter  # a fresh adapter adds exactly nothing
    (score,) = heldout_loss.measure(judging(session)).scores
    assert (score.verdict, score.difference, score.low, score.high) == ("no difference seen", 0.0, 0.0, 0.0)
    assert min(counts) > 0


def test_chance_is_rarely_called_a_difference() -> None:
    """Two answers that differ by noise alone: at most about 5 % may be called better or worse, also with few examples."""
    random = np.random.default_rng(0)
    for n in (10, 40):
        called = 0
        for trial in range(300):
            counts = random.integers(5, 60, n)
            base = counts * random.normal(3.0, 0.5, n)
            adapter = base + counts * random.normal(0.0, 0.3, n)
            score = heldout_loss.summarise(base.tolist(), adapter.tolist(), counts.tolist())
            called += score.verdict in ("better", "worse")
            assert score.low <= score.difference <= score.high, trial
        assert called / 300 < 0.08, n


def test_a_real_gain_is_called_better_and_a_real_loss_worse() -> None:
    random = np.random.default_rng(1)
    counts = random.integers(5, 60, 40)
    base = counts * random.normal(3.0, 0.5, 40)
    gain = heldout_loss.summarise(base.tolist(), (base - counts * random.normal(0.7, 0.2, 40)).tolist(), counts.tolist())
    loss = heldout_loss.summarise(base.tolist(), (base + counts * random.normal(0.2, 0.1, 40)).tolist(), counts.tolist())
    assert gain.verdict == "better"
    assert gain.high < 0
    assert "40 examples it never saw" in gain.words
    assert f"loss {gain.base:.2f} → {gain.adapter:.2f}" in gain.words
    assert loss.verdict == "worse"
    assert "less likely" in loss.words


def test_the_interval_weighs_examples_by_their_tokens() -> None:
    found = _paired.paired_difference([10.0, 300.0], [9.0, 300.0], [10, 100])
    assert found.difference == pytest.approx(-1.0 / 110)
    assert found.base == pytest.approx(310 / 110)


def test_few_examples_and_broken_numbers_cannot_tell() -> None:
    assert heldout_loss.summarise([3.0] * 5, [1.0] * 5, [1] * 5).verdict == "cannot tell yet"
    assert heldout_loss.summarise([3.0] * 20, [math.nan] * 20, [1] * 20).verdict == "cannot tell yet"
    assert heldout_loss.summarise([3.0], [1.0], [1]).verdict == "cannot tell yet"


def test_the_interval_is_the_same_every_time() -> None:
    random = np.random.default_rng(2)
    base, adapter = random.normal(3, 1, 30).tolist(), random.normal(2.9, 1, 30).tolist()
    assert _paired.paired_difference(base, adapter, [1.0] * 30) == _paired.paired_difference(base, adapter, [1.0] * 30)


# ---- measures on a session -------------------------------------------------------------------------------------------------


def test_paired_losses_equal_the_losses_of_whole_batches(pushed: Any) -> None:
    import torch

    base, adapter, counts = heldout_loss.paired_losses(pushed)
    pushed.model.eval()
    with torch.no_grad():
        batches = list(pushed.heldout_batches())
        on = sum(float(pushed.loss(batch)[0]) for batch in batches)
        with pushed.model.disable_adapter():
            off = sum(float(pushed.loss(batch)[0]) for batch in batches)
    assert sum(counts) == sum(batch.n_targets for batch in batches)
    assert sum(adapter) == pytest.approx(on, rel=1e-5)
    assert sum(base) == pytest.approx(off, rel=1e-5)
    assert max(abs(b - a) for b, a in zip(base, adapter, strict=True)) > 0.01


def test_a_comparison_that_cannot_switch_the_adapter_is_refused(pushed: Any) -> None:
    from loralab.errors import LabError

    pushed.model.base_model.disable_adapter_layers()
    try:
        with pytest.raises(LabError, match="could not be switched"):
            heldout_loss.paired_losses(pushed)
    finally:
        pushed.model.base_model.enable_adapter_layers()


def test_side_by_side_names_who_answered(pushed: Any) -> None:
    pushed.model.train()
    asked = judging(pushed, most_answers=3)
    asked.answers()
    samples = _judge.samples(asked)
    assert pushed.model.training  # left as it was found
    assert len(samples) == len({sample.prompt for sample in samples}) == 3
    for sample in samples:
        assert sample.prompt.startswith("What is the colour of")
        assert sample.reference.startswith("It is")
        assert (sample.base_active, sample.adapter_active) == ((), ("default",))
        assert sample.base != sample.adapter


def test_a_plain_text_is_continued_from_its_opening() -> None:
    text = "one two three four five six seven eight nine ten"
    prompt, reference = _answers.asked(Example(row=1, text=text))
    assert isinstance(prompt, str)
    assert f"{prompt} {reference}" == text
    assert len(prompt) < len(reference)


def test_labels_count_only_as_a_whole(session: Any) -> None:
    def labelled(row: int, label: str) -> Answered:
        asked, replied = Message(role="user", content=f"message {row}"), Message(role="assistant", content=label)
        example = Example(row=row, messages=(asked, replied), label=label)
        base, adapter = Answer("card lost or stolen", True, 4), Answer(" Card lost.\n", True, 3, ("default",))
        return Answered(example, [asked], label, base, adapter)

    answers = [labelled(1, "card lost"), labelled(2, "card"), labelled(3, "Card lost"), labelled(4, "card lost or stolen")]
    found = label_accuracy.rows(judging(session, written=answers))
    assert [row["adapter_right"] for row in found] == [True, False, True, False]
    assert [row["base_right"] for row in found] == [False, False, False, True]
    score = label_accuracy.summarise([r["base_right"] for r in found], [r["adapter_right"] for r in found])
    assert (score.base, score.adapter) == (0.25, 0.5)


def test_a_choice_among_labels_is_the_likeliest_one_and_nothing_else(pushed: Any) -> None:
    """Against the straightforward way: which label's first differing token the model itself ranks highest."""
    from loralab.serve.generate import fit, next_logits

    labels = ["green", "blue sea", "blue sky", "white"]
    pushed.model.eval()
    for example in pushed.heldout_examples[:4]:
        found = _label_set.choose(pushed, example, labels)
        assert found in labels
        assert found == _label_set.choose(pushed, example, labels[::-1])
        ids = fit(pushed.encoder, _answers.asked(example)[0], 256, 8)
        logits, _ = next_logits(pushed.model, ids, None)
        first = {label: float(logits[pushed.encoder.text_ids(label)[0]]) for label in labels}
        assert first[found] == max(first.values())


def test_labels_count_alike_however_rare() -> None:
    wanted, found = ["a"] * 8 + ["b"] * 2, ["a"] * 10
    assert _label_set.macro_f1(wanted, found) == pytest.approx((16 / 18) / 2)
    assert _label_set.macro_f1(wanted, wanted) == 1
    assert _label_set.confusion(wanted, found) == {"a": {"a": 8}, "b": {"a": 2}}
    assert _label_set.false_positives(wanted, found) == {"a": 2}


def test_an_adapter_that_was_pushed_forgets_and_a_fresh_one_does_not(session: Any, request: pytest.FixtureRequest) -> None:
    session.model.eval()
    fresh = forgetting.measure(judging(session))
    assert fresh.scores[0].difference == 0
    assert fresh.tables["divergence_from_base"] == 0
    pushed = request.getfixturevalue("pushed")
    pushed.model.eval()
    found = forgetting.measure(judging(pushed))
    assert found.tables["divergence_from_base"] > 0.01
    assert found.scores[0].n == 48


def test_answers_stop_when_asked_and_keep_what_there_is(pushed: Any) -> None:
    told: list[float | None] = []
    asked = judging(pushed, note=lambda _text, fraction: told.append(fraction), stop=lambda: len(told) >= 2)
    assert len(asked.answers()) == 2
    found = _judge.judge(asked)
    assert not found.complete
    assert found.scores[0].main
    assert len(found.samples) == 2


# ---- the verdict -----------------------------------------------------------------------------------------------------------


def test_many_measures_do_not_find_something_by_chance() -> None:
    """Ten measures of nothing, 100 times: without the correction most trials would find one."""
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(100):
        chances = [_paired.paired_difference([0.0] * 20, nothing.tolist(), [1.0] * 20).p for nothing in random.normal(0, 1, (10, 20))]
        alarms += min(_paired.holm(chances)) < _paired.SURE
    assert alarms / 100 <= 0.1
    assert _paired.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_intervals_hold_what_they_promise() -> None:
    """The true difference lies inside the 95 % interval in 93 to 97 of 100 trials."""
    random = np.random.default_rng(6)
    inside = 0
    for _ in range(1000):
        counts = random.integers(5, 60, 60)
        base = random.normal(3.0, 0.5, 60)
        after = base - random.normal(0.2, 0.4, 60)
        found = _paired.paired_difference((counts * base).tolist(), (counts * after).tolist(), counts.tolist())
        inside += found.low <= -0.2 <= found.high
    assert 0.93 <= inside / 1000 <= 0.97


def test_an_undecided_measure_says_what_it_could_have_shown() -> None:
    random = np.random.default_rng(8)
    base = random.normal(3, 0.5, 30)
    score = heldout_loss.summarise(base.tolist(), (base + random.normal(-0.05, 0.3, 30)).tolist(), [1] * 30)
    assert score.verdict == "cannot tell yet"
    assert 0.05 < score.smallest < 0.4
    words = _judge.told_chance(score)
    assert "With 30 examples only a difference of" in words
    assert "more would tell" in words


def test_the_main_measure_is_chosen_by_the_data_and_what_got_worse_is_said(session: Any) -> None:
    main = heldout_loss.summarise([3.0] * 20, [1.0 + i / 100 for i in range(20)], [1] * 20).model_copy(update={"main": True})
    worse = main.model_copy(update={"name": "ends", "main": False, "verdict": "worse", "words": "It ends its turn less often."})
    word, words = _judge.sentence((main, worse))
    assert word == "better"
    assert words.endswith("But: It ends its turn less often.")
    assert _judge.sentence(())[0] == "cannot tell yet"


def test_accuracy_is_judged_on_the_pairs_that_changed() -> None:
    better = label_accuracy.summarise([False] * 40, [True] * 30 + [False] * 10)
    chance = label_accuracy.summarise([True, False] * 20, [False, True] + [True, False] * 19)
    same = label_accuracy.summarise([True] * 40, [True] * 40)
    assert (better.verdict, chance.verdict, same.verdict) == ("better", "cannot tell yet", "no difference seen")
    assert (better.base, better.adapter) == (0.0, 0.75)
    assert 0.5 < better.low < 0.75 < better.high <= 1.0
    assert "sorted 30 exactly right; the base model 0" in better.words


def test_a_session_without_labels_is_not_asked_for_them(session: Any) -> None:
    known = evaluations.evaluations()
    accepted = [name for name, evaluation in known.items() if evaluation.accepts(session.plan, session.heldout_examples)]
    assert "loss" in accepted
    assert "label_accuracy" not in accepted


# ---- controls --------------------------------------------------------------------------------------------------------------


def test_the_same_adapter_against_itself_is_hardly_ever_better() -> None:
    random = np.random.default_rng(9)
    rows = [
        {"tokens": int(n), "base_loss": 3 + random.normal(0, 0.5), "adapter_loss": 2 + random.normal(0, 0.5)}
        for n in random.integers(5, 60, 60)
    ]
    better, worse = _controls.swapped(rows)
    assert better <= 0.05 * _controls.SWAPS
    assert worse <= 0.05 * _controls.SWAPS


def test_shuffled_answers_keep_every_answer_and_give_none_back(session: Any) -> None:
    found = _controls.shuffle_answers(session.train_examples, 0)
    before, after = ([e.messages[-1].content for e in examples] for examples in (session.train_examples, found))
    assert sorted(before) == sorted(after)
    assert [e.messages[0] for e in found] == [e.messages[0] for e in session.train_examples]
    assert sum(b != a for b, a in zip(before, after, strict=True)) > 0.6 * len(before)  # six colours: some strangers are alike


def test_tone_alone_is_not_called_better(session: Any) -> None:
    """An adapter that finds all answers likelier, whatever was asked."""
    gain = heldout_loss.summarise([3.0] * 20, [1.0 + i / 100 for i in range(20)], [1] * 20).model_copy(update={"main": True})
    alike = question_fit.TRAIT.score([0.5 + i / 100 for i in range(20)], [0.5 + (19 - i) / 100 for i in range(20)])
    word, words = _judge.sentence((gain, alike))
    assert word == "cannot tell yet"
    assert "writes more like your examples" in words
    knows = question_fit.TRAIT.score([0.5 + i / 100 for i in range(20)], [2.5 + i / 90 for i in range(20)])
    assert _judge.sentence((gain, knows))[0] == "better"


def test_wrong_questions_are_never_the_right_ones(pushed: Any) -> None:
    own, other = question_fit.pairs(pushed.heldout_examples)
    assert len(own) == len(pushed.heldout_examples)
    for mine, theirs in zip(own, other, strict=True):
        assert mine.messages[-1] == theirs.messages[-1]
        assert mine.messages[0] != theirs.messages[0]
    pushed.model.eval()
    measured = question_fit.measure(judging(pushed))
    assert measured.scores[0].n == len(own)
    assert measured.scores[0].base != measured.scores[0].adapter


# ---- the job ---------------------------------------------------------------------------------------------------------------


def wait(home: Path, run: str, seconds: float = 180) -> RunView:
    import time

    limit = time.monotonic() + seconds
    while runs.view(home, run).active and time.monotonic() < limit:
        time.sleep(0.2)
    return runs.view(home, run)


@pytest.mark.slow
def test_a_good_run_is_better_and_the_same_run_on_shuffled_answers_is_not(tmp_path: Path) -> None:
    base = tiny.model_folder(tmp_path / "base")
    data = tiny.examples_file(tmp_path / "colours.jsonl", rows=240)
    plan = parse_plan({"dataset": str(data), "max_length": 64, "rank": 8, "epochs": 8, "learning_rate": 1e-2, "patience": 0}).model_dump()
    home = tmp_path / "home"
    good = wait(home, runs.start(home, "train", plan=plan, options={"model": str(base)}))
    control = wait(home, runs.start(home, "train", plan=plan, options={"model": str(base), "control": "shuffled_answers"}))
    first, second = (next(e for e in view.evaluations if e.split == "final") for view in (good, control))
    assert first.verdict == "better", first.words
    assert second.verdict != "better", second.words
    assert second.scores[0].verdict == "better"  # it learned the tone, and that alone is not enough


@pytest.mark.slow
def test_a_finished_run_is_judged_again_to_the_same_numbers(tmp_path: Path) -> None:
    base = tiny.model_folder(tmp_path / "base")
    plan = {"dataset": str(tiny.examples_file(tmp_path / "colours.jsonl")), "max_length": 64, "rank": 4, "epochs": 2, "learning_rate": 5e-3}
    home = tmp_path / "home"
    run = runs.start(home, "train", plan=parse_plan(plan).model_dump(), options={"model": str(base)})
    trained = wait(home, run)
    assert trained.state == "finished", trained.ending
    again = runs.start(home, "evaluate", options={"of": run, "model": str(base), "adapter": trained.adapter})
    judged = wait(home, again)
    assert judged.state == "finished", judged.ending
    first = next(e for e in trained.evaluations if e.split == "final")
    second = next(e for e in judged.evaluations if e.split == "final")
    assert second.scores[0].verdict == first.scores[0].verdict == "better"
    assert second.scores[0].adapter == pytest.approx(first.scores[0].adapter, abs=1e-6)
    assert second.scores[0].base == pytest.approx(first.scores[0].base, abs=1e-6)
    assert len(judged.samples) == 5
    report = json.loads(Path(judged.artifacts[-1].path).read_text("utf-8"))
    per_row = report["rows"]["loss"]
    assert len(per_row) == second.n
    weighted = sum(r["adapter_loss"] * r["tokens"] for r in per_row) / sum(r["tokens"] for r in per_row)
    assert weighted == pytest.approx(second.loss, abs=1e-9)
    missing = wait(home, runs.start(home, "evaluate", options={"of": "gone", "model": str(base), "adapter": trained.adapter}))
    assert missing.ending is not None
    assert missing.ending.code == "no_run"
