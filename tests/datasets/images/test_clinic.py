"""Medical pictures are taken in as they are looked at, and nothing that is written tells who somebody is."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab.core.errors import UserError
from loralab.datasets.images.clinic import dicom as clinic_dicom
from loralab.datasets.images.door import is_pictures, load_pictures, mask_of, parts, profile_pictures
from loralab.datasets.images.opened import picture
from tests.datasets.images.made import adds_up, encoded, packed, pixels, png, write

pytest.importorskip("pydicom")

from tests.datasets.images.dicoms import NAME, NUMBER, dicom

TRACES = ("roebuck", "janette", "hx-4711", "elsewhere", "meredith", "19560312", "20240102", "acme imaging", "downstairs")


def grey(seed: int) -> np.ndarray:
    return pixels(seed)[..., 0].astype(np.uint16) * 16


def clinic(people: int = 8, each: int = 3) -> dict[str, bytes | str]:
    """Class folders of patients with telling names, half of them ill."""
    files: dict[str, bytes | str] = {}
    for person in range(people):
        kind = ("ill", "well")[person % 2]
        for n in range(each):
            name = f"{NAME}{'abcdefghijkl'[person]}"
            made = dicom(grey(10 * person + n), PatientID=f"{NUMBER}-{person}", PatientName=name)
            files[f"Janette hospital/{kind}/Roebuckson_{person}_{n}.dcm"] = made
    return files


def everything(folder: Path) -> bytes:
    """All names and all bytes below a folder."""
    names = "\n".join(path.relative_to(folder).as_posix() for path in folder.rglob("*")).encode()
    return names + b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nothing_that_is_written_or_told_names_anybody(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = packed(
        tmp_path / "Janette Roebuckson HX-4711.zip", clinic() | {"report.pdf": b"Janette Roebuckson", "Janette.csv": "file,notes\n"}
    )
    profile = profile_pictures(path, home)
    found = load_pictures(path, home)
    adds_up(found)
    written = everything(home).lower()
    told = profile.model_dump_json().lower() + repr(found).lower()
    for trace in TRACES:
        assert trace.encode() not in written, trace
        assert trace not in told, trace
    assert profile.medical
    assert found.medical
    assert found.labels == ("ill", "well")
    assert len(found.examples) == 24
    secret = home / "datasets" / "pictures" / "secret"
    if os.name == "posix":
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_reports_beside_files_without_endings_are_not_read_for_their_words(tmp_path: Path) -> None:
    """As a clinic's disc has them: no endings, an index, letters about the patients."""
    bare = {name.removesuffix(".dcm"): made for name, made in clinic().items()}
    index = b"\0" * 128 + b"DICM Roebuckson"
    path = packed(tmp_path / "disc.zip", bare | {"DICOMDIR": index, "report.pdf": b"%PDF-1.4 Roebuckson", "letter.docx": b"Janette"})
    assert is_pictures(path)
    found = load_pictures(path, tmp_path / "home")
    adds_up(found)
    assert found.medical
    assert len(found.examples) == 24
    letters = packed(tmp_path / "letters.zip", {f"{n}.txt": "Dear all, " * 50 for n in range(12)} | {"Makefile": "x", "COPYING": "y"})
    assert not is_pictures(letters)


def test_patients_stay_together_and_cannot_be_told_elsewhere(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", clinic(people=12))
    found, other = load_pictures(path, tmp_path / "one"), load_pictures(path, tmp_path / "two")
    groups = {example.group for example in found.examples}
    assert len(groups) == 12
    assert not groups & {example.group for example in other.examples}
    assert groups == {example.group for example in load_pictures(path, tmp_path / "one").examples}
    split = parts(found, 0.2, 0)
    sides = [{example.group for example in part} for part in (split.learn, split.watch, split.heldout)]
    assert sum(map(len, sides)) == 12
    assert len(split.heldout) >= 8


def test_what_was_taken_in_needs_the_original_no_more(tmp_path: Path) -> None:
    path = write(tmp_path / "folder", clinic())
    profile = profile_pictures(path, tmp_path / "home")
    again = Path(profile.path)
    assert again != path
    assert is_pictures(again)
    for file in path.rglob("*.dcm"):
        file.unlink()
    found = profile_pictures(again, tmp_path / "home")
    assert found.id == profile.id
    assert found.medical


def test_the_receipt_counts_what_was_removed_and_holds_no_value(tmp_path: Path) -> None:
    found = load_pictures(packed(tmp_path / "a.zip", clinic()), tmp_path / "home")
    receipt = json.loads((found.root / "receipt.json").read_text())
    assert receipt["removed"]["PatientName"] == 48  # one more in a sequence
    assert receipt["removed"]["private entries"] == 48
    assert receipt["removed"]["PatientID"] == 24
    assert (receipt["pictures"], receipt["patients"]) == (24, 8)
    assert "medical_receipt" in {problem.code for problem in found.findings}
    assert found.tags[0] == {
        "Modality": "DX",
        "ViewPosition": "PA",
        "PatientSex": "F",
        "Age": "60-69",
    }  # no body part that is no listed word


@pytest.mark.parametrize(
    ("entries", "warned"),
    [
        ({}, False),
        ({"BurnedInAnnotation": "YES"}, True),
        ({"Modality": "US"}, True),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, False),
    ],
)
def test_writing_in_pictures_is_warned_of(tmp_path: Path, entries: dict[str, Any], warned: bool) -> None:
    files = {f"{('a', 'b')[n % 2]}x/{n}.dcm": dicom(grey(n), **entries) for n in range(12)}
    found = load_pictures(write(tmp_path / "set", files), tmp_path / "home")
    assert ("burned_in_text" in {problem.code for problem in found.findings}) is warned


def test_folders_named_after_patients_are_refused(tmp_path: Path) -> None:
    files = {
        f"{name}/{n}.dcm": dicom(grey(n), PatientName=f"{name}^X", PatientID=f"{name}") for name in ("Miller", "Smith") for n in range(8)
    }
    with pytest.raises(UserError) as refused:
        load_pictures(packed(tmp_path / "a.zip", files), tmp_path / "home")
    assert refused.value.problem.code == "patients_as_classes"
    assert b"miller" not in everything(tmp_path / "home").lower()


def test_masks_and_tables_of_medical_pictures(tmp_path: Path) -> None:
    values = np.zeros((24, 32), np.uint8)
    values[5:9] = 255
    files: dict[str, bytes | str] = {f"images/jane_{n}.dcm": dicom(grey(n), PatientID=str(n)) for n in range(10)}
    files |= {f"masks/jane_{n}.png": encoded(values) for n in range(10)}
    found = load_pictures(packed(tmp_path / "masks.zip", files), tmp_path / "home")
    assert found.task == "segment"
    assert mask_of(found, found.examples[0]).sum() == 4 * 32
    files = {f"x/IM{n:04d}": dicom(grey(n), PatientID=str(n // 2)) for n in range(20)}
    files["labels.csv"] = "\n".join(["file,diagnosis", *(f"IM{n:04d},{('ill', 'well')[n // 10]}" for n in range(20))])
    found = load_pictures(packed(tmp_path / "table.zip", files), tmp_path / "home")
    assert found.labels == ("ill", "well")
    assert len({example.group for example in found.examples}) == 10
    assert b"jane" not in everything(tmp_path / "home").lower()


def test_where_two_things_are_possible_both_are_taken_in(tmp_path: Path) -> None:
    values = np.zeros((24, 32), np.uint8)
    values[5:9] = 255
    files: dict[str, bytes | str] = {}
    for n in range(20):
        kind = ("benign", "malignant")[n % 2]
        files |= {f"{kind}/{n}.dcm": dicom(grey(n), PatientID=str(n)), f"{kind}/{n}_mask.png": encoded(values)}
    profile = profile_pictures(packed(tmp_path / "a.zip", files), tmp_path / "home")
    assert not profile.certain
    chosen = load_pictures(Path(profile.path), tmp_path / "home", {"task": "classify"})
    assert chosen.labels == ("benign", "malignant")
    with pytest.raises(UserError, match="original"):
        load_pictures(Path(profile.path), tmp_path / "home", {"task": "detect"})


def opened(**more: Any) -> clinic_dicom.Slice:
    ramp = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
    return clinic_dicom.opened(dicom(ramp, **more))


def test_grey_values_are_windowed_and_inverted_as_the_file_says() -> None:
    plain = opened(WindowCenter=384.5, WindowWidth=257).pixels
    assert (plain.ravel()[:256] == 0).all()
    assert (plain.ravel()[513:] == 255).all()
    assert plain.ravel()[384] == pytest.approx(128, abs=1)
    assert np.array_equal(opened(WindowCenter=384.5, WindowWidth=257, PhotometricInterpretation="MONOCHROME1").pixels, 255 - plain)
    sloped = opened(WindowCenter=384.5 * 2 - 100, WindowWidth=513, RescaleSlope=2, RescaleIntercept=-100).pixels
    assert np.abs(sloped.astype(int) - plain).max() <= 1
    bare = opened().pixels
    assert bare.min() == 0
    assert bare.max() == 255
    assert np.all(np.diff(bare.ravel().astype(int)) >= 0)
    bright = opened(WindowCenter=[384.5, 9], WindowWidth=[257, 3]).pixels
    assert np.array_equal(bright, plain)


def test_files_of_every_make_open() -> None:
    values = grey(3)
    usual = clinic_dicom.opened(dicom(values)).pixels
    makes: list[dict[str, Any]] = [{"preamble": False, "implicit": True}, {"preamble": False}, {"implicit": True}, {"packed": True}]
    for make in makes:
        assert np.array_equal(clinic_dicom.opened(dicom(values, **make)).pixels, usual), make
    coloured = pixels(4)
    assert np.array_equal(clinic_dicom.opened(dicom(coloured)).pixels, coloured)
    film = np.stack([grey(n) for n in range(5)])
    found = clinic_dicom.opened(dicom(film))
    assert found.frames == 5
    assert np.array_equal(found.pixels, clinic_dicom.opened(dicom(film[2])).pixels)


def test_a_film_is_one_picture_and_what_is_damaged_is_counted(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        f"{('a', 'b')[n % 2]}x/{n}.dcm": dicom(np.stack([grey(n), grey(n + 50)]), PatientID=str(n)) for n in range(12)
    }
    files |= {"ax/cut.dcm": dicom(grey(99))[:-400], "ax/noise.dcm": b"x" * 300, "DICOMDIR": b"\0" * 128 + b"DICM", "bx/extra.png": png(70)}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path / "home")
    adds_up(found)
    assert len(found.examples) == 13
    assert len(found.loaded.left_out) == 1
    assert "several_frames" in {problem.code for problem in found.findings}
    assert picture(found.root / found.examples[0].media[0]).size == (32, 24)


def test_without_the_part_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(clinic_dicom.importlib, "import_module", absent)
    path = packed(tmp_path / "a.zip", {f"ax/{n}.dcm": b"\0" * 128 + b"DICM" for n in range(12)})
    with pytest.raises(UserError) as refused:
        load_pictures(path, tmp_path / "home")
    assert refused.value.problem.code == "no_pydicom"
    assert refused.value.problem.part
