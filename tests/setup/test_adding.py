"""Adding an optional part while the app runs: whole and opened, or as if nothing had been asked for.

A real venv and a real installer; the packages are tiny ones made here, and a folder stands in for the internet.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pip
import pytest

from loralab.core.errors import Unavailable
from loralab.machine import add_part as adding_parts
from loralab.machine.add_part import PartProgress, add_part
from loralab.setup import adding, steps
from loralab.setup.adding import Cancelled, add
from loralab.setup.environment import Place, may_write
from loralab.setup.progress import SetupProblem
from tests.setup.test_setup import _ensure, _wheel, installed, place

__all__ = ["place"]
pytestmark = pytest.mark.worker

PART = {"name": "extra", "title": "Extra", "modules": [["extra"]], "packages": ["extra"], "brings": ["brought"]}


def never() -> bool:
    return False


@pytest.fixture
def listed(place: Place, tmp_path: Path) -> Callable[..., Place]:
    """The project with one optional part, of a package that opens or does not."""

    def make(**broken: str) -> Place:
        (place.root / "data").mkdir()
        (place.root / "data" / "parts.json").write_text(json.dumps([PART | {"modules": [[broken.get("module", "extra")]]}]))
        with (place.root / "requirements.txt").open("a") as pins:
            pins.write(f"extra=={broken.get('version', '1.0')}\n")
        (place.root / "loralab" / "setup" / "constraints.txt").write_text("brought==2.0\n")
        for name, version in (("extra", "1.0"), ("brought", "2.0")):
            _wheel(tmp_path / "wheels", name, version)
        return place

    return make


def small_venv(place: Place) -> None:
    """A venv with this Python's own installer in it, which is made in no time."""
    place.runs([sys.executable, "-m", "venv", "--without-pip", place.venv])
    (place.site / "pip").symlink_to(Path(pip.__file__).parent)


def contents(place: Place) -> set[str]:
    return {path.name for path in place.site.iterdir()}


def test_a_part_is_opened_and_then_moved_in_with_what_it_brings(listed):
    place = listed()
    small_venv(place)
    seen: list[tuple[str, float]] = []
    add(place, "extra", lambda at: seen.append((at.title, at.fraction)), never)
    assert {"extra": "1.0", "brought": "2.0"}.items() <= installed(place).items()
    assert place.runs([place.python, "-c", "import extra, brought; assert extra.version == '1.0'"])
    titles = [title for title, _ in seen]
    assert titles.index("Opening it for the first time") < titles.index("Putting it in its place")
    assert [fraction for _, fraction in seen] == sorted(fraction for _, fraction in seen)
    assert not list(place.log.parent.glob("adding-*")), "nothing is left aside"


@pytest.mark.parametrize(("broken", "words"), [({"version": "9.9"}, "no build for this Python"), ({"module": "no_such"}, "does not open")])
def test_one_that_cannot_be_had_or_does_not_open_changes_nothing(listed, monkeypatch, broken, words):
    place = listed(**broken)
    small_venv(place)
    before = contents(place)
    if "module" in broken:
        monkeypatch.setattr(adding, "_modules", lambda part, aside: part["modules"][0])
    with pytest.raises(SetupProblem, match=words) as caught:
        add(place, "extra", lambda at: None, never)
    assert "add it again" in str(caught.value)
    assert contents(place) == before


@pytest.mark.parametrize("title", ["Fetching", "Opening it for the first time"])
def test_cancelled_at_any_time_it_leaves_the_environment_as_it_was(listed, title):
    place = listed()
    small_venv(place)
    before, at = contents(place), [""]
    with pytest.raises(Cancelled):
        add(place, "extra", lambda progress: at.__setitem__(0, progress.title), lambda: at[0] == title)
    assert contents(place) == before
    add(place, "extra", lambda at: None, never)
    assert "extra" in installed(place)


def test_what_cannot_be_moved_whole_goes_out_again(listed, monkeypatch):
    place, replace, moved = listed(), os.replace, []
    small_venv(place)
    before = contents(place)

    def full(one: Path, other: Path) -> None:
        if Path(other).parent == place.site:
            moved.append(other)
            if len(moved) == 3:
                raise OSError(28, "No space left on device")
        replace(one, other)

    monkeypatch.setattr(adding.os, "replace", full)
    with pytest.raises(SetupProblem, match="disk filled up"):
        add(place, "extra", lambda at: None, never)
    assert len(moved) == 3
    assert contents(place) == before


@pytest.mark.parametrize(("version", "there"), [("1.0", True), ("9.9", False)])
def test_set_up_brings_the_parts_along_and_a_part_that_cannot_be_had_stops_nothing(listed, version, there):
    place = listed(version=version)
    python, said = _ensure(place)
    assert python == place.python
    assert ("extra" in installed(place)) == there
    assert ("Extra is left out" in said) != there
    assert _ensure(place)[1] == "", "and it is not tried again at every start"


def test_the_app_hears_it_in_words_and_how_far_it_is(listed, monkeypatch):
    place = listed(version="9.9")
    small_venv(place)
    part = adding_parts.part_of("onnx").model_copy(update={"name": "extra", "title": "Extra", "present": False, "obstacle": ""})
    monkeypatch.setattr(adding_parts, "part_of", lambda name: part)
    seen: list[PartProgress] = []
    with pytest.raises(Unavailable) as caught:
        add_part("extra", seen.append, never, place)
    assert caught.value.problem.part == "extra"
    assert caught.value.problem.todo.startswith("Install Python 3.12")
    assert seen[0].words == "Fetching: Extra"
    assert not add_part("extra", seen.append, lambda: True, place).present, "cancelled: no error, and not there"
    part = part.model_copy(update={"obstacle": "There is no build."})
    with pytest.raises(Unavailable, match="There is no build"):
        add_part("extra", seen.append, never, place)


def test_where_nothing_may_be_written_the_environment_goes_to_the_users_own_folder(place, tmp_path, monkeypatch):
    assert may_write(tmp_path)
    assert not may_write(Path("/proc"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "Eigene Däten"))
    monkeypatch.setattr("loralab.setup.environment.may_write", lambda folder: folder != place.root)
    monkeypatch.setattr(steps, "short_of_space", lambda folder, size: None)
    python, _ = _ensure(place)
    assert python.is_relative_to(tmp_path / "Eigene Däten" / "LoRALab")
    assert not place.root.joinpath(".venv").exists()
    assert not place.root.joinpath(".setup").exists()
