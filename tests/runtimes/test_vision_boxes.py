"""The head for boxes: its weights by seed, its loss against the formulas written out plainly, its decoding, and what it can learn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loralab.runtimes.vision.heads.boxes import STRIDE, BoxHead, Spots, bells_of, giou, picture_loss

CHANNELS = (4, 8, 8, 16)
NONE = torch.zeros(0, 4)


def features(n: int = 2, size: tuple[int, int] = (64, 96), seed: int = 0) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(n, own, size[0] >> i, size[1] >> i, generator=chance) for i, own in enumerate(CHANNELS, 1)]


def spots(found: list[tuple[int, int, int, float, tuple[float, ...]]], classes: int = 2, size: tuple[int, int] = (64, 96)) -> Spots:
    """What a head would say that is sure of `found`: class, row, column, logit, sides."""
    logits = torch.full((1, classes, size[0] // STRIDE, size[1] // STRIDE), -9.0)
    sides = torch.ones(1, 4, size[0] // STRIDE, size[1] // STRIDE)
    for label, row, column, logit, far in found:
        logits[0, label, row, column] = logit
        sides[0, :, row, column] = torch.tensor(far)
    return Spots(logits, sides)


def test_spots_have_a_quarter_of_the_pictures_size_and_sides_lie_outward() -> None:
    found = BoxHead(CHANNELS, 3)(features(), (64, 96))
    assert found.classes.shape == (2, 3, 16, 24)
    assert found.sides.shape == (2, 4, 16, 24)
    assert (found.sides > 0).all()
    assert found.classes.sigmoid().mean() < 0.05, "most spots are nobody's middle"


def test_weights_come_by_seed_and_nothing_else_is_in_it() -> None:
    first, again, other = (BoxHead(CHANNELS, 2, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.classes.weight, other.classes.weight)
    assert set(first.state_dict()) == {name for name, _ in first.named_parameters()}, "an adapter would not hold it"
    assert sum(weight.numel() for weight in BoxHead((16, 24, 40, 112, 320), 80).parameters()) < 1_000_000


def test_a_picture_gives_the_same_alone_and_in_a_batch_learning_and_not() -> None:
    head, found = BoxHead(CHANNELS, 2), features(3)
    together = head.train()(found, (64, 96))
    for i in range(3):
        alone = head.eval()([level[i : i + 1] for level in found], (64, 96))
        torch.testing.assert_close(alone.classes[0], together.classes[i], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(alone.sides[0], together.sides[i], atol=1e-3, rtol=1e-3)


def test_the_loss_of_a_batch_is_that_of_its_pictures() -> None:
    head = BoxHead(CHANNELS, 2)
    out = head(features(3), (64, 96))
    boxes = [torch.tensor([[8.0, 8, 40, 40], [50, 20, 90, 60]]), NONE, torch.tensor([[0.0, 0, 96, 64]])]
    labels = [torch.tensor([0, 1]), torch.zeros(0, dtype=torch.long), torch.tensor([1])]
    together, n = head.loss(out, boxes, labels)
    parts = [head.loss(Spots(out.classes[i : i + 1], out.sides[i : i + 1]), boxes[i : i + 1], labels[i : i + 1]) for i in range(3)]
    assert n == 3
    assert [k for _, k in parts] == [1, 1, 1]
    assert together.item() == pytest.approx(sum(loss.item() for loss, _ in parts), rel=1e-5)


def test_the_classes_loss_is_the_focal_one_spot_by_spot() -> None:
    chance = torch.Generator().manual_seed(1)
    logits, box = torch.randn(2, 16, 24, generator=chance), torch.tensor([[8.0, 8, 48, 40]])
    row, column = 6, 7  # of the middle (28, 24)
    exact = torch.tensor([column + 0.5, row + 0.5]) * STRIDE
    sides = torch.cat((exact - box[0, :2], box[0, 2:] - exact))[:, None, None] + torch.zeros(4, 16, 24)
    bell, expected = bells_of(box, 16, 24)[0], 0.0
    for label in range(2):
        for y in range(16):
            for x in range(24):
                p, near = logits[label, y, x].sigmoid().item(), bell[y, x].item() if label == 1 else 0.0
                one = torch.tensor(p if (label, y, x) == (1, row, column) else 1 - p).log().item()
                expected -= one * ((1 - p) ** 2 if (label, y, x) == (1, row, column) else p**2 * (1 - near) ** 4)
    perfect = sides.clone()
    perfect[:, bell == 0] = 500.0  # no spot beside the bell has a say in the sides
    for y, x in (bell > 0).nonzero().tolist():
        here = (torch.tensor([x, y]) + 0.5) * STRIDE
        perfect[:, y, x] = torch.cat((here - box[0, :2], box[0, 2:] - here))
    assert picture_loss(logits, perfect, box, torch.tensor([1])).item() == pytest.approx(expected, rel=1e-4)
    worse = perfect.clone()
    worse[:, row, column] *= 2
    assert picture_loss(logits, worse, box, torch.tensor([1])).item() > expected + 0.1


def test_boxes_without_area_teach_nothing() -> None:
    out = BoxHead(CHANNELS, 2)(features(1), (64, 96))
    good, label = torch.tensor([[8.0, 8, 48, 40]]), torch.tensor([1])
    flat = torch.cat((good, torch.tensor([[20.0, 20, 20, 20], [30, 40, 60, 40]])))
    with_flat = picture_loss(out.classes[0], out.sides[0], flat, torch.tensor([1, 0, 0]))
    assert torch.equal(with_flat, picture_loss(out.classes[0], out.sides[0], good, label))
    only_flat = picture_loss(out.classes[0], out.sides[0], flat[1:], torch.tensor([0, 0]))
    assert torch.equal(only_flat, picture_loss(out.classes[0], out.sides[0], NONE, torch.zeros(0, dtype=torch.long)))
    assert torch.isfinite(only_flat)


def test_a_bell_is_one_at_the_middle_and_nothing_outside_its_box() -> None:
    boxes = torch.tensor([[8.0, 8, 48, 40], [90, 60, 96, 64], [0, 0, 1, 1]])
    bells = bells_of(boxes, 16, 24)
    assert [tuple(divmod(int(bell.argmax()), 24)) for bell in bells] == [(6, 7), (15, 23), (0, 0)]
    assert bells.amax((1, 2)).tolist() == [1, 1, 1]
    rows, columns = (bells[0] > 0).nonzero().T
    assert columns.min() * STRIDE > 8
    assert columns.max() * STRIDE + STRIDE < 48
    assert rows.min() * STRIDE > 8
    assert rows.max() * STRIDE + STRIDE < 40


def test_of_two_objects_that_claim_a_spot_the_smaller_has_it() -> None:
    boxes, labels = torch.tensor([[0.0, 0, 96, 64], [40, 24, 56, 40]]), torch.tensor([0, 1])
    sides = torch.full((4, 16, 24), 8.0, requires_grad=True)
    row, column = 8, 12  # the middle of both
    loss = picture_loss(torch.zeros(2, 16, 24), sides, boxes, labels)
    (pull,) = torch.autograd.grad(loss, sides)
    assert (pull[:, row, column].abs() < 0.2).all(), "8 pixels each way is nearly the small box"
    assert (pull[:, row, column + 3] < 0).any(), "three spots further the large one asks for more"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [([0, 0, 2, 2], [0, 0, 2, 2], 1.0), ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3), ([0, 0, 1, 1], [3, 0, 4, 1], -0.5)],
)
def test_giou_of_boxes_alike_shifted_and_apart(one: list[float], other: list[float], expected: float) -> None:
    found = giou(torch.tensor([one], dtype=torch.float), torch.tensor([other], dtype=torch.float))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_peaks_become_boxes_best_first() -> None:
    out = spots([(0, 4, 5, 1.0, (10, 8, 12, 14)), (1, 10, 20, 2.0, (30, 20, 99, 99))])
    ((boxes, scores, labels),) = BoxHead(CHANNELS, 2).predict(out)
    assert labels.tolist() == [1, 0]
    assert scores.tolist() == pytest.approx([torch.tensor(2.0).sigmoid().item(), torch.tensor(1.0).sigmoid().item()])
    assert boxes.tolist() == [[52, 22, 96, 64], [12, 10, 34, 32]], "cut at the picture's edge"


def test_one_object_is_found_once_and_its_neighbours_stay() -> None:
    size = (16, 16, 16, 16)
    twins = spots([(0, 5, 5, 2.0, size), (0, 5, 7, 1.0, (24, 16, 8, 16)), (1, 5, 7, 0.5, (24, 16, 8, 16))])
    ((_, _, labels),) = BoxHead(CHANNELS, 2).predict(twins)
    assert labels.tolist() == [0, 1], "two peaks of the same box and class are one object; another class is another"
    beside = spots([(0, 5, 5, 2.0, size), (0, 5, 6, 1.0, size), (0, 5, 10, 1.0, size)])
    ((boxes, _, _),) = BoxHead(CHANNELS, 2).predict(beside)
    assert len(boxes) == 2, "the shoulder of a peak is no object, one that overlaps a little is"


def test_what_is_unlikely_or_too_many_is_left_out() -> None:
    out = spots([(0, y, x, 1.0 + y, (2, 2, 2, 2)) for y in range(0, 16, 3) for x in range(0, 24, 3)])
    head = BoxHead(CHANNELS, 2)
    assert len(head.predict(out)[0][0]) == 6 * 8
    assert len(head.predict(out, most=5)[0][0]) == 5
    assert len(head.predict(out, least=0.95)[0][0]) == 5 * 8
    empty = head.predict(spots([]))[0]
    assert [tuple(part.shape) for part in empty] == [(0, 4), (0,), (0,)]


def test_it_learns_where_squares_lie() -> None:
    chance = torch.Generator().manual_seed(0)
    head, found, boxes, labels = BoxHead(CHANNELS, 2, seed=1), features(4), list[Tensor](), list[Tensor]()
    for i in range(4):
        corners = torch.tensor([[4.0, 8], [52, 24]]) + 4 * torch.randint(0, 4, (2, 2), generator=chance)
        boxes.append(torch.cat((corners, corners + torch.tensor([[24.0, 24], [16, 28]])), 1))
        labels.append(torch.tensor([i % 2, 1]))
        for level, feature in enumerate(found, 1):
            for k, (left, top, right, bottom) in enumerate((boxes[-1] / 2**level).round().int().tolist()):
                feature[i, labels[-1][k], top:bottom, left:right] += 3.0
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    losses: list[float] = []
    for _ in range(25):
        loss, n = head.loss(head(found, (64, 96)), boxes, labels)
        (loss / n).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item() / n)
    assert losses[-1] < 0.3 * losses[0]
    for i, (guessed, _, which) in enumerate(head.predict(head(found, (64, 96)), least=0.3)):
        order, real = which.argsort(stable=True), labels[i].argsort(stable=True)
        if i % 2 == 0:  # one of each class: an order to compare in
            assert which[order].tolist() == labels[i][real].tolist()
            assert giou(guessed[order], boxes[i][real]).min() > 0.6
        assert len(guessed) == 2
