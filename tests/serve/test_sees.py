"""The child that looks at pictures, seen from the app: it starts on demand, keeps no picture, and no failure of it is a traceback."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from loralab.core.errors import LabError, UserError
from loralab.models.vision import bundled_folder
from loralab.serve import sees
from loralab.serve.sees import Eyes
from loralab.serve.sees_job import MOST_SIDE, for_show
from tests.serve.test_looking import LABELS, trained


def photo(folder):
    place = folder / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (50, 90, 3), dtype=np.uint8)).save(place)
    return place


@pytest.fixture
def eyes():
    found = Eyes()
    yield found
    found.close()


def test_making_one_starts_nothing(eyes):
    assert not eyes.alive


def test_the_app_process_stays_without_torch():
    ask = "import sys; import loralab.serve.sees, loralab.serve.sees_job; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_mask_that_is_handed_over_is_no_larger_than_it_is_shown():
    small, large = np.ones((30, 40), np.uint8), np.ones((10, 4 * MOST_SIDE), np.uint8)
    assert for_show(small) is small
    assert max(for_show(large).shape) == MOST_SIDE


@pytest.mark.worker
def test_a_picture_is_looked_at_after_and_before(eyes, tmp_path):
    looked = eyes.look(bundled_folder(), trained(tmp_path, "classify", quick_look=True), photo(tmp_path))
    assert eyes.alive
    assert looked.knows_before
    assert {label for label, _ in looked.after.chances} == set(LABELS["classify"])
    assert looked.after.words == looked.after.chances[0][0]
    assert looked.after.chances != looked.before.chances
    assert looked.drawing.startswith("data:image/webp;base64,")


@pytest.mark.worker
def test_what_is_less_sure_than_the_card_asks_for_is_not_known(eyes, tmp_path):
    looked = eyes.look(bundled_folder(), trained(tmp_path, "classify", unsure_below=1.01), photo(tmp_path))
    assert looked.after.unsure
    assert looked.after.words == "I do not know"


@pytest.mark.worker
def test_masks_and_boxes_are_drawn_and_a_second_model_takes_the_place_of_the_first(eyes, tmp_path):
    masks = eyes.look(bundled_folder(), trained(tmp_path / "masks", "segment", threshold=0.0), photo(tmp_path))
    assert masks.after.shares == (("cell", 1.0),)
    assert masks.after.words == "100 % of it is marked"
    boxes = eyes.look(bundled_folder(), trained(tmp_path / "boxes", "detect", threshold=0.0), photo(tmp_path))
    assert boxes.after.drawing
    assert sum(n for _, n in boxes.after.counts) > 0
    assert [label for label, _ in boxes.key] == list(LABELS["detect"])


@pytest.mark.worker
def test_no_picture_and_no_model_are_said_in_words_and_the_next_picture_is_looked_at(eyes, tmp_path):
    (tmp_path / "letter.png").write_text("Dear all", "utf-8")
    folder = trained(tmp_path, "classify")
    with pytest.raises(UserError, match="no picture"):
        eyes.look(bundled_folder(), folder, tmp_path / "letter.png")
    with pytest.raises(LabError, match="could not look at this picture"):
        eyes.look(tmp_path / "nowhere", folder, photo(tmp_path))
    assert eyes.look(bundled_folder(), folder, photo(tmp_path)).task == "classify"


@pytest.mark.worker
def test_a_child_that_ends_is_said_and_started_again(eyes, tmp_path, monkeypatch):
    folder = trained(tmp_path, "classify")
    monkeypatch.setattr(sees, "IDLE_SECONDS", 0.0)  # it leaves before it has answered
    with pytest.raises(LabError, match="ended while it looked"):
        eyes.look(bundled_folder(), folder, photo(tmp_path))
    monkeypatch.undo()
    assert eyes.look(bundled_folder(), folder, photo(tmp_path)).after.chances


def test_a_file_of_a_clinic_is_looked_at_like_any_picture(eyes, tmp_path):
    dicoms = pytest.importorskip("tests.datasets.images.dicoms")
    grey = np.random.default_rng(1).integers(0, 255, (50, 90), dtype=np.uint8)
    place = tmp_path / "no-ending"
    place.write_bytes(dicoms.dicom(grey))
    folder = trained(tmp_path, "classify")
    looked = eyes.look(bundled_folder(), folder, place)
    assert {label for label, _ in looked.after.chances} == set(LABELS["classify"])
    assert looked.drawing.startswith("data:image/webp")
    assert "Roebuckson" not in looked.model_dump_json()
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(place.read_bytes()[:400])
    with pytest.raises(LabError) as told:
        eyes.look(bundled_folder(), folder, broken)
    assert "Traceback" not in str(told.value)
