"""Learning over a base in 4 or 8 bits on a processor: as over the numbers it stands for, and whatever comes between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from loralab.core.events import Incident, Stepped
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import load_base
from loralab.runtimes.four_bits import is_squeezed, numbers, unpacked
from loralab.runtimes.squeezed_base import Tall
from loralab.sessions import job
from loralab.sessions.head import TextHead
from loralab.sessions.lora import attach_adapter
from loralab.sessions.recompute import set_mode
from loralab.train import checkpointing
from tests.support import models
from tests.support.faults import PLACES, Fault, difference

pytest.importorskip("bitsandbytes")
pytestmark = [pytest.mark.usefixtures("no_verdict"), pytest.mark.worker]

HERE = torch.device("cpu")


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def halved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base in a file of 16-bit numbers, as most are."""
    folder = models.model_folder(tmp_path_factory.mktemp("halved"), request.param)
    load_base(folder, "fp32", HERE).to(torch.bfloat16).save_pretrained(folder)  # pyright: ignore[reportArgumentType]
    return folder


def loud(model: Any) -> Any:
    torch.manual_seed(3)
    adapted: Any = attach_adapter(model, models.plan(Path("none")))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
    return adapted


def learned(model: Any, mode: Any = "none") -> tuple[float, list[torch.Tensor]]:
    """Loss and gradients of one pass."""
    set_mode(model.get_base_model(), mode, 4)
    model.zero_grad()
    torch.manual_seed(9)
    ids = torch.randint(4, 200, (3, 40))
    loss = TextHead(model.get_base_model()).loss(ids, torch.ones_like(ids, dtype=torch.bool))
    loss.backward()
    return loss.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("kind", ["nf4", "fp4", "int8"])
def test_loss_and_gradient_are_those_of_the_numbers_it_stands_for(halved: Path, kind: str) -> None:
    base: Any = load_base(halved, kind, HERE)
    plain: Any = load_base(halved, "fp32", HERE)
    twins, rounded = dict(plain.named_modules()), 0
    for name, module in base.named_modules():
        weight = getattr(module, "weight", None)
        if weight is None or not is_squeezed(weight):
            continue
        twin = twins[name]
        shape = tuple(weight.quant_state.shape) if hasattr(weight, "quant_state") else tuple(weight.shape)
        found = unpacked(weight, torch.empty(shape))
        found = found if isinstance(twin, torch.nn.Linear) else found.T.contiguous()  # GPT-2 keeps its matrices sideways
        assert (found - twin.weight).abs().max() <= (0.01 if kind == "int8" else 0.2) * twin.weight.abs().max()
        twin.weight.data, rounded = found, rounded + 1
    body = base.base_model
    assert rounded == (4 * len(body.h) if hasattr(body, "h") else 7 * len(body.layers))
    assert isinstance(base.get_output_embeddings(), Tall)
    assert base.get_input_embeddings().weight.dtype == torch.bfloat16
    assert sum(map(numbers, base.parameters())) == sum(p.numel() for p in plain.parameters())
    expected, gradients = learned(loud(plain))
    adapted = loud(base)
    for mode in ("none", "selective", "full"):
        loss, found = learned(adapted, mode)
        assert loss == pytest.approx(expected, rel=1e-5)
        assert len(found) == len(gradients)
        for mine, other in zip(found, gradients, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


class Killed(BaseException):
    """The process is gone."""


def test_a_run_in_4_bits_that_was_short_of_memory_killed_and_resumed_ends_as_one_that_was_not(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = models.model_folder(tmp_path / "base")
    settings: dict[str, Any] = {"precision": "nf4", "optimizer": "paged_adamw_32bit", "max_steps": 6, "eval_every": 2}
    settings |= {"rank": 16, "checkpoint_minutes": 60.0}

    def run(name: str) -> RunFolder:
        folder = models.run_folder(tmp_path / name, models.plan(data, **settings), base)
        job.run(folder)
        return folder

    whole = run("whole")
    losses = models.losses(whole)
    assert losses[-1] < losses[0]
    healthy = checkpointing.wait_for_room

    def kill(now: Any) -> None:
        if now.progress.step == 5:
            raise Killed
        healthy(now)

    with monkeypatch.context() as patch:
        PLACES["forward"](Fault(2), patch)
        patch.setattr(checkpointing, "wait_for_room", kill)
        with pytest.raises(Killed):
            run("broken")
    torch.manual_seed(5)  # another process has other random numbers
    broken = run("broken")
    assert [event.step for event in models.told(broken, Stepped)] == [1, 2, 3, 4, 5, 5, 6]
    assert [event.code for event in models.told(broken, Incident)][:1] == ["out_of_memory"]
    assert difference(broken, whole) <= 1e-5
