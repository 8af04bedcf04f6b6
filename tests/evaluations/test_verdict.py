"""The verdict: its statistics, its sentence, and what must come out when there is nothing to find."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab.core.jobs import Control, TrainJob
from loralab.evaluations import without
from loralab.evaluations.shared import controls, paired, verdict
from loralab.evaluations.text import heldout_loss, question_fit
from loralab.lab import Lab
from loralab.runs import runs
from loralab.tasks import parse_plan
from tests.conftest import ended
from tests.support import tiny
from tests.support.judged import judging, pushed, session

__all__ = ["pushed", "session"]


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
    assert f"loss {gain.before:.2f} → {gain.after:.2f}" in gain.words
    assert loss.verdict == "worse"
    assert "less likely" in loss.words


def test_the_interval_weighs_examples_by_their_tokens() -> None:
    found = paired.paired_difference([10.0, 300.0], [9.0, 300.0], [10, 100])
    assert found.difference == pytest.approx(-1.0 / 110)
    assert found.before == pytest.approx(310 / 110)


def test_few_examples_and_broken_numbers_cannot_tell() -> None:
    assert heldout_loss.summarise([3.0] * 5, [1.0] * 5, [1] * 5).verdict == "cannot tell yet"
    assert heldout_loss.summarise([3.0] * 20, [math.nan] * 20, [1] * 20).verdict == "cannot tell yet"
    assert heldout_loss.summarise([3.0], [1.0], [1]).verdict == "cannot tell yet"


def test_the_interval_is_the_same_every_time() -> None:
    random = np.random.default_rng(2)
    base, adapter = random.normal(3, 1, 30).tolist(), random.normal(2.9, 1, 30).tolist()
    assert paired.paired_difference(base, adapter, [1.0] * 30) == paired.paired_difference(base, adapter, [1.0] * 30)


# ---- the verdict -----------------------------------------------------------------------------------------------------------


def test_many_measures_do_not_find_something_by_chance() -> None:
    """Ten measures of nothing, 100 times: without the correction most trials would find one."""
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(100):
        chances = [paired.paired_difference([0.0] * 20, nothing.tolist(), [1.0] * 20).p for nothing in random.normal(0, 1, (10, 20))]
        alarms += min(paired.holm(chances)) < paired.SURE
    assert alarms / 100 <= 0.1
    assert paired.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_intervals_hold_what_they_promise() -> None:
    """The true difference lies inside the 95 % interval in 93 to 97 of 100 trials."""
    random = np.random.default_rng(6)
    inside = 0
    for _ in range(1000):
        counts = random.integers(5, 60, 60)
        base = random.normal(3.0, 0.5, 60)
        after = base - random.normal(0.2, 0.4, 60)
        found = paired.paired_difference((counts * base).tolist(), (counts * after).tolist(), counts.tolist())
        inside += found.low <= -0.2 <= found.high
    assert 0.93 <= inside / 1000 <= 0.97


def test_an_undecided_measure_says_what_it_could_have_shown() -> None:
    random = np.random.default_rng(8)
    base = random.normal(3, 0.5, 30)
    score = heldout_loss.summarise(base.tolist(), (base + random.normal(-0.05, 0.3, 30)).tolist(), [1] * 30)
    assert score.verdict == "cannot tell yet"
    assert 0.05 < score.smallest < 0.4
    words = verdict.told_chance(score)
    assert "With 30 examples only a difference of" in words
    assert "more would tell" in words


def test_the_main_measure_is_chosen_by_the_data_and_what_got_worse_is_said(session: Any) -> None:
    main = heldout_loss.summarise([3.0] * 20, [1.0 + i / 100 for i in range(20)], [1] * 20).model_copy(update={"main": True})
    worse = main.model_copy(update={"name": "ends", "main": False, "verdict": "worse", "words": "It ends its turn less often."})
    word, words = verdict.sentence((main, worse))
    assert word == "better"
    assert "But" not in words
    for said in ("better", "worse", "no difference seen", "cannot tell yet"):
        assert verdict.worsened((main.model_copy(update={"verdict": said}), worse)) == "But: It ends its turn less often."
    forgot = worse.model_copy(update={"name": "forgetting"})
    assert verdict.worsened((main, forgot)) == "But: It got worse at everyday tasks that have nothing to do with your examples."
    assert verdict.worsened((main,)) == ""
    assert verdict.sentence(())[0] == "cannot tell yet"


# ---- controls --------------------------------------------------------------------------------------------------------------


def test_the_same_adapter_against_itself_is_hardly_ever_better() -> None:
    random = np.random.default_rng(9)
    rows = [
        {"tokens": int(n), "before_loss": 3 + random.normal(0, 0.5), "after_loss": 2 + random.normal(0, 0.5)}
        for n in random.integers(5, 60, 60)
    ]
    better, worse = controls.swapped(rows)
    assert better <= 0.05 * controls.SWAPS
    assert worse <= 0.05 * controls.SWAPS


def test_shuffled_answers_keep_every_answer_and_give_none_back(session: Any) -> None:
    found = controls.shuffle_answers(session.train_examples, 0)
    before, after = ([e.messages[-1].content for e in examples] for examples in (session.train_examples, found))
    assert sorted(before) == sorted(after)
    assert [e.messages[0] for e in found] == [e.messages[0] for e in session.train_examples]
    assert sum(b != a for b, a in zip(before, after, strict=True)) > 0.6 * len(before)  # six colours: some strangers are alike


def test_tone_alone_is_not_called_better(session: Any) -> None:
    """An adapter that finds all answers likelier, whatever was asked."""
    gain = heldout_loss.summarise([3.0] * 20, [1.0 + i / 100 for i in range(20)], [1] * 20).model_copy(update={"main": True})
    alike = question_fit.TRAIT.score([0.5 + i / 100 for i in range(20)], [0.5 + (19 - i) / 100 for i in range(20)])
    word, words = verdict.sentence((gain, alike))
    assert word == "cannot tell yet"
    assert "writes more like your examples" in words
    knows = question_fit.TRAIT.score([0.5 + i / 100 for i in range(20)], [2.5 + i / 90 for i in range(20)])
    assert verdict.sentence((gain, knows))[0] == "better"


def test_wrong_questions_are_never_the_right_ones(pushed: Any) -> None:
    own, other = question_fit.pairs(pushed.heldout_examples)
    assert len(own) == len(pushed.heldout_examples)
    for mine, theirs in zip(own, other, strict=True):
        assert mine.messages[-1] == theirs.messages[-1]
        assert mine.messages[0] != theirs.messages[0]
    pushed.model.eval()
    measured = question_fit.measure(judging(pushed))
    assert measured.scores[0].n == len(own)
    assert measured.scores[0].before != measured.scores[0].after


@pytest.mark.worker
@pytest.mark.parametrize(("shuffled", "learned", "usable"), [(False, "yes", {"yes", "partly"}), (True, "no unknown", {"no"})])
def test_the_starter_sorts_what_can_be_sorted(shuffled: bool, learned: str, usable: set[str], tmp_path: Path) -> None:
    """Three kinds of things in six forms, none of which tells the kind."""
    things = {
        "animal": "dog cat cow horse lion tiger",
        "food": "bread cheese apple soup rice",
        "town": "paris rome berlin madrid oslo lima",
    }
    forms = ("I saw {} again", "Tell me about {}", "Do you like {}", "My friend talks of {} today", "I dreamt of {}", "What about {} here")
    rows = [(form.format(name), kind) for form in forms for kind, names in things.items() for name in names.split()]
    if shuffled:
        labels = np.random.default_rng(1).permutation([kind for _, kind in rows])
        rows = [(text, str(kind)) for (text, _), kind in zip(rows, labels, strict=True)]
    data = tmp_path / "things.csv"
    data.write_text("text,label\n" + "\n".join(f"{text},{kind}" for text, kind in rows) + "\n", "utf-8")
    lab = Lab(tmp_path / "home")
    run = lab.start(lab.propose(lab.profile(data), epochs=4.0, learning_rate=3e-3, heldout_share=0.25, patience=0))
    found = lab.wait(run).conclusion
    assert found is not None
    assert found.learned in learned.split(), found
    assert found.usable in usable, found
    report = lab.report(run)
    assert (report["learned"], report["usable"], report["but"]) == (found.learned, found.usable, found.but)


def test_near_copies_are_not_judged(session: Any) -> None:
    kept = without(session, {0, 2})
    assert kept.heldout_examples == [e for i, e in enumerate(session.heldout_examples) if i not in (0, 2)]
    assert len(kept.heldout_rows) == len(kept.heldout_examples)
    assert kept.model is session.model


@pytest.mark.worker
def test_a_good_run_is_better_and_the_same_run_on_shuffled_answers_is_not(tmp_path: Path) -> None:
    base = tiny.model_folder(tmp_path / "base")
    data = tiny.examples_file(tmp_path / "colours.jsonl", rows=240)
    plan = parse_plan({"dataset": str(data), "max_length": 64, "rank": 8, "epochs": 8, "learning_rate": 1e-2, "patience": 0}).model_dump()
    home = tmp_path / "home"
    good = ended(home, runs.start(home, TrainJob(plan=plan, model=str(base))))
    control = ended(home, runs.start(home, TrainJob(plan=plan, model=str(base), origin=Control())))
    first, second = (next(e for e in view.evaluations if e.split == "final") for view in (good, control))
    assert first.scores[0].verdict == "better", first.words  # its rows are near copies, so that no more than this is proven
    assert second.verdict != "better", second.words
    assert second.scores[0].verdict == "better"  # it learned the tone, which is right now and then, and that alone is not enough
    assert control.conclusion is not None
    assert control.conclusion.learned != "yes", control.conclusion
