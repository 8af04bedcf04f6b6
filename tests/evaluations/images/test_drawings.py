"""What is said of drawings: more alike only where both measures say so, and a copy is called one where it is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loralab.evaluations.images import intervals
from loralab.evaluations.images.copies import nearest
from loralab.evaluations.images.drawings_judged import SeenDrawings, energy, judge_drawings

N, SIDE = 16, 8


def pictures(seed: int, n: int = N, bright: float = 0.5) -> Any:
    random = np.random.default_rng(seed)
    return (255 * np.clip(bright + random.normal(0, 0.2, (n, SIDE, SIDE, 3)), 0, 1)).astype(np.uint8)


def looks(pixels: Any) -> Any:
    """Their mean colours, in the place of what a network sees."""
    means = pixels.reshape(len(pixels), -1, 3).mean(1) / 255 + 0.01
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def reddish(pixels: Any, share: float) -> Any:
    return (pixels * np.array([1.0, 1 - share, 1 - share])).astype(np.uint8)


def seen(**change: Any) -> SeenDrawings:
    names = [f"{n}.png" for n in range(N)]
    about: dict[str, Any] = {
        "labels": (),
        "rows": list(range(1, N + 1)),
        "media": names,
        "groups": [""] * N,
        "loss_before": np.linspace(0.3, 0.4, N),
        "loss_after": np.linspace(0.2, 0.29, N),
        "places": list(range(N)),
        "captions": [f"mystyle {n}" for n in range(N)],
        "before": pictures(1),
        "after": reddish(pictures(2), 0.6),
        "files_before": names,
        "files_after": names,
        "recalled": reddish(pictures(3, 4), 0.6),
        "recalled_files": names[:4],
        "recalled_captions": names[:4],
        "real": reddish(pictures(4), 0.6),
        "learned": reddish(pictures(5), 0.6),
        "learned_media": names,
        "trigger": "mystyle",
    }
    return SeenDrawings(**about | change)


def test_it_learned_where_loss_and_looks_both_say_so() -> None:
    found = judge_drawings(seen(), looks)
    assert found.conclusion is not None
    assert (found.conclusion.learned, found.conclusion.usable, found.verdict) == ("yes", "you_decide", "better")
    assert {score.name: score.verdict for score in found.scores} == {"look": "better", "loss": "better"}
    assert found.conclusion.but == ""


@pytest.mark.parametrize(
    ("change", "learned"),
    [
        ({"after": pictures(1)}, "unknown"),  # it is less wrong about noise, and draws what it always drew
        ({"loss_after": np.linspace(0.3, 0.4, N)}, "unknown"),
        ({"loss_after": np.linspace(0.5, 0.6, N)}, "no"),
        ({"before": reddish(pictures(1), 0.6), "after": pictures(2)}, "no"),
        ({"after": pictures(1), "loss_after": np.linspace(0.3, 0.4, N)}, "no"),
    ],
)
def test_one_measure_alone_is_never_enough(change: dict[str, Any], learned: str) -> None:
    found = judge_drawings(seen(**change), looks)
    assert found.conclusion is not None
    assert found.conclusion.learned == learned
    assert found.verdict != "better"


def test_few_pictures_prove_nothing() -> None:
    few = {name: getattr(seen(), name)[:6] for name in ("rows", "media", "groups", "loss_before", "loss_after", "places", "captions")}
    few |= {name: getattr(seen(), name)[:6] for name in ("before", "after", "files_before", "files_after", "real")}
    found = judge_drawings(seen(**few), looks)
    assert found.conclusion is not None
    assert found.conclusion.learned == "unknown"


def test_copies_are_named_and_say_what_they_are_of() -> None:
    after = reddish(pictures(2), 0.6)
    after[3] = np.clip(seen().learned[7].astype(int) + 2, 0, 255).astype(np.uint8)
    found = judge_drawings(seen(after=after), looks)
    rows = next(iter(found.rows.values()))
    assert [row["row"] for row in rows if row["copy"]] == [4]
    assert rows[3]["nearest"] == "7.png"
    assert rows[3]["alike"] > 0.95
    assert found.conclusion is not None
    assert "1 of 16 drawings is nearly a copy" in found.conclusion.but


def test_a_model_that_knows_its_pictures_by_heart_is_told_of() -> None:
    found = judge_drawings(seen(recalled=seen().learned[:4]), looks)
    assert found.conclusion is not None
    assert "it copies 4 of 4 pictures" in found.conclusion.but
    assert [one["copy"] for one in found.tables["look"]["recalled"]] == [True] * 4


def test_pictures_that_are_alike_by_nature_make_no_drawing_a_copy() -> None:
    """Coins of one mint: what is kept aside is as close to the learned ones as any drawing."""
    coin = pictures(9, 1)

    def minted(seed: int) -> Any:
        return np.clip(coin + np.random.default_rng(seed).normal(0, 4, (N, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)

    other = pictures(10, 4)
    learned = np.concatenate([minted(1), other])
    assert not nearest(minted(2), learned, minted(3)).copies.any()
    assert nearest(learned[:2], learned, minted(3)).copies.all()


def test_the_energy_distance_is_nothing_for_the_same_and_grows_with_what_is_apart() -> None:
    random = np.random.default_rng(0)
    near, far = random.normal(0, 0.1, (40, 3)), random.normal(1, 0.1, (40, 3))
    assert intervals.plain(energy(near, random.normal(0, 0.1, (40, 3))), 40) < 0.02
    assert intervals.plain(energy(near, far), 40) > 0.5
