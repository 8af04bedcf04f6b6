"""Learning from pairs: the loss is that of TRL's DPOTrainer, the batches are exact, and what is preferred is told with its interval."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from loralab.core.errors import UserError
from loralab.core.events import Evaluated, Incident, Noted
from loralab.core.jobs import TrainJob
from loralab.core.paths import STARTER
from loralab.evaluations import Judging
from loralab.evaluations.shared.conclusion import Ground, conclude
from loralab.evaluations.text import preference
from loralab.lab import Lab
from loralab.runs import runs
from loralab.sessions import job
from loralab.sessions.preference import IDS, LEARNED, PreferenceSession
from loralab.tasks import parse_plan
from tests.support import judged, models, pairs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairs.written(tmp_path_factory.mktemp("pairs") / "pairs.jsonl")


@pytest.fixture
def session(tmp_path: Path, llama: Path, data: Path) -> PreferenceSession:
    found = pairs.opened(tmp_path / "run", llama, data)
    judged.push(found)  # a fresh adapter prefers what the base does: everything would be ln 2
    return found


def first(session: PreferenceSession) -> Any:
    return next(session.steps(0))[0]


def by_hand(session: PreferenceSession, batch: Any) -> float:
    """From the model's own logits, row by row and without padding."""

    def likelihood(row: int) -> float:
        length = batch.tensors[LEARNED][row].nonzero().max() + 1
        ids, learned = batch.tensors[IDS][row, :length], batch.tensors[LEARNED][row, :length]
        chances = session.model(input_ids=ids[None]).logits[0].log_softmax(-1)
        return float(sum(chances[at - 1, ids[at]] for at in range(1, length) if learned[at]))

    n, total = len(batch.rows), 0.0
    with torch.no_grad():
        ours = [likelihood(row) for row in range(2 * n)]
        with session.model.disable_adapter():
            base = [likelihood(row) for row in range(2 * n)]
    for i in range(n):
        margin = (ours[i] - base[i]) - (ours[n + i] - base[n + i])
        total -= math.log(1 / (1 + math.exp(-session.plan.beta * margin)))
    return total


def test_the_loss_is_that_of_direct_preference_optimisation(session: PreferenceSession) -> None:
    batch = first(session)
    loss, n = session.loss(batch)
    assert n == len(batch.rows) == 4
    assert loss.item() == pytest.approx(by_hand(session, batch), abs=1e-4)
    assert loss.item() / n != pytest.approx(math.log(2), abs=1e-3)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in session.state().values())


def test_a_fresh_adapter_prefers_nothing(tmp_path: Path, llama: Path, data: Path) -> None:
    fresh = pairs.opened(tmp_path, llama, data)
    loss, n = fresh.loss(first(fresh))
    assert loss.item() / n == pytest.approx(math.log(2), abs=1e-6)


def test_halves_of_a_batch_add_up_to_it(session: PreferenceSession) -> None:
    batch = first(session)
    halves = session.split(batch)
    assert halves is not None
    with torch.no_grad():
        whole = session.loss(batch)[0].item()
        assert sum(session.loss(half)[0].item() for half in halves) == pytest.approx(whole, abs=1e-4)
    assert (*halves[0].rows, *halves[1].rows) == batch.rows
    single = session.split(halves[0])
    assert single is not None
    assert session.split(single[0]) is None


def test_no_batch_holds_more_padded_tokens_than_the_plan_allows(tmp_path: Path, llama: Path, data: Path) -> None:
    session = pairs.opened(tmp_path, llama, data, token_budget=200, micro_batch=8)
    batches = [batch for step in session.steps(0) for batch in step]
    assert len({row for batch in batches for row in batch.rows}) == len(session.train_examples)
    assert all(batch.tensors[IDS].numel() <= batch.cost <= 200 or len(batch.rows) == 1 for batch in batches)
    worst = session.worst_batch()
    assert worst is not None
    assert worst.cost == max(batch.cost for batch in batches)
    small = session.worst_batch(40)
    assert small is not None
    assert small.tensors[IDS].numel() <= 40


def test_what_has_no_two_answers_is_left_out_and_told(tmp_path: Path, llama: Path) -> None:
    rows = pairs.rows(40)
    rows[3]["rejected"] = rows[3]["chosen"]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    session = pairs.opened(tmp_path / "run", llama, file)
    assert len(session.train_rows) + len(session.heldout_rows) == 39
    assert "1 example" in " ".join(note.text for note in models.told(session.folder, Noted))
    for row in rows:
        row["rejected"] = row["chosen"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(UserError, match="chosen and a rejected"):
        pairs.opened(tmp_path / "other", llama, file)


def test_what_is_preferred_is_counted_with_its_interval(session: PreferenceSession) -> None:
    found = preference.EVALUATION.measure(Judging(session, session.plan))
    score = found.scores[0]
    assert preference.EVALUATION.fits(session.plan, session.heldout_examples)
    assert score.n == len(session.heldout_rows) == len(found.rows)
    assert score.after == sum(row["after"] > 0 for row in found.rows) / score.n
    assert all(row["before"] != row["after"] for row in found.rows)


@pytest.mark.parametrize(
    ("before", "after", "learned", "said"),
    [(29, 41, "yes", "41. Before: 29."), (30, 31, "unknown", "could be chance"), (41, 20, "no", "20. Before: 41.")],
)
def test_the_verdict_tells_whether_it_prefers_the_chosen_more_often(before: int, after: int, learned: str, said: str) -> None:
    score = preference.summarise([i < before for i in range(60)], [i < after for i in range(60)])
    found = conclude(Ground((score.model_copy(update={"main": True}),), (), ()))
    assert found.learned == learned
    assert said in found.learned_words
    assert "Of 100 new ones, expect" in found.learned_words


@pytest.mark.worker
@pytest.mark.filterwarnings("ignore")
def test_trl_computes_the_same_loss(tmp_path: Path, llama: Path, data: Path) -> None:
    from datasets.arrow_dataset import Dataset
    from transformers import PreTrainedTokenizerFast
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    session = pairs.opened(tmp_path / "run", llama, data)
    names = {"eos_token": "<|im_end|>", "pad_token": "<|pad|>"}
    trainer = DPOTrainer(
        model=session.model,
        args=DPOConfig(output_dir=str(tmp_path), beta=session.plan.beta, use_cpu=True, report_to="none", bf16=False, max_length=None),
        train_dataset=Dataset.from_list(pairs.rows(4)),
        processing_class=PreTrainedTokenizerFast(tokenizer_object=session.encoder.tokenizer, **names),
    )
    judged.push(session)  # only now: a trainer takes the adapter as it finds it for what it is held against
    batch = first(session)
    learned = batch.tensors[LEARNED].long()
    lengths = torch.tensor([int(row.nonzero().max()) + 1 for row in batch.tensors[LEARNED]])
    mask = (torch.arange(learned.shape[1])[None] < lengths[:, None]).long()
    inputs = {"input_ids": batch.tensors[IDS], "attention_mask": mask, "completion_mask": learned}
    with torch.no_grad():
        theirs = float(trainer.compute_loss(session.model.train(), inputs))
        ours, n = session.loss(batch)
    assert theirs == pytest.approx(ours.item() / n, abs=1e-4)


@pytest.mark.worker
@pytest.mark.usefixtures("short_answers")
def test_a_stopped_run_on_pairs_ends_as_one_that_was_not(tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pairs.plan(data, max_steps=6)
    once = models.run_folder(tmp_path / "once", whole, llama)
    job.run(once)
    twice = models.run_folder(tmp_path / "twice", whole, llama)
    (twice.path / "stop").touch()
    assert job.run(twice)["outcome"] == "stopped"
    (twice.path / "stop").unlink()
    job.run(models.run_folder(tmp_path / "twice", whole, llama))
    assert models.losses(twice) == models.losses(once)
    assert len(models.losses(once)) == 6
    assert not models.told(once, Incident)


@pytest.mark.worker
def test_the_starter_learns_what_is_preferred_in_a_real_worker(home: Path, data: Path) -> None:
    settings = {"rank": 8, "learning_rate": 1e-3, "epochs": 1, "max_length": 64, "heldout_share": 0.25, "patience": 0}
    plan = parse_plan({"task": "preference", "dataset": str(data), "base_model": "starter", **settings})
    run = runs.start(Lab(home).home, TrainJob(plan=plan.model_dump(), model=str(STARTER)))
    while (view := runs.view(home, run)).active:
        time.sleep(0.1)
    assert view.state == "finished", view.ending
    found = view.conclusion
    assert found is not None
    assert found.learned == "yes", found.learned_words
    assert "prefers the chosen answer" in found.learned_words
    assert next(e for e in view.evaluations if isinstance(e, Evaluated)).loss == pytest.approx(math.log(2), abs=1e-3)
