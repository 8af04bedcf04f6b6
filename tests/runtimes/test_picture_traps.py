"""What goes wrong with larger bases where a guard is taken away: each trap is shown biting, and each guard holding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.runtimes.vision.picture_model import CARD, PictureCard, load_trained, prepared_by, seeing_model
from loralab.runtimes.vision.tokens import load_tokens
from loralab.runtimes.vision.whole import KINDS, Whole
from loralab.sessions.pictures.model import attach
from loralab.sessions.pictures.self_check import frozen_marks, moved, not_saved
from loralab.tasks.pictures import PicturePlan
from tests.support.seeing_models import tiny

pytestmark = pytest.mark.worker

SIZE = (64, 64)
PLAN = PicturePlan(rank=4, alpha=4)
PIXELS = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
TENSORS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("bases")
    return {family: tiny(place / family, family) for family in ("d_fine", "rf_detr", "eomt", "siglip", "dinov2_with_registers")}


def saved(model: Any, task: str, place: Path, labels: tuple[str, ...] = ("a", "b")) -> Path:
    model.save_pretrained(str(place), safe_serialization=True)
    told = prepared_by(model.get_base_model())
    card = PictureCard(task=task, labels=labels, width=64, height=64, **told)  # type: ignore[arg-type]
    write_atomic(place / CARD, card.model_dump_json())
    return place


def learned(model: Any) -> Any:
    for value in model.parameters():
        if value.requires_grad:
            value.data.add_(0.05 * torch.randn_like(value))
    return model


def test_a_peft_asks_a_detector_with_shared_heads_for_words_and_ours_is_attached(bases: dict[str, Path]) -> None:
    kind = KINDS["d_fine"]
    bare = transformers.DFineForObjectDetection.from_pretrained(bases["d_fine"])
    with pytest.raises((NotImplementedError, ValueError, TypeError)):
        get_peft_model(bare, LoraConfig(r=4, target_modules=kind.targets.replace("backbone\\.", ""), modules_to_save=["class_embed"]))  # type: ignore[arg-type]
    model = attach(seeing_model(bases["d_fine"], "detect", 2, SIZE), PLAN)
    assert any("lora_A" in name for name, _ in model.named_parameters())


def test_b_a_name_that_several_modules_end_with_is_refused(bases: dict[str, Path]) -> None:
    model = seeing_model(bases["rf_detr"], "detect", 2, SIZE)
    model.to_save = ("class_embed",)  # so end enc_out_class_embed, too
    with pytest.raises(ValueError, match="not the name of one module"):
        attach(model, PLAN)
    sees = seeing_model(bases["siglip"], "classify", 2, SIZE)
    sees.backbone.net.head = nn.Linear(2, 2)  # as SigLIP calls the part that looks at the whole
    with pytest.raises(ValueError, match="head"):
        attach(sees, PLAN)


def test_c_means_of_batch_norms_stay_while_it_learns(bases: dict[str, Path]) -> None:
    model: Any = attach(seeing_model(bases["d_fine"], "detect", 2, SIZE), PLAN)
    before = frozen_marks(model)
    model.train()
    model(PIXELS)
    assert moved(before, model, 0) is None
    whole = model.get_base_model()
    assert isinstance(whole, Whole)
    nn.Module.train(whole, True)  # the guard is gone
    model(PIXELS)
    found = moved(before, model, 0)
    assert found is not None
    assert found.code == "base_moved"
    assert any("running_mean" in name for name in found.data["names"])


@pytest.mark.parametrize(("family", "task", "part"), [("rf_detr", "detect", "class_embed"), ("eomt", "segment", "class_predictor")])
def test_d_a_head_that_was_not_saved_is_seen(bases: dict[str, Path], tmp_path: Path, family: str, task: str, part: str) -> None:
    model = learned(attach(seeing_model(bases[family], task, 2, SIZE), PLAN))
    adapter, shown = saved(model, task, tmp_path / "adapter"), PIXELS.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    assert not_saved(model, bases[family], adapter, shown, 0) is None
    kept = load_file(adapter / TENSORS)
    save_file({name: value for name, value in kept.items() if part not in name}, adapter / TENSORS)
    found = not_saved(model, bases[family], adapter, shown, 0)
    assert found is not None
    assert any(part in name for name in found.data["missing"])


def test_e_classes_lie_beside_the_weights_and_other_ones_are_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    model = learned(attach(seeing_model(bases["eomt"], "segment", 2, SIZE), PLAN))
    adapter = saved(model, "segment", tmp_path / "adapter")
    _, card = load_trained(bases["eomt"], adapter)
    assert card.labels == ("a", "b")
    saved(model, "segment", adapter, labels=("a", "b", "c"))
    with pytest.raises(UserError, match="cannot be loaded on its model"):
        load_trained(bases["eomt"], adapter)


@pytest.mark.parametrize(("family", "task"), [("siglip", "classify"), ("dinov2_with_registers", "segment"), ("eomt", "segment")])
def test_f_any_size_is_looked_at_which_the_bare_network_refuses(bases: dict[str, Path], family: str, task: str) -> None:
    wide = torch.rand(1, 3, 64, 160) * 255
    model = seeing_model(bases[family], task, 1, (160, 64))
    assert model(wide) is not None
    if family == "siglip":
        bare = transformers.SiglipVisionModel.from_pretrained(bases["siglip"])
        with pytest.raises((ValueError, RuntimeError)):
            bare(wide)


@pytest.mark.parametrize(("family", "task"), [("rf_detr", "detect"), ("d_fine", "detect"), ("eomt", "segment")])
def test_g_there_are_as_many_answers_as_pictures_and_a_batch_may_be_split(bases: dict[str, Path], family: str, task: str) -> None:
    model = seeing_model(bases[family], task, 2, SIZE).eval()
    said = model(PIXELS)
    assert len(model.head.predict(said)) == 2
    boxes = [torch.tensor([[4.0, 4.0, 40.0, 40.0]]), torch.zeros(0, 4)]
    kinds = [torch.tensor([1]), torch.zeros(0, dtype=torch.long)]
    masks = torch.zeros(2, 64, 64, dtype=torch.long)
    masks[0, 10:40, 10:40] = 1
    masks[1, :, :20] = 255

    def loss(at: slice) -> tuple[torch.Tensor, int]:
        given = model(PIXELS[at])
        return model.head.loss(given, boxes[at], kinds[at]) if task == "detect" else model.head.loss(given, masks[at])

    together, n = loss(slice(0, 2))
    apart = loss(slice(0, 1))[0] + loss(slice(1, 2))[0]
    assert n == 2
    assert torch.allclose(together, apart, rtol=1e-3)


def test_h_every_patch_has_a_part_in_what_is_said(bases: dict[str, Path]) -> None:
    """With the first token alone the last layer's patches would have no gradient, and nothing could be told of where it looked."""
    backbone = load_tokens(bases["dinov2_with_registers"], SIZE, pooled=True)
    held: list[torch.Tensor] = []
    last = backbone.net.encoder.layer[-1]

    def keep(_module: Any, _given: Any, made: torch.Tensor) -> torch.Tensor:
        held.append(made.detach().requires_grad_())
        return held[-1]

    last.register_forward_hook(keep)
    backbone(PIXELS)[0].square().sum().backward()
    assert held[0].grad is not None
    assert held[0].grad[:, backbone.first :].abs().sum(-1).min() > 0
    width = backbone.net.config.hidden_size
    held.clear()
    backbone(PIXELS)[0][:, :width].sum().backward()
    assert held[0].grad is not None
    assert held[0].grad[:, backbone.first :].abs().max() == 0, "the first token alone"


def test_a_file_that_lacks_weights_is_refused_and_never_filled_with_chance(bases: dict[str, Path], tmp_path: Path) -> None:
    there = tmp_path / "torn"
    there.mkdir()
    for file in bases["dinov2_with_registers"].iterdir():
        (there / file.name).write_bytes(file.read_bytes())
    kept = load_file(there / "model.safetensors")
    save_file(
        {name: value for name, value in kept.items() if "layer.2." not in name}, there / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(UserError, match="incomplete"):
        load_tokens(there, SIZE, pooled=True)
    (there / "config.json").write_text("{", "utf-8")
    with pytest.raises(UserError, match="damaged"):
        seeing_model(there, "classify", 2, SIZE)


def test_what_nobody_labelled_teaches_nothing(bases: dict[str, Path]) -> None:
    model = seeing_model(bases["eomt"], "segment", 1, SIZE).eval()
    said = tuple(one.detach().requires_grad_() for one in model(PIXELS[:1]))
    masks = torch.zeros(1, 64, 64, dtype=torch.long)
    masks[0, 32:] = 255
    masks[0, 5:20, 5:20] = 1
    model.head.loss(said, masks)[0].backward()
    grad = said[1].grad
    assert grad is not None
    half = grad.shape[-2] // 2
    assert grad[..., half + 1 :, :].abs().max() == 0
    assert grad[..., :half, :].abs().max() > 0
