"""A trained model looks at single pictures: what it says is in the picture's own pixels, by what lies beside its weights; and before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from loralab.core.errors import UserError
from loralab.models.vision import bundled_folder
from loralab.runtimes.vision.backbone import load_backbone
from loralab.runtimes.vision.picture_model import CARD, PictureCard, PictureModel, head_for
from loralab.serve.looking import QUICK_LOOK, Eye
from loralab.sessions.pictures.model import attach
from loralab.tasks.pictures import PicturePlan

LABELS = {"classify": ("cat", "dog", "fox"), "segment": ("cell",), "detect": ("cell", "dust")}


def trained(place, task, *, quick_look=False, **card):
    """The folder of an adapter whose weights are of chance, none of them nothing."""
    torch.manual_seed(0)
    tuned = attach(PictureModel(load_backbone(bundled_folder()), head_for(task, len(LABELS[task]))), PicturePlan(rank=4))
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name or ".head.modules_to_save" in name:
                weight.add_(torch.randn_like(weight) * 0.02)
            if task == "detect" and weight.shape == (len(LABELS[task]),):
                weight.zero_()  # a fresh head is sure that there is nothing
    folder = place / "artifacts" / "adapter"
    tuned.save_pretrained(str(folder))
    (folder / CARD).write_text(PictureCard(task=task, labels=LABELS[task], width=64, height=64, **card).model_dump_json(), "utf-8")
    if quick_look:
        head = head_for(task, len(LABELS[task]), seed=9)
        save_file({name: value.contiguous() for name, value in head.state_dict().items()}, folder.parent / QUICK_LOOK)
    return folder


@pytest.fixture
def photo():
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (50, 90, 3), dtype=np.uint8))


def test_classes_are_told_with_their_chances_at_the_temperature_of_the_card(tmp_path, photo):
    warm = Eye(bundled_folder(), trained(tmp_path / "warm", "classify")).look(photo)[0]["chances"]
    calm = Eye(bundled_folder(), trained(tmp_path / "calm", "classify", temperature=8.0)).look(photo)[0]["chances"]
    assert sum(warm) == pytest.approx(1)
    assert np.argmax(warm) == np.argmax(calm)
    assert max(calm) < max(warm)


def test_before_is_the_quick_look_where_it_was_kept_and_the_model_is_the_same_afterwards(tmp_path, photo):
    eye = Eye(bundled_folder(), trained(tmp_path, "classify", quick_look=True))
    after = eye.look(photo)[0]["chances"]
    before = eye.look(photo, trained=False)[0]["chances"]
    plain = PictureModel(load_backbone(bundled_folder()), head_for("classify", 3, seed=9)).eval()
    with torch.inference_mode():
        shown = torch.from_numpy(_seen(photo)[None]).permute(0, 3, 1, 2).float()
        expected = plain(shown).softmax(1)[0].tolist()
    assert eye.knows_before
    assert before == pytest.approx(expected, abs=1e-5)
    assert eye.look(photo)[0]["chances"] == after != before


def test_without_a_quick_look_only_the_adapter_is_switched_off(tmp_path, photo):
    eye = Eye(bundled_folder(), trained(tmp_path, "classify"))
    after, before = eye.look(photo)[0]["chances"], eye.look(photo, trained=False)[0]["chances"]
    assert not eye.knows_before
    assert before != pytest.approx(after, abs=1e-6)
    assert eye.look(photo)[0]["chances"] == after


def test_a_mask_is_as_large_as_the_picture_and_follows_the_threshold(tmp_path, photo):
    _, all_of_it = Eye(bundled_folder(), trained(tmp_path / "all", "segment", threshold=0.0)).look(photo)
    _, none_of_it = Eye(bundled_folder(), trained(tmp_path / "none", "segment", threshold=1.01)).look(photo)
    assert all_of_it is not None
    assert none_of_it is not None
    assert all_of_it.shape == none_of_it.shape == (50, 90)
    assert all_of_it.all()
    assert not none_of_it.any()


def test_boxes_below_the_threshold_are_not_told_and_the_others_lie_in_the_picture(tmp_path, photo):
    many = Eye(bundled_folder(), trained(tmp_path / "many", "detect", threshold=0.0)).look(photo)[0]["boxes"]
    sure = Eye(bundled_folder(), trained(tmp_path / "sure", "detect", threshold=0.99)).look(photo)[0]["boxes"]
    assert len(sure) < len(many)
    assert {label for label, _, _ in many} <= set(LABELS["detect"])
    assert all(0 <= left <= right <= 90 and 0 <= top <= bottom <= 50 for _, (left, top, right, bottom), _ in many)


def test_a_folder_without_its_card_is_refused_in_words(tmp_path):
    folder = trained(tmp_path, "classify")
    (folder / CARD).unlink()
    with pytest.raises(UserError, match="no model for pictures"):
        Eye(bundled_folder(), folder)


def _seen(photo):
    from loralab.datasets.images.views import seen

    return seen(photo, (64, 64)).pixels
