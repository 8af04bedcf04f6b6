"""The memory modes: the same loss and the same gradients whatever is kept, and really less of it; the 8-bit optimiser where it is there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from loralab.core.errors import Unavailable
from loralab.core.events import Adjusted, Noted
from loralab.sessions.full import FullSession
from loralab.sessions.head import TextHead
from loralab.sessions.lora import attach_adapter
from loralab.sessions.recompute import keeping, set_mode
from loralab.sessions.text import TextSession
from loralab.sessions.trace import Pack, Setting, record
from loralab.train import loop
from loralab.train.optim import adamw
from tests.support import models
from tests.support.tiers import grid

pytestmark = pytest.mark.worker

MODES = ("none", "selective", "full")


def loud(family: str, dropout: float = 0.1) -> Any:
    """A model whose adapter speaks, so that every gradient is worth comparing."""
    model: Any = attach_adapter(models.model(family), models.plan(Path("none"), dropout=dropout))
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
    return model


def learned(model: Any, mode: Any) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one pass in a mode."""
    head = TextHead(model.get_base_model())
    head.set_mode(mode, 4)
    model.zero_grad()
    torch.manual_seed(9)
    ids = torch.randint(4, 300, (3, 40))
    torch.manual_seed(11)  # of the dropout
    loss = head.loss(ids, torch.ones_like(ids, dtype=torch.bool))
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", grid(["llama", "gpt2", "falcon_alibi", "falcon_rotary", "gemma2", "qwen3", "phi3"], {"llama", "gemma2"}))
def test_a_mode_changes_no_loss_and_no_gradient(family: str) -> None:
    model = loud(family)
    expected, gradients = learned(model, "none")
    assert max(g.abs().max().item() for g in gradients.values()) > 1e-2
    for mode in ("selective", "full", "none"):  # switched while running, and back again
        loss, found = learned(model, mode)
        assert loss == pytest.approx(expected, rel=1e-6)
        assert max((found[name] - gradient).abs().max().item() for name, gradient in gradients.items()) <= 1e-6


@pytest.mark.parametrize("family", grid(["llama", "gpt2", "falcon_alibi", "gemma2"], {"llama"}))
def test_less_is_kept_the_more_is_computed_again(family: str) -> None:
    """Highest total of what is alive during the pass, counted storage by storage."""
    model = loud(family, dropout=0.0)
    held = {mode: most(model, mode) for mode in MODES}
    assert held["full"] < 0.95 * held["none"]  # of two blocks, whose own memory is most of it
    assert held["full"] < held["selective"] < held["none"]


def most(model: Any, mode: Any) -> int:
    head = TextHead(model.get_base_model())
    head.set_mode(mode, 4)
    ids = torch.randint(4, 300, (4, 100))
    learned = torch.zeros_like(ids, dtype=torch.bool)
    learned[:, -10:] = True  # few, so that the head is not all there is
    plan = models.plan(Path("none"))
    phases = record(model, head, ids, learned, Setting(plan, Pack(4, 100, 40)))
    return max(parts["activations"] for parts in phases.values())


def test_a_run_takes_up_another_mode_and_goes_on_as_if_nothing_had_been(tmp_path: Path, llama: Path, data: Path) -> None:
    """The loop changes the mode between two updates; losses and the adapter are those of the undisturbed run."""
    results = []
    for name in ("steady", "changed"):
        chosen = models.plan(data, dropout=0.1, max_steps=4)
        folder = models.run_folder(tmp_path / name, chosen, llama)
        session = TextSession(chosen, folder)
        run = loop.prepare(session, chosen, folder)
        for number, batches in enumerate(session.steps(0)):
            if number == 4:
                break
            if name == "changed":
                run.change("to see whether it matters", recompute=MODES[(number + 1) % 3])
                assert session.causal_model().is_activation_checkpointing == (session.plan.recompute != "none")
            loop._update(run, batches)
        results.append((models.losses(folder), {k: v.clone() for k, v in session.state().items()}, len(models.told(folder, Adjusted))))
    (losses, state, none), (others, found, changes) = results
    assert (none, changes) == (0, 4)
    assert losses == pytest.approx(others, rel=1e-6)
    assert max((state[name] - found[name]).abs().max().item() for name in state) <= 1e-6


def test_full_tuning_recomputes_too(tmp_path: Path, llama: Path, data: Path) -> None:
    losses = []
    for mode in MODES:
        chosen = models.plan(data, recompute=mode).model_copy(update={"task": "full"})
        session = FullSession(chosen, models.run_folder(tmp_path / mode, chosen, llama))  # pyright: ignore[reportArgumentType]
        assert session.model.is_activation_checkpointing == (mode != "none")
        loss, _ = session.loss(next(iter(session.steps(0)))[0])
        loss.backward()
        losses.append((loss.item(), session.model.lm_head.weight.grad.clone()))
    assert {loss for loss, _ in losses} == {losses[0][0]}
    assert all(torch.allclose(gradient, losses[0][1], atol=1e-6) for _, gradient in losses)


def test_a_model_that_cannot_recompute_says_so() -> None:
    model = models.model("llama")
    model.supports_gradient_checkpointing = False
    set_mode(model, "none", 4)
    with pytest.raises(Unavailable, match="compute again"):
        set_mode(model, "full", 4)


# ---- offload ---------------------------------------------------------------------------------------------------------------


def test_offload_without_a_card_changes_nothing_and_says_so(tmp_path: Path, llama: Path, data: Path) -> None:
    for offload in (True, False):
        chosen = models.plan(data, offload=offload)
        session = TextSession(chosen, folder := models.run_folder(tmp_path / str(offload), chosen, llama))
        said = [note for note in models.told(folder, Noted) if "Offload" in note.text]
        assert len(said) == (offload and session.device.type == "cpu")


def test_offload_on_a_card_puts_into_main_memory_what_the_way_back_needs() -> None:
    """The context is torch's own; that it is the one for cards, and only there, can be seen without one."""
    assert isinstance(keeping(True, torch.device("cuda")), torch.autograd.graph.save_on_cpu)
    assert not isinstance(keeping(True, torch.device("cpu")), torch.autograd.graph.saved_tensors_hooks)
    assert not isinstance(keeping(False, torch.device("cuda")), torch.autograd.graph.saved_tensors_hooks)


# ---- the 8-bit optimiser ---------------------------------------------------------------------------------------------------


@pytest.fixture
def no_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)


def test_without_bitsandbytes_the_8_bit_optimiser_is_refused_in_words(no_bitsandbytes: None) -> None:
    weight = torch.nn.Parameter(torch.zeros(8))
    with pytest.raises(Unavailable, match="optimiser needs a part"):
        adamw([weight], models.plan(Path("none"), optimizer="adamw_8bit"))
    adamw([weight], models.plan(Path("none")))  # and nobody else asks for it


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes, an optional package, is not here")
@pytest.mark.parametrize("name", ["adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"])
def test_an_optimiser_of_bitsandbytes_learns_and_is_saved(name: Any) -> None:
    weight = torch.nn.Parameter(torch.full((64, 128), 3.0))
    optimizer = adamw([weight], models.plan(Path("none"), optimizer=name, learning_rate=0.1))
    for _ in range(50):
        weight.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert weight.abs().max().item() < 1.0
    assert {v.dtype for state in optimizer.parts[0].state.values() for v in state.values() if torch.is_tensor(v) and v.numel() > 4096} == {
        torch.uint8 if name.endswith("8bit") else torch.float32
    }
    twin = torch.nn.Parameter(weight.detach().clone())
    again = adamw([twin], models.plan(Path("none"), optimizer=name, learning_rate=0.1))
    again.load_state_dict(optimizer.state_dict())
    assert again.parts[0].state[twin]["step"] == 50
    for parameter, part in ((weight, optimizer), (twin, again)):
        parameter.square().sum().backward()
        part.step()
    assert torch.equal(weight, twin), "goes on as if it had not been saved"


def test_notes_of_another_kind_of_optimiser_start_anew() -> None:
    weight = torch.nn.Parameter(torch.ones(4))
    one, other = adamw([weight], models.plan(Path("none"))), adamw([weight], models.plan(Path("none")))
    weight.square().sum().backward()
    one.step()
    other.load_state_dict(one.state_dict() | {"kinds": ["AdamW8bit"]})
    assert not other.parts[0].state
    other.load_state_dict(one.state_dict())
    assert other.parts[0].state[weight]["step"] == 1
