"""Judging: the statistics, the measures on a real session, and the Evaluate job in a real worker."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab import evaluations, runs
from loralab.evaluations import _paired, heldout_loss, label_accuracy, side_by_side
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


# ---- statistics ------------------------------------------------------------------------------------------------------------


def test_the_same_model_twice_shows_no_difference(session: Any) -> None:
    base, adapter, counts = heldout_loss.paired_losses(session)
    assert len(base) == len(session.heldout_rows) >= 8
    assert base == adapter  # a fresh adapter adds exactly nothing
    (score,) = heldout_loss.measure(session).scores
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
    samples = side_by_side.answers(pushed, 3)
    assert pushed.model.training  # left as it was found
    assert len(samples) == len({sample.prompt for sample in samples}) == 3
    for sample in samples:
        assert sample.prompt.startswith("What is the colour of")
        assert sample.reference.startswith("It is")
        assert (sample.base_active, sample.adapter_active) == ((), ("default",))
        assert sample.base != sample.adapter


def test_a_plain_text_is_continued_from_its_opening() -> None:
    text = "one two three four five six seven eight nine ten"
    prompt, reference = side_by_side.asked(Example(row=1, text=text))
    assert isinstance(prompt, str)
    assert f"{prompt} {reference}" == text
    assert len(prompt) < len(reference)


def test_labels_count_only_as_a_whole(pushed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.serve import generate

    def answer(model: Any, encoder: Any, prompt: Any, size: int) -> tuple[str, tuple[str, ...]]:
        """What a model would write; whether the adapter is on is real."""
        active = generate.active_adapters(model)
        return (" Card lost.\n" if active else "card lost or stolen"), active

    def labelled(row: int, label: str) -> Example:
        asked, replied = Message(role="user", content=f"message {row}"), Message(role="assistant", content=label)
        return Example(row=row, messages=(asked, replied), label=label)

    examples = [labelled(1, "card lost"), labelled(2, "card"), labelled(3, "Card lost"), labelled(4, "card lost or stolen")]
    monkeypatch.setattr(pushed, "heldout_examples", examples)
    monkeypatch.setattr(generate, "answer", answer)
    measured = label_accuracy.measure(pushed)
    assert [row["adapter_right"] for row in measured.rows] == [True, False, True, False]
    assert [row["base_right"] for row in measured.rows] == [False, False, False, True]
    assert {(row["base_active"], row["adapter_active"]) for row in measured.rows} == {((), ("default",))}
    assert (measured.scores[0].base, measured.scores[0].adapter) == (0.25, 0.5)


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
    assert accepted == ["loss", "side_by_side"]


# ---- the job ---------------------------------------------------------------------------------------------------------------


def wait(home: Path, run: str, seconds: float = 180) -> RunView:
    import time

    limit = time.monotonic() + seconds
    while runs.view(home, run).active and time.monotonic() < limit:
        time.sleep(0.2)
    return runs.view(home, run)


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
