"""A page that looks at pictures as a visitor meets it, in a real browser: it says what the program beside the exported model says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loralab.exports.page import document, pictures
from loralab.exports.pictures.held import heldout
from loralab.exports.pictures.program import by_onnx, classify, detect, segment
from loralab.runtimes.vision.picture_model import read_card
from tests.support import pages, picture_runs
from tests.support.pages import Visitor, changed, visit
from tests.ui.test_browser import CHROMIUM, DRIVEN, playwright

pytest.importorskip("onnxruntime", reason="there is no onnxruntime for this Python")
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]
PROGRAMS: dict[str, Any] = {"classify": classify, "detect": detect, "segment": segment}
NEAR = 2e-3


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=pages.SWITCHES)
        yield chromium
        chromium.close()


Made = Callable[[str], tuple[picture_runs.Made, Path]]


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run and its page, written by the format itself; what the gate finds is tested in test_making.py."""
    known: dict[str, tuple[picture_runs.Made, Path]] = {}

    def found(task: str) -> tuple[picture_runs.Made, Path]:
        if task not in known:
            made = picture_runs.made(tmp_path_factory.mktemp(task), task)
            target = made.home / "made"
            target.mkdir()
            told = pictures.export(made.source("fp32"), target, lambda phase: None)
            known[task] = (made, target / told["file"])
        return known[task]

    return found


def odd_pictures(folder: Path) -> list[Path]:
    """A large one, one that is partly see-through, one that lies on its side, one of a few pixels."""
    random = np.random.default_rng(5)
    smooth = Image.fromarray(random.integers(0, 256, (14, 20, 3), dtype=np.uint8)).resize((1003, 701), Image.Resampling.BICUBIC)
    smooth.save(folder / "large.png")
    clear = smooth.resize((120, 90)).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((120, 90)))
    clear.save(folder / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth.resize((160, 100)).save(folder / "side.png", exif=exif)
    smooth.resize((7, 5)).save(folder / "tiny.png")
    return sorted(folder.glob("*.png"))


def look(shown: Visitor, file: Path, number: int) -> list[tuple[str, str]]:
    """Give it a picture; returns what it lists: label and value."""
    shown.page.get_by_label("Drop a picture here, or choose one").set_input_files(file)
    shown.page.locator(f"#answer[data-done='{number}']").wait_for(timeout=pages.LONG)
    rows = shown.page.locator("#classes li").all()
    return [(row.get_attribute("data-label"), row.get_attribute("data-value")) for row in rows]


def agrees(task: str, wanted: dict[str, Any], found: list[tuple[str, str]]) -> bool:
    if task == "detect":
        boxes = [[float(v) for v in value.split()] for _, value in found]
        same = [label.partition(". ")[2] for label, _ in found] == [one["label"] for one in wanted["things"]]
        return same and np.allclose(boxes, [one["box"] for one in wanted["things"]], atol=0.5)
    shares = wanted["probabilities" if task == "classify" else "shares"]
    return shares.keys() == {label for label, _ in found} and all(abs(shares[label] - float(value)) < NEAR for label, value in found)


@pytest.mark.parametrize("task", sorted(PROGRAMS))
def test_it_answers_as_the_program_beside_the_model(browser: Any, page_of: Made, tmp_path: Path, task: str) -> None:
    made, page = page_of(task)
    shown = visit(browser, page.as_uri())
    assert "Ready" in shown.state()
    assert shown.green
    parts = document.parts_into(page, tmp_path)
    model = by_onnx.load(parts[pictures.MODEL].parent)
    (tmp_path / "odd").mkdir()
    held = heldout(made.source("fp32"), read_card(made.adapter)).files
    assert held
    for number, file in enumerate([*held[:2], *odd_pictures(tmp_path / "odd")], 1):
        wanted, found = PROGRAMS[task].answer(model, file), look(shown, file, number)
        assert agrees(task, wanted, found), (file.name, wanted, found)
    assert shown.outside() == set()
    assert all(url.startswith(("file:", "blob:", "data:")) for url in shown.asked)
    assert shown.errors == []


def test_a_changed_model_never_gets_a_green_tick(browser: Any, page_of: Made, tmp_path: Path) -> None:
    _, page = page_of("classify")
    shown = visit(browser, changed(page, pictures.MODEL, tmp_path / "changed.html", resealed=False).as_uri())
    assert "This file is damaged" in shown.state()
    shown = visit(browser, changed(page, pictures.MODEL, tmp_path / "sealed.html", resealed=True).as_uri())
    assert shown.state() in (
        "This browser gets it wrong.",
        "This browser cannot run it. Try a newer Chrome, Edge or Firefox, or a device with more memory.",
    )
    assert not shown.green


def test_what_is_no_picture_is_told_and_a_narrow_screen_is_enough(browser: Any, page_of: Made, tmp_path: Path) -> None:
    _, page = page_of("classify")
    shown = visit(browser, page.as_uri(), 390, 844, color_scheme="dark")
    shown.state()
    (tmp_path / "words.png").write_text("words", "utf-8")
    shown.page.get_by_label("Drop a picture here, or choose one").set_input_files(tmp_path / "words.png")
    shown.page.get_by_text("no picture that this browser can open").wait_for(timeout=pages.LONG)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
