"""The probe before the first update: it foretells the peak, lowers the budget where it would not fit, and leaves no trace in the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from loralab.core.events import Adjusted, Probed, Stepped
from loralab.sessions import job, text
from loralab.sessions.text import TextSession
from loralab.train import loop, memory, probe
from loralab.train.probe import Fit
from loralab.train.session import Batch
from tests.support import models, tiny

pytestmark = [pytest.mark.usefixtures("no_verdict"), pytest.mark.worker]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny models and short runs are probed too; the allocator of the tests' own process stays as it is."""
    monkeypatch.setattr(memory, "settle", lambda weights: False)
    monkeypatch.setattr(memory, "SETTLED_FROM", 0)
    monkeypatch.setattr(probe, "WORTH", 0)
    monkeypatch.setattr(probe, "AMPLE", float("inf"))


def _worst(session: TextSession) -> Batch:
    batch = session.worst_batch()
    assert batch is not None
    return batch


def notes(folder: Any) -> list[Probed]:
    return models.told(folder, Probed)


def test_a_probed_run_is_the_run_without_a_probe_to_the_bit(
    tmp_path: Path, llama: Path, data: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"dropout": 0.1, "max_steps": 4}
    probed = models.run_folder(tmp_path / "probed", models.plan(data, **settings), llama)
    with_probe = job.run(probed)
    assert notes(probed)[0].bytes
    monkeypatch.setattr(probe, "WORTH", 1 << 30)
    plain = models.run_folder(tmp_path / "plain", models.plan(data, **settings), llama)
    without = job.run(plain)
    assert notes(plain)[0].skipped
    assert models.losses(probed) == models.losses(plain)
    ours, theirs = (load_file(Path(result["adapter"]) / "adapter_model.safetensors") for result in (with_probe, without))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_what_is_not_worth_it_is_skipped_with_a_reason(tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = models.plan(data, max_steps=2)
    session = TextSession(chosen, small := models.run_folder(tmp_path / "small", chosen, llama))
    loop.prepare(session, chosen, small)
    assert [note.skipped for note in notes(small)] == ["the model is so small that it fits anywhere"]
    monkeypatch.setattr(memory, "SETTLED_FROM", 0)
    short = models.run_folder(tmp_path / "short", chosen, llama)
    session.folder = short
    loop.prepare(session, chosen, short)
    assert "so short" in notes(short)[0].skipped
    monkeypatch.setattr(probe, "WORTH", 0)
    counted = session.predicted_bytes(_worst(session))
    for free, skipped in ((int(8 * counted), True), (int(2 * counted), False)):
        monkeypatch.setattr(probe, "_free", lambda run, free=free: free)
        session.folder = ample = models.run_folder(tmp_path / f"free {free}", chosen, llama)
        loop.prepare(session, chosen, ample)
        assert ("is free" in notes(ample)[0].skipped) is skipped


def test_a_budget_that_would_not_fit_is_lowered_in_words(
    tmp_path: Path, llama: Path, data: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is said to have just enough for one row; the run goes on with fewer tokens at once and the same effective batch."""
    monkeypatch.setattr(probe, "_free", lambda run: 100_000_000)
    monkeypatch.setattr(probe, "_measure", lambda run, worst: (Fit((0.0, 1.0), (memory.used(), memory.used() + 60.0)), 100_000_000))
    chosen = models.plan(data, max_steps=2, micro_batch=8, recompute="none")
    folder = models.run_folder(tmp_path / "run", chosen, llama)
    result = job.run(folder)
    (change,) = models.told(folder, Adjusted)
    longest = _worst(TextSession(chosen, folder)).largest
    assert change.setting == "token_budget"
    assert change.step == 0
    assert longest <= change.after < 8 * longest
    assert "memory may be used" in change.reason
    assert result["steps"] == 2
    assert sum(step.tokens for step in models.told(folder, Stepped)) > 0


def test_where_there_is_room_nothing_is_changed(tmp_path: Path, llama: Path, data: Path, eager: None) -> None:
    chosen = models.plan(data, max_steps=2)
    folder = models.run_folder(tmp_path / "run", chosen, llama)
    loop.prepare(TextSession(chosen, folder), chosen, folder)
    (found,) = notes(folder)
    assert found.bytes < found.free
    assert models.told(folder, Adjusted) == []


def test_the_larger_try_is_not_made_where_the_smaller_says_no(
    tmp_path: Path, llama: Path, data: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def thirsty(session: Any, batch: Any) -> int:
        tried.append(batch.cost)
        return memory.used() + 10**15

    monkeypatch.setattr(probe, "_try", thirsty)
    chosen = models.plan(data, max_steps=2)
    folder = models.run_folder(tmp_path / "run", chosen, llama)
    session = TextSession(chosen, folder)
    whole = _worst(session).cost
    loop.prepare(session, chosen, folder)
    assert len(tried) == 1
    assert tried[0] <= whole / 2


def test_a_try_that_runs_out_of_memory_ends_the_probe_and_not_the_run(
    tmp_path: Path, llama: Path, data: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(session: Any, batch: Any) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(probe, "_try", greedy)
    folder = models.run_folder(tmp_path / "run", models.plan(data, max_steps=2), llama)
    assert job.run(folder)["steps"] == 2
    assert "out of memory" in notes(folder)[0].failed


def test_a_model_that_cannot_be_counted_is_not_probed(
    tmp_path: Path, llama: Path, data: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(*_: Any, **__: Any) -> Any:
        raise NotImplementedError("no kernel for meta")

    monkeypatch.setattr(text, "trace", strange)
    folder = models.run_folder(tmp_path / "run", models.plan(data, max_steps=2), llama)
    assert job.run(folder)["steps"] == 2
    assert "cannot be counted" in notes(folder)[0].skipped


def test_a_line_through_two_tries() -> None:
    fit = Fit((100.0, 300.0), (1050.0, 1260.0))
    assert fit.at(400.0) == 1365
    assert fit.at(100.0) == 1050
    assert Fit((100.0,), (1050.0,)).at(400.0) == 1350  # one try: what is counted more is taken to be needed
    assert Fit((100.0, 300.0), (1050.0, 1000.0)).at(400.0) == 1000  # noise does not make memory negative


@pytest.mark.worker
def test_the_prediction_holds_on_a_model_of_some_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """13 million weights, in this process: the peak of real updates is within a tenth of what was foretold."""
    size = tiny._tokenizer(tmp_path / "model", 512)
    config = AutoConfig.for_model(
        "llama",
        vocab_size=size,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=8,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=3,
        pad_token_id=1,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    monkeypatch.setattr(probe, "AMPLE", float("inf"))
    chosen = models.plan(models.uneven_file(tmp_path / "data.jsonl", 100), max_steps=50, max_length=256, micro_batch=16, effective_batch=32)
    folder = models.run_folder(tmp_path / "run", chosen, tmp_path / "model")
    session = TextSession(chosen, folder)
    before = memory.used()
    run = loop.prepare(session, chosen, folder)
    (found,) = notes(folder)
    largest = _worst(session)
    memory.reset_peak()
    loop._update(run, [largest])
    loop._update(run, [largest, largest])  # the optimiser's notes are there by now, and gradients beside the second part
    assert found.bytes - before == pytest.approx(memory.peak() - before, rel=0.1)
