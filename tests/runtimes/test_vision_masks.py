"""The head for masks: its weights by seed, its loss against the formulas written out plainly, and what it can learn."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loralab.runtimes.vision.heads.masks import IGNORED, MaskHead

CHANNELS = (8, 16, 24)


def features(n: int = 2, size: tuple[int, int] = (32, 64), seed: int = 0) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(n, own, size[0] >> i, size[1] >> i, generator=chance) for i, own in enumerate(CHANNELS, 1)]


def disks(n: int, size: tuple[int, int]) -> Tensor:
    """Masks with a disk of class 1 at another place in each."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([((y - 16).square() + (x - 16 - 8 * i).square() < 80).long() for i in range(n)])


@pytest.mark.parametrize(("n_classes", "out"), [(1, 1), (2, 3), (5, 6)])
def test_logits_have_the_size_asked_for(n_classes: int, out: int) -> None:
    head = MaskHead(CHANNELS, n_classes)
    assert head(features(), (32, 64)).shape == (2, out, 32, 64)
    assert head(features(), (40, 70)).shape == (2, out, 40, 70)
    assert head.predict(head(features(), (32, 64))).shape == (2, 32, 64)


def test_weights_come_by_seed_and_nothing_else_is_in_it() -> None:
    first, again, other = MaskHead(CHANNELS, 1, seed=3), MaskHead(CHANNELS, 1, seed=3), MaskHead(CHANNELS, 1, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.out.weight, other.out.weight)
    assert set(first.state_dict()) == {name for name, _ in first.named_parameters()}, "an adapter would not hold it"
    assert sum(weight.numel() for weight in MaskHead((16, 24, 40, 112, 320), 1).parameters()) < 1_000_000


def test_a_picture_gives_the_same_alone_and_in_a_batch_learning_and_not() -> None:
    head, found = MaskHead(CHANNELS, 2), features(3)
    together = head.train()(found, (32, 64))
    for i in range(3):
        torch.testing.assert_close(head.eval()([level[i : i + 1] for level in found], (32, 64))[0], together[i], atol=1e-4, rtol=1e-4)


def test_the_loss_of_one_class_is_cross_entropy_and_dice() -> None:
    head, masks = MaskHead(CHANNELS, 1), disks(2, (32, 64))
    logits = torch.randn(2, 1, 32, 64, generator=torch.Generator().manual_seed(1))
    found, n = head.loss(logits, masks)
    expected = 0.0
    for logit, mask in zip(logits[:, 0], masks, strict=True):
        p = logit.sigmoid()
        entropy = F.binary_cross_entropy(p, mask.float())
        expected += float(entropy + 1 - 2 * (p * mask).sum() / (p.sum() + mask.sum()))
    assert n == 2
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_several_classes_is_cross_entropy_and_their_mean_dice() -> None:
    head, masks = MaskHead(CHANNELS, 3), disks(1, (32, 64))
    masks[0, :5, :7] = 3  # the picture has classes 1 and 3, not 2
    logits = torch.randn(1, 4, 32, 64, generator=torch.Generator().manual_seed(1))
    p = logits.softmax(1)[0]
    dice = [2 * p[i][masks[0] == i].sum() / (p[i].sum() + (masks[0] == i).sum()) for i in (1, 3)]
    found, _ = head.loss(logits, masks)
    assert found.item() == pytest.approx(float(F.cross_entropy(logits, masks) + 1 - sum(dice) / 2), rel=1e-4)


@pytest.mark.parametrize("n_classes", [1, 2])
def test_pixels_that_are_ignored_have_no_say(n_classes: int) -> None:
    head, masks = MaskHead(CHANNELS, n_classes), disks(1, (32, 64))
    masks[:, :, 40:] = IGNORED
    logits = torch.randn(1, 1 if n_classes == 1 else 3, 32, 64)
    other = logits.clone()
    other[:, -1, :, 40:] += 5
    assert head.loss(logits, masks)[0] == head.loss(other, masks)[0]
    other[:, -1, :, 39] += 5
    assert head.loss(logits, masks)[0] != head.loss(other, masks)[0]


@pytest.mark.parametrize("n_classes", [1, 2])
@pytest.mark.parametrize("value", [0, IGNORED])
def test_empty_and_unlabelled_pictures_neither_break_nor_shout(n_classes: int, value: int) -> None:
    head = MaskHead(CHANNELS, n_classes)
    logits = head(features(1), (32, 64))
    found, n = head.loss(logits, torch.full((1, 32, 64), value))
    found.backward()
    assert n == 1
    assert all(weight.grad is not None and bool(weight.grad.isfinite().all()) for weight in head.parameters())
    empty = found.item()
    assert empty == 0 if value == IGNORED else 0 < empty < 1, "no Dice of what is not there"


def test_a_loss_of_a_batch_is_the_sum_of_its_pictures() -> None:
    head, masks = MaskHead(CHANNELS, 1), disks(3, (32, 64))
    masks[1] = 0
    logits = torch.randn(3, 1, 32, 64)
    alone = sum(head.loss(logits[i : i + 1], masks[i : i + 1])[0].item() for i in range(3))
    assert head.loss(logits, masks)[0].item() == pytest.approx(alone, rel=1e-5)


def test_a_class_that_weighs_more_costs_more_where_it_is_missed() -> None:
    head, masks = MaskHead(CHANNELS, 1), disks(1, (32, 64))
    missed = torch.full((1, 1, 32, 64), -3.0)
    plain, even = head.loss(missed, masks)[0], head.loss(missed, masks, torch.tensor([1.0, 1.0]))[0]
    assert plain == even
    assert head.loss(missed, masks, torch.tensor([1.0, 5.0]))[0] > plain + 0.1


def test_predictions_follow_the_threshold_and_the_likeliest_class() -> None:
    one, several = MaskHead(CHANNELS, 1), MaskHead(CHANNELS, 2)
    logits = torch.tensor([-1.0, 0.2, 3.0]).view(1, 1, 1, 3)
    assert one.predict(logits).tolist() == [[[0, 1, 1]]]
    assert one.predict(logits, threshold=0.9).tolist() == [[[0, 0, 1]]]
    assert several.predict(torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0]]).view(1, 3, 1, 2)).tolist() == [[[1, 2]]]
    assert one.predict(logits).dtype == torch.uint8


@pytest.mark.parametrize("n_classes", [1, 2])
def test_it_learns_shapes_to_the_pixel(n_classes: int) -> None:
    """The finest features are of half the picture's resolution, the answer is of its full one."""
    masks = disks(4, (32, 64))
    if n_classes == 2:
        masks[:, 24:, 10:30] = 2
    picture = F.one_hot(masks, 1 + n_classes).permute(0, 3, 1, 2).float()
    channels = [4 * (1 + n_classes)] + [1 + n_classes] * 2
    found = [F.pixel_unshuffle(picture, 2), F.avg_pool2d(picture, 4), F.avg_pool2d(picture, 8)]
    torch.manual_seed(0)
    head = MaskHead(channels, n_classes)
    before = (head.predict(head(found, (32, 64))) == masks).float().mean()
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(25):
        optimizer.zero_grad()
        summed, n = head.loss(head(found, (32, 64)), masks)
        (summed / n).backward()
        optimizer.step()
    after = (head.predict(head(found, (32, 64))) == masks).float().mean()
    assert before < 0.97
    assert after > 0.99


def test_there_is_no_batch_norm_in_it() -> None:
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in MaskHead(CHANNELS, 1).modules())
