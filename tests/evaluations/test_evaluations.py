"""Judging: the measures on a real session, and the Evaluate job in a real worker."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralab import evaluations
from loralab.core.jobs import EvaluateJob
from loralab.core.records import Example, Message
from loralab.evaluations import Answer, Answered
from loralab.evaluations.shared import answers as _answers
from loralab.evaluations.shared import choices, verdict
from loralab.evaluations.text import _label_set, forgetting, heldout_loss, label_accuracy
from loralab.runs import runs
from tests.conftest import ended
from tests.support.judged import judging, pushed, session
from tests.support.learned import Learned

__all__ = ["pushed", "session"]


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
    from loralab.core.errors import LabError

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
    samples = verdict.samples(asked)
    assert pushed.model.training  # left as it was found
    assert len(samples) == len({sample.prompt for sample in samples}) == 3
    for sample in samples:
        assert sample.prompt.startswith("What is the colour of")
        assert sample.reference.startswith("It is")
        assert (sample.before_active, sample.after_active) == ((), ("default",))
        assert sample.before != sample.after


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
    assert [row["after_right"] for row in found] == [True, False, True, False]
    assert [row["before_right"] for row in found] == [False, False, False, True]
    score = label_accuracy.summarise([r["before_right"] for r in found], [r["after_right"] for r in found])
    assert (score.before, score.after) == (0.25, 0.5)


def test_a_choice_among_labels_is_the_likeliest_one_and_nothing_else(pushed: Any) -> None:
    """Against the straightforward way: which label's first differing token the model itself ranks highest."""
    from loralab.serve.generate import fit, next_logits
    from loralab.serve.together import write

    labels = ["green", "blue sea", "blue sky", "white"]
    pushed.model.eval()
    prompts = [_answers.asked(example)[0] for example in pushed.heldout_examples[:4]]

    def chosen(asked: Any, among: list[str]) -> list[str]:
        rows = choices.choices(pushed, asked, among)
        assert all(write(pushed.model, rows))
        return [row.left[0] for row in rows]

    found = chosen(prompts, labels)
    assert found == chosen(prompts, labels[::-1])
    assert found == [chosen([prompt], labels)[0] for prompt in prompts]
    for prompt, label in zip(prompts, found, strict=True):
        assert label in labels
        logits, _ = next_logits(pushed.model, fit(pushed.encoder, prompt, 256, 8), None)
        first = {label: float(logits[pushed.encoder.text_ids(label)[0]]) for label in labels}
        assert first[label] == max(first.values())


def labelled(session: Any) -> tuple[Any, list[str]]:
    """The session with a label for each example, all but the last."""
    labels = ["green", "blue sea", "white"]
    marked = [e.model_copy(update={"label": labels[i % 3]}) for i, e in enumerate(session.heldout_examples[:-1])]
    return SimpleNamespace(
        model=session.model, encoder=session.encoder, train_examples=[], heldout_examples=[*marked, session.heldout_examples[-1]]
    ), labels


def test_labels_are_chosen_while_answers_are_written(pushed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same choices as by themselves, the same answers as without, and each prompt is read once."""
    from loralab.serve import together

    asked, labels = labelled(pushed)
    pushed.model.eval()
    rows = choices.choices(asked, [_answers.asked(e)[0] for e in asked.heldout_examples], labels)
    together.write(pushed.model, rows)
    real, read = together._logits, list[int]()
    monkeypatch.setattr(together, "_logits", lambda model, ids, *rest: read.append(ids.numel()) or real(model, ids, *rest))
    found = _answers.write_all(asked, asked.heldout_examples, lambda: False)
    with_labels, alone = sum(n for n in read if n > 2 * len(rows)), _answers.write_now(asked, asked.heldout_examples, lambda: False)
    assert [pair.after.text for pair in found] == alone
    assert [pair.after.choice for pair in found] == [row.left[0] for row in rows[:-1]] + [None]
    assert {pair.before.choice for pair in found} <= {*labels, None}
    read.clear()
    monkeypatch.setattr(_answers, "labels_of", lambda *_: [])
    unlabelled = _answers.write_all(asked, asked.heldout_examples, lambda: False)
    assert [pair.after.text for pair in unlabelled] == alone
    assert sum(n for n in read if n > 2 * len(rows)) == with_labels


def test_a_stop_keeps_answers_only_with_their_choices(pushed: Any) -> None:
    asked, _ = labelled(pushed)
    pushed.model.eval()
    looks = iter([False] * 60)
    found = _answers.write_all(asked, asked.heldout_examples, lambda: next(looks, True))
    assert all((pair.after.choice is None) is (pair.example.label is None) for pair in found)
    assert _answers.write_all(asked, asked.heldout_examples, lambda: True) == []


def test_labels_are_a_closed_set_only_where_they_are_few() -> None:
    def examples(n: int) -> list[Example]:
        return [Example(row=i, text="x", label=f"label {i}") for i in range(n)]

    assert choices.labels_of(examples(3)[:2], examples(3)[1:]) == ["label 0", "label 1", "label 2"]
    assert choices.labels_of(examples(1)) == []
    assert choices.labels_of([Example(row=1, text="x")]) == []
    assert choices.labels_of(examples(choices.MOST_LABELS + 1)) == []


def test_labels_count_alike_however_rare() -> None:
    wanted, found = ["a"] * 8 + ["b"] * 2, ["a"] * 10
    assert _label_set.macro_f1(wanted, found) == pytest.approx((16 / 18) / 2)
    assert _label_set.macro_f1(wanted, wanted) == 1
    assert _label_set.confusion(wanted, found) == {"a": {"a": 8}, "b": {"a": 2}}
    assert _label_set.false_positives(wanted, found) == {"a": 2}


@pytest.mark.worker
def test_a_stop_while_answers_are_written_keeps_the_first_whole_pairs(pushed: Any) -> None:
    everything = judging(pushed, most_answers=12).answers()
    looks = iter([False] * 40)
    stopped = judging(pushed, most_answers=12, stop=lambda: next(looks, True))
    some = stopped.answers()
    assert stopped.cut_short
    assert evaluations.FIRST <= len(some) < 12
    assert all(pair in everything for pair in some)


@pytest.mark.worker
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
    assert len(asked.answers()) == evaluations.FIRST  # written together
    found = verdict.judge(asked)
    assert not found.complete
    assert found.scores[0].main
    assert len(found.samples) == evaluations.FIRST


def test_accuracy_is_judged_on_the_pairs_that_changed() -> None:
    better = label_accuracy.summarise([False] * 40, [True] * 30 + [False] * 10)
    chance = label_accuracy.summarise([True, False] * 20, [False, True] + [True, False] * 19)
    same = label_accuracy.summarise([True] * 40, [True] * 40)
    assert (better.verdict, chance.verdict, same.verdict) == ("better", "cannot tell yet", "no difference seen")
    assert (better.before, better.after) == (0.0, 0.75)
    assert 0.5 < better.low < 0.75 < better.high <= 1.0
    assert "sorted 30 exactly right; the base model 0" in better.words


def test_a_session_without_labels_is_not_asked_for_them(session: Any) -> None:
    known = evaluations.evaluations()
    accepted = [name for name, evaluation in known.items() if evaluation.fits(session.plan, session.heldout_examples)]
    assert "loss" in accepted
    assert "label_accuracy" not in accepted


# ---- the job ---------------------------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_a_finished_run_is_judged_again_to_the_same_numbers(learned: Learned, home: Path) -> None:
    run = learned.copy(home)
    base, trained = home / "models" / "base", runs.view(home, run)
    again = runs.start(home, EvaluateJob(of=run, model=str(base), adapter=trained.trained))
    judged = ended(home, again)
    assert judged.state == "finished", judged.ending
    first = next(e for e in trained.evaluations if e.split == "final")
    second = next(e for e in judged.evaluations if e.split == "final")
    assert second.scores[0].verdict == first.scores[0].verdict == "better"
    assert second.scores[0].after == pytest.approx(first.scores[0].after, abs=1e-6)
    assert second.scores[0].before == pytest.approx(first.scores[0].before, abs=1e-6)
    assert len(judged.samples) == 5
    report = json.loads(Path(judged.artifacts[-1].path).read_text("utf-8"))
    per_row = report["rows"]["loss"]
    assert len(per_row) == second.n
    weighted = sum(r["after_loss"] * r["tokens"] for r in per_row) / sum(r["tokens"] for r in per_row)
    assert weighted == pytest.approx(second.loss, abs=1e-9)
    missing = ended(home, runs.start(home, EvaluateJob(of="gone", model=str(base), adapter=trained.trained)))
    assert missing.ending is not None
    assert missing.ending.code == "no_run"
