"""What a model marked while it learned is drawn later from what was kept, and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from loralab.core.errors import UserError
from loralab.datasets.images.drawn import Mark, Marks
from loralab.datasets.images.kept_marks import FOLDER, MOST_SIDE, keep, kept


def test_boxes_come_back_with_their_names(tmp_path):
    what = Marks(boxes=(Mark("猫 <b>", (1.04, 2.0, 30.0, 40.0), 0.75), Mark("dog", (0.0, 0.0, 5.0, 5.0))))
    again = kept(tmp_path, keep(tmp_path, what))
    assert [mark.label for mark in again.boxes] == ["猫 <b>", "dog"]
    assert again.boxes[0].box == (1.0, 2.0, 30.0, 40.0)
    assert [mark.sure for mark in again.boxes] == [0.75, None]
    assert keep(tmp_path, what) == keep(tmp_path, what), "the same is kept once"


def test_a_mask_comes_back_and_is_no_larger_than_shown(tmp_path):
    mask = np.zeros((2 * MOST_SIDE, 4 * MOST_SIDE), np.uint8)
    mask[: MOST_SIDE // 2] = 3
    again = kept(tmp_path, keep(tmp_path, Marks(mask=mask))).mask
    assert again is not None
    assert again.shape == (MOST_SIDE // 2, MOST_SIDE)
    assert set(np.unique(again[: MOST_SIDE // 8 - 1])) == {3}
    assert set(np.unique(again)) == {0, 3}


@pytest.mark.parametrize("name", ["", "../../job.json", "0123456789abcdef.png", "0123456789abcdef.json"])
def test_nothing_else_is_opened(tmp_path, name):
    (tmp_path.parent / "job.json").write_text("[]", "utf-8")
    place = tmp_path / FOLDER / "0123456789abcdef.json"
    place.parent.mkdir()
    place.write_bytes(b"{not json")
    with pytest.raises(UserError):
        kept(tmp_path, name)
