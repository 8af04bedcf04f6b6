"""A person's way through the app in a real browser: three decisions, a real worker, a verdict, an answer; and files that mean harm."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from loralab.core.paths import CHECKOUT
from loralab.runs import runs
from loralab.setup.opened import opens
from tests.conftest import until

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: the app was not driven in a browser")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
DRIVEN = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: the app was not driven in a browser"),
]
pytestmark = [*DRIVEN, pytest.mark.browser]
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SECRET = "open-sesame"
SOON, LONG = 60_000, 420_000  # milliseconds; other programs may keep this machine busy
STEPS = 120  # long enough that the run still goes on when the second window opens, also on a quick and idle machine


@dataclass
class Window:
    """A browser page with what went wrong in it and whom it talked to."""

    page: Any
    address: str
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def sees(self, selector: str, text: str, timeout: int = SOON) -> None:
        self.page.locator(selector).filter(has_text=text).first.wait_for(state="visible", timeout=timeout)


@pytest.fixture
def app(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The link of the app as launch.py starts it: a process of its own on a free port of loopback, behind a secret."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (home / "app.out").open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "ui.app", "--port", str(port), "--home", str(home)],
            cwd=CHECKOUT,
            stdout=out,
            stderr=out,
            env=os.environ | {"LORALAB_SECRET": SECRET},
        )
    link = f"http://127.0.0.1:{port}/?key={SECRET}"
    try:
        until(lambda: child.poll() is not None or opens(link))
        assert child.poll() is None, (home / "app.out").read_text("utf-8")
        yield link, psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for a file's tests; each window has a context of its own, so nothing is remembered from test to test."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def window(app: tuple[str, psutil.Process], browser: Any) -> Iterator[Callable[..., Window]]:
    """Opens a window on the app; what any of them complained about is looked at in the end."""
    opened: list[Window] = []

    def open_window(width: int = 1280, height: int = 800) -> Window:
        page = browser.new_context(viewport={"width": width, "height": height}).new_page()
        found = Window(page, app[0])
        page.on("console", lambda message: found.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("request", lambda request: found.hosts.add(urlsplit(request.url).hostname or ""))
        page.goto(app[0])
        page.locator(".sample").first.wait_for(state="attached", timeout=SOON)
        opened.append(found)
        return found

    yield open_window
    for context in browser.contexts:
        context.close()
    assert [error for each in opened for error in each.errors] == []
    assert {host for each in opened for host in each.hosts} <= {"127.0.0.1", ""}


def test_three_decisions_lead_to_a_proven_adapter_and_an_answer(window, app, home):
    first = window()
    first.page.get_by_role("button", name="A class chatbot").click()
    first.sees("#previews", "What the model will see")
    first.page.get_by_label("Answer like these examples").check()
    shorten(first)
    first.tab("Dataset")
    first.page.locator("#start-here").click()

    first.sees("#live", "Update ", LONG)
    first.page.locator("#loss-chart .js-plotly-plot .scatterlayer path").first.wait_for(state="attached", timeout=SOON)
    (run,) = runs.list_runs(home)
    assert runs.job(home, run).plan["max_steps"] == STEPS
    assert runs.job(home, run).plan["learn_from"] == "replies"

    first.page.context.close()  # the browser is gone, the run is not
    assert runs.view(home, run).active
    second = window()
    second.sees("#live", "Update ", SOON)
    assert second.page.get_by_role("tab", name="Train").get_attribute("aria-selected") == "true"

    second.sees("#live", "Finished", LONG)
    second.page.get_by_role("button", name="See what it learned").click()
    second.sees("#verdict", "Measured on")
    second.sees("#answers", "no adapter on")
    second.sees("#answers", "adapter on: default")
    assert second.page.locator(".check.bad").count() == 0
    ask(second, "How are you?")

    second.tab("Share")
    second.page.get_by_label("Keep it").check()
    second.sees("#way-words", "pass it on")
    second.page.get_by_role("button", name="Make it").click()
    second.sees("#made-card", "It lies here", LONG)
    with second.page.expect_download(timeout=LONG) as download:
        second.page.get_by_text("Download the zip").click(timeout=LONG)
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"
    assert not any("torch" in Path(mapped.path).name for mapped in app[1].memory_maps())


@pytest.mark.nightly
def test_a_run_is_stopped_and_resumed_where_it_was(window, home):
    shown = window()
    shown.page.get_by_role("button", name="Sort customer messages").click()
    shown.sees("#previews", "What the model will see")
    shown.page.locator("#start-here").click()
    shown.sees("#live", "Update ", LONG)
    (run,) = runs.list_runs(home)
    shown.page.get_by_role("button", name="Stop and save").click()
    shown.sees("#live", "Stopped", LONG)
    stopped_at = runs.view(home, run).step
    assert 0 < stopped_at < runs.view(home, run).total_steps
    shown.page.get_by_role("button", name="Resume").click()
    shown.sees("#story", f"Went on from update {stopped_at}", LONG)
    until(lambda: runs.view(home, run).step > stopped_at)
    assert runs.list_runs(home) == [run], "the same run goes on, no second one is made"
    shown.page.get_by_role("button", name="Stop and save").click()
    shown.sees("#live", "Stopped", LONG)
    assert runs.view(home, run).trained


@pytest.mark.nightly
def test_columns_that_could_be_read_in_two_ways_are_asked_for_and_remembered(window, home, tmp_path):
    file = tmp_path / "verses.jsonl"
    rows = [{"title": f"Song {i}", "author": f"Poet {i % 7}", "poem": f"Line {i},\nand a second line."} for i in range(60)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    shown = window()
    shown.page.locator("input[type=file]").first.set_input_files(file)
    shown.page.get_by_text("Which column is what?").wait_for(timeout=SOON)
    shown.sees("#previews", "Line 0,")
    for label, column in (("What is asked", "author"), ("What should be answered", "title")):
        shown.page.get_by_label(label, exact=True).click()
        shown.page.get_by_role("option", name=column, exact=True).last.click()
    shown.page.get_by_role("button", name="Use these columns").click()
    shown.sees("#previews", "Poet 0")
    assert shown.page.locator("#previews").filter(has_text="Line 0,").count() == 0
    (roles,) = json.loads((home / "datasets" / "roles.json").read_text("utf-8")).values()
    assert roles == {"prompt": "author", "answer": "title"}


def shorten(shown: Window) -> None:
    """Set a small number of updates in the folded settings."""
    shown.tab("Plan")
    shown.sees("#fit", "Does it fit?")
    shown.page.get_by_role("button", name="Learning: how fast").click()
    box = shown.page.get_by_label("Most updates (steps)")
    box.fill(str(STEPS))
    box.press("Enter")


def ask(shown: Window, question: str) -> None:
    """Ask in the chat and wait for an answer that has ended."""
    shown.page.locator("#question textarea").fill(question)
    shown.page.keyboard.press("Enter")
    answer = shown.page.locator("#chat [data-testid=bot]")
    answer.wait_for(state="visible", timeout=LONG)
    until(lambda: answer.inner_text().strip())


@pytest.mark.nightly
def test_a_file_that_is_no_text_is_refused_in_plain_words_and_the_page_goes_on(window, tmp_path):
    rubbish = tmp_path / "examples.csv"
    rubbish.write_bytes(bytes(range(256)) * 40)
    shown = window()
    shown.page.locator("#drop input[type=file]").set_input_files(rubbish)
    toast = shown.page.locator(".toast-body").first
    toast.wait_for(state="visible", timeout=SOON)
    assert "examples.csv is not a text file." in toast.inner_text()
    assert "Traceback" not in toast.inner_text()
    toast.get_by_test_id("toast-close").click()
    shown.page.get_by_role("button", name="A class chatbot").click()
    shown.sees("#previews", "What the model will see")


@pytest.mark.nightly
def test_markup_in_examples_is_shown_and_never_run(window, tmp_path):
    harm = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> {{value}} ${document.title='taken'}"
    rows = [{"question": f"Row {n}: {harm}", "answer": f"{harm} {n}"} for n in range(30)]
    file = tmp_path / "harm.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    shown = window()
    shown.page.locator("#drop input[type=file]").set_input_files(file)
    shown.sees("#previews", "<script>document.title='taken'</script> {{value}} ${document.title='taken'}")
    assert shown.page.title() == "LoRALab"
    assert shown.page.locator("#previews img").count() == 0


@pytest.mark.nightly
def test_the_page_fits_a_narrow_screen(window):
    shown = window(390, 844)
    shown.page.get_by_role("heading", name="What should it learn from?").wait_for(timeout=SOON)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    until(lambda: shown.page.locator("#side.open").count() == 0)
    for name in ("Plan", "Train", "Evaluate", "Share"):
        shown.tab(name)
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.nightly
def test_the_chosen_look_is_remembered(window):
    shown = window()
    shown.page.locator(".looks").get_by_text("Dark").click()
    until(lambda: shown.page.evaluate("document.body.classList.contains('dark')"))
    again = window()
    until(lambda: again.page.evaluate("document.body.classList.contains('dark')"))
