"""A person's way with pictures in a real browser: a zip, Start, and a picture of their own; what is for texts alone is not there."""

from __future__ import annotations

from zipfile import ZipFile

import pytest

from loralab.runs import runs
from tests.conftest import until
from tests.support.small_pictures import shapes
from tests.ui.test_browser import DRIVEN, LONG, SOON, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]

STEPS, ROUNDS = 6, 3


def shorten(shown):
    """Few updates and a short quick look, in the settings that a plan for pictures has."""
    shown.tab("Plan")
    shown.sees("#model-that-sees", "Starter for pictures")
    shown.sees("#fit", "Picture size")
    shown.page.get_by_role("button", name="Learning: how fast").click()
    for label, value in (("Most updates (steps)", STEPS), ("Rounds of the quick look", ROUNDS)):
        box = shown.page.get_by_label(label)
        box.fill(str(value))
        box.press("Enter")
    shown.tab("Dataset")


def test_three_decisions_lead_from_a_zip_to_a_prediction(window, app, home, tmp_path):
    shown = window()
    shown.page.locator("#drop input[type=file]").set_input_files(shapes(tmp_path / "shapes.zip"))  # the first
    shown.sees("#summary", "Pictures in 3 classes")
    shown.sees(".shots figcaption", "square")
    assert shown.page.locator(".shots img").count() == 12
    assert shown.page.get_by_label("Tell these kinds of pictures apart").is_checked()
    shorten(shown)
    shown.page.get_by_role("button", name="Show the pictures as the model sees them").click()
    shown.sees("#previews .lead", "fitted into 96 pixels")
    shown.page.locator("#start-here").click()  # the second

    shown.sees(".look-on", "At the start", LONG)
    shown.sees("#live", "Finished", LONG)
    (run,) = runs.list_runs(home)
    assert runs.job(home, run).plan["task"] == "classify"
    assert runs.job(home, run).plan["max_steps"] == STEPS
    shown.page.get_by_role("button", name="See what it learned").click()
    shown.sees("#result .half", "Can you use it?")
    shown.sees("#result", "Six pictures it never saw")
    shown.page.locator("#result .look-on img").first.scroll_into_view_if_needed()
    shown.page.wait_for_function("document.querySelector('#result .look-on img').naturalWidth > 0", timeout=SOON)
    assert not shown.page.locator("#talk").is_visible()
    for of_both in ("#against", "#trust"):
        assert shown.page.locator(of_both).is_visible()

    shapes(tmp_path / "more.zip", each=1, seed=7)
    own = tmp_path / "own.png"
    with ZipFile(tmp_path / "more.zip") as packed:
        own.write_bytes(packed.read("square/000.png"))
    shown.page.locator("#try-picture input[type=file]").set_input_files(own)  # the third
    shown.page.locator(".tried-word").wait_for(timeout=LONG)
    assert shown.page.locator(".tried-said .len").count() >= 3
    assert shown.page.locator(".tried figure img").first.evaluate("image => image.naturalWidth") > 0
    until(lambda: not list((home / "cache" / "uploads").rglob("own.png")))  # what was dropped is not kept
    assert not any("torch" in mapped.path.rsplit("/", 1)[-1] for mapped in app[1].memory_maps())

    pick_a_cell(shown)
    shown.page.locator("[data-why]").check()
    shown.page.wait_for_function("document.querySelector('#folds .why-shot img').naturalWidth > 0", timeout=LONG)
    assert not shown.page.locator("#folds .plain-shot").first.is_visible()
    shown.tab("Share")
    shown.sees("#ways", "In Python")
    assert shown.page.get_by_label("In Ollama").count() == 0
    shown.sees("#cost", "about")
    assert shown.page.locator("#make-it").is_enabled()


def pick_a_cell(shown: Window) -> None:
    """Open the pictures behind a number of the table. What is drawn anew once the run has ended takes a click, and the fold, with it."""
    fold = shown.page.locator("#folds summary", has_text="Picture by picture")
    cell, lead = shown.page.locator(".confusion.picks td button").first, shown.page.locator("#folds .lead").filter(has_text="You say")

    def picked() -> bool:
        if not cell.is_visible():
            fold.click()
        cell.click()
        shown.page.wait_for_timeout(1_500)
        return lead.count() == 1 and lead.is_visible()

    until(picked)


DROPPED = """(place, files) => {
  const whole = new DataTransfer();
  for (const [name, bytes] of files) whole.items.add(new File([new Uint8Array(bytes)], name));
  place.dispatchEvent(new DragEvent('drop', {dataTransfer: whole, bubbles: true, cancelable: true}));
}"""


def test_a_whole_folder_and_several_files_go_the_way_of_a_zip(window, home, tmp_path):
    shown = window()
    with ZipFile(shapes(tmp_path / "shapes.zip")) as packed:
        packed.extractall(tmp_path / "Müsli 猫")
    shown.page.locator("[data-folder]").set_input_files(tmp_path / "Müsli 猫")
    shown.sees("#summary", "Pictures in 3 classes")
    (kept,) = (home / "datasets").glob("*/*.zip")
    with ZipFile(kept) as made:
        assert made.testzip() is None
        assert {name.split("/")[0] for name in made.namelist()} == {"Müsli 猫"}
        assert len(made.namelist()) == 60

    shown.page.get_by_role("button", name="Choose other examples").click()
    lines = [["a.csv", list(b"text,label\n" + b"".join(b"good %d,yes\nbad %d,no\n" % (n, n) for n in range(20)))]]
    lines.append(["b.csv", list(b"text,label\n" + b"".join(b"fine %d,yes\npoor %d,no\n" % (n, n) for n in range(20)))])
    shown.page.locator("#drop").evaluate(DROPPED, lines)
    shown.sees("#summary", "pictures.zip")
