"""Where a model looked is where the answer comes from, and nowhere where there is nothing to tell."""

from __future__ import annotations

import torch

from loralab.runtimes.vision.heads.classes import ClassHead
from loralab.runtimes.vision.saliency import saliency


def features(pixels: torch.Tensor) -> list[torch.Tensor]:
    """Three scales of the picture itself, two channels each: what is bright in red, and what is bright in blue."""
    both = pixels[:, [0, 2]]
    return [torch.nn.functional.avg_pool2d(both, at) for at in (1, 2, 4)]


def head() -> ClassHead:
    """Red speaks for the first class, blue for the second."""
    found = ClassHead((2, 2, 2), 2)
    with torch.no_grad():
        found.out.weight.copy_(torch.tensor([[1.0, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 1]]))
    return found


def picture() -> torch.Tensor:
    """Red at the upper left, blue at the lower right."""
    made = torch.zeros(1, 3, 32, 32)
    made[:, 0, 4:12, 4:12] = 200
    made[:, 2, 20:28, 20:28] = 200
    return made


def test_each_class_is_seen_where_its_colour_is():
    first, second = (saliency(features, head(), picture(), kind) for kind in (0, 1))
    assert first.shape == second.shape == (32, 32)
    assert first.max() == second.max() == 1
    assert first[2:14, 2:14].sum() > 0.99 * first.sum()
    assert second[18:30, 18:30].sum() > 0.99 * second.sum()


def test_a_head_that_does_not_look_at_places_shows_none():
    blind = head()
    with torch.no_grad():
        blind.out.weight.zero_()
    assert not saliency(features, blind, picture(), 0).any()


def test_the_head_and_what_is_learned_stay_as_they_were():
    model = head()
    saliency(features, model, picture(), 0)
    assert all(weight.grad is None for weight in model.parameters())
