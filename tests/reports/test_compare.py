"""Comparing two judged runs: only on what both were judged on, in bits per byte, with the statistics of the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab.core.errors import UserError
from loralab.core.verdict import Verdict
from loralab.lab import Lab
from loralab.reports import compare

SHUFFLED = Verdict(learned="unknown", learned_words="It could be chance.", usable="no", usable_words="Only 3 of 20 are right.")


def judged(seed: int, shift: float = 0.0, rows: range = range(40), tokens: int = 20) -> dict[str, Any]:
    """A judgement like those on disk: loss of each example without and with an adapter, and whether it was right."""
    hard, noise = np.random.default_rng(1).normal(3, 0.5, 1000), np.random.default_rng(seed).normal(0, 0.1, 1000)
    loss = [{"row": i, "tokens": tokens, "bytes": 80, "before_loss": 4.0, "after_loss": hard[i] + noise[i] + shift} for i in rows]
    right = [{"row": i, "after_right": shift < 0, "before_right": False} for i in rows]
    return {"rows": {"loss": loss, "label_accuracy": right}, "verdict": "better", "words": "", "scores": []}


def test_the_better_of_two_is_named_and_equal_ones_are_not_told_apart() -> None:
    found = compare.compare(judged(2), judged(3, -0.5))
    assert found.scores[0].verdict == "better"
    assert found.words == "The second is right more often (0 % → 100 %, 40 answers)."
    loss = next(s for s in found.scores if s.name == "bits_per_byte")
    assert loss.verdict == "better"
    assert loss.before == pytest.approx(np.mean([r["first"] for r in found.rows]), rel=1e-6)
    assert compare.compare(judged(3, -0.5), judged(2)).scores[0].verdict == "worse"
    assert compare.compare(judged(2), judged(2)).scores[0].difference == 0


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [((2, 0.0), (3, -0.5), "“New” is better"), ((3, -0.5), (2, 0.0), "“Old” is better"), ((2, 0.0), (3, 0.001), "Practically the same")],
)
def test_which_of_two_is_better_is_said_by_their_names(first: tuple[int, float], second: tuple[int, float], word: str) -> None:
    sides = [judged(*side, rows=range(400)) for side in (first, second)]
    assert compare.compare(*sides).told("Old", "New")[0] == word


def test_few_answers_without_a_difference_are_not_called_the_same() -> None:
    found = compare.compare(judged(2), judged(2))
    assert found.outcome == "unclear"
    assert found.told("Old", "New")[1] == "Both have 0 of 40 right. Only more examples to test on could show a difference."
    for side in (one := judged(2), other := judged(2)):
        del side["rows"]["label_accuracy"]
    assert compare.compare(one, other).outcome == "same"  # every loss is the same to the last digit


def test_what_two_plans_have_different_is_said_in_words() -> None:
    plans = (
        {"title": "a", "dataset": "/x/my_mails.csv", "epochs": 1.0},
        {"title": "b", "dataset": "/x/my_mails.csv", "epochs": 2.0, "adapter": "dora"},
    )
    assert compare.different_settings(*plans) == (("Rounds over the examples", "1", "2"), ("Kind of adapter", "–", "dora"))


def test_another_tokenizer_does_not_win_by_cutting_text_differently() -> None:
    """Half as many tokens with twice the loss each is the same text equally likely."""
    other = judged(2, tokens=10)
    for row in other["rows"]["loss"]:
        row["after_loss"] *= 2
    del other["rows"]["label_accuracy"]
    assert compare.compare(judged(2), other).scores[0].difference == pytest.approx(0, abs=1e-12)


def test_only_shared_examples_count_and_too_few_are_refused() -> None:
    found = compare.compare(judged(2, rows=range(30)), judged(3, rows=range(20, 60)))
    assert found.scores[0].n == len(found.rows) == 10
    with pytest.raises(UserError, match="they share 3"):
        compare.compare(judged(2, rows=range(10)), judged(3, rows=range(7, 40)))


def test_the_same_row_of_another_file_is_another_example() -> None:
    one, other = judged(2), judged(3)
    for found, name in ((one, "cats"), (other, "dogs")):
        found["rows"]["answers"] = [{"row": i, "question": f"{name if i < 35 else 'pets'} {i}", "reference": "yes"} for i in range(40)]
    with pytest.raises(UserError, match="they share 5"):
        compare.compare(one, other)
    assert len(compare.compare(one, one).rows) == 40


def test_the_newest_judging_counts_and_a_run_without_one_says_so(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    run, later = tmp_path / "runs" / "good-run", tmp_path / "runs" / "evaluation"
    for folder, words, of in ((run, "first", ""), (later, "second", "good-run")):
        (folder / "artifacts").mkdir(parents=True)
        kind = "evaluate" if of else "train"
        (folder / "job.json").write_text(json.dumps({"kind": kind, "run": folder.name, "options": {"of": of} if of else {}}))
        (folder / "artifacts" / "evaluation.json").write_text(json.dumps(judged(2) | {"words": words}))
    assert lab.judgement("good-run")["words"] == "second"
    assert lab.compare("good-run", "evaluation").scores[0].difference == 0
    bare = tmp_path / "runs" / "bare"
    bare.mkdir()
    (bare / "job.json").write_text(json.dumps({"kind": "train", "run": "bare"}))
    with pytest.raises(UserError, match="has not been judged"):
        lab.judgement("bare")


def test_a_run_judged_by_an_earlier_version_is_compared_with_one_of_today(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    for name, found in (("old-run", judged(2)), ("new-run", judged(2))):
        folder = tmp_path / "runs" / name
        (folder / "artifacts").mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps({"kind": "train", "run": name}))
        text = json.dumps(found)
        old = text.replace('"before_', '"base_').replace('"after_', '"adapter_')
        (folder / "artifacts" / "evaluation.json").write_text(old if name == "old-run" else text)
    assert [score.name for score in lab.compare("old-run", "new-run").scores] == ["right", "bits_per_byte"]


def test_controls_are_told_in_words() -> None:
    found = compare.controls(judged(2, -1.0), "", None)
    assert found.false_better <= 10
    assert "swapped at random" in found.words
    assert "shuffled" not in found.words
    fine = compare.controls(judged(2, -1.0), "control", SHUFFLED)
    assert fine.words.endswith("the answer to “Did it learn?” is “Cannot tell yet”, as it must be.")
    assert "do not trust" in compare.controls(judged(2), "control", SHUFFLED.model_copy(update={"learned": "yes"})).words


# ---- two runs on pictures ----------------------------------------------------------------------------------------------------


def seen(right: list[float], *, name: str = "accuracy", rows: int = 0, group: str = "") -> dict[str, Any]:
    """A judgement of pictures like those on disk."""
    whole = name == "accuracy"
    kept = [
        {"row": i, "media": f"{i}.png", "group": group and f"{group}{i // 20}", "label": "cat", "after": "cat" if good else "dog"}
        | {"before_right": False if whole else 0.0, "after_right": bool(good) if whole else good}
        | ({"of_label": 0.9 if good else 0.2} if whole else {"boundary": good})
        for i, good in enumerate(right, rows)
    ]
    return {"rows": {name: kept}, "verdict": "better", "words": "", "scores": []}


def test_two_runs_on_pictures_are_held_against_each_other_picture_by_picture() -> None:
    better, worse = seen([1.0] * 55 + [0.0] * 5), seen([1.0] * 30 + [0.0] * 30)
    found = compare.compare(worse, better)
    assert [score.name for score in found.scores] == ["right", "of_label"]
    assert found.outcome == "second"
    assert found.words == "The second is right more often (50 % → 92 %, 60 pictures)."
    assert found.told("Old", "New") == ("“New” is better", "“Old” has 30 of 60 right, “New” 55 of 60.")
    assert compare.compare(better, worse).outcome == "first"
    assert [one.question for one in found.answers[:25]] == [f"{i}.png" for i in range(30, 55)], "those on which they differ come first"
    assert compare.compare(worse, worse).outcome == "same"


def test_marks_are_told_by_how_well_they_agree() -> None:
    found = compare.compare(seen([0.5] * 40, name="dice"), seen([0.8] * 40, name="dice"))
    assert found.outcome == "second"
    assert found.told("Old", "New")[1].startswith("“Old”: 50 %, “New”: 80 %.")
    assert not found.whole


def test_pictures_of_few_patients_tell_less_than_as_many_of_their_own() -> None:
    sides = [1.0] * 40 + [0.0] * 20, [1.0] * 60
    assert compare.compare(*(seen(side) for side in sides)).outcome == "second"
    assert compare.compare(*(seen(side, group="patient ") for side in sides)).outcome == "unclear", "three patients"


@pytest.mark.parametrize(
    ("first", "second"),
    [(seen([1.0] * 20), seen([1.0] * 20, name="dice")), (seen([1.0] * 20), seen([1.0] * 20, rows=100)), (seen([1.0] * 20), judged(2))],
)
def test_what_has_no_pictures_in_common_is_not_compared(first: dict[str, Any], second: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        compare.compare(first, second)


def test_pictures_swapped_by_lot_are_rarely_called_better() -> None:
    random = np.random.default_rng(0)
    found = compare.controls(seen(random.random(80).round().tolist()), "", None)
    assert found.swaps == 100
    assert found.swaps_pass
    assert "of 100 trials (at most 5 are expected)" in found.words
    assert compare.controls(seen([1.0] * 40), "x", SHUFFLED.model_copy(update={"learned": "yes"})).shuffled_learned == "yes"
