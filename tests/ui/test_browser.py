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
CASES = CHECKOUT / "tests" / "datasets" / "cases"
SOON, LONG = 90_000, 420_000  # milliseconds; other programs may keep this machine busy
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
        page.set_default_timeout(SOON)
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
    first.page.get_by_role("button", name="Note down table bookings").click()
    first.sees("#rows", "The first examples")
    first.page.get_by_label("Answer like these examples").check()
    shorten(first)
    first.tab("Dataset")
    first.page.locator("#start-here").click()

    first.sees("#live", "update ", LONG)
    first.page.locator("#curve canvas[aria-label*='is']").wait_for(timeout=SOON)
    (run,) = runs.list_runs(home)
    assert runs.job(home, run).plan["max_steps"] == STEPS
    assert runs.job(home, run).plan["learn_from"] == "replies"

    first.page.context.close()  # the browser is gone, the run is not
    assert runs.view(home, run).active
    second = window()
    second.sees("#live", "update ", SOON)
    assert second.page.get_by_role("tab", name="Train").get_attribute("aria-selected") == "true"

    second.sees("#live", "Finished", LONG)
    second.page.get_by_role("button", name="See what it learned").click()
    second.sees("#result .half", "Can you use it?")
    assert second.page.locator(".check.bad").count() == 0
    ask(second, "How are you?")

    second.tab("Share")
    second.page.get_by_label("Keep it").check()
    second.sees("#way-words", "pass it on")
    second.page.get_by_role("button", name="Make it").click()
    second.sees("#made-card", "It is here", LONG)
    with second.page.expect_download(timeout=LONG) as download:
        second.page.get_by_text("Download the zip").click(timeout=LONG)
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"
    assert not any("torch" in Path(mapped.path).name for mapped in app[1].memory_maps())


@pytest.mark.nightly
def test_a_run_is_stopped_and_resumed_where_it_was(window, home):
    shown = window()
    shown.page.get_by_role("button", name="Sort customer messages").click()
    shown.sees("#rows", "The first examples")
    shown.page.locator("#start-here").click()
    shown.sees("#live", "update ", LONG)
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
def test_a_guess_waits_for_its_answer_and_the_answer_is_remembered(window, home, tmp_path):
    file = tmp_path / "tickets.csv"
    head = "Ticket-ID,Customer,Problem description,What we replied"
    rows = [f"T-{i},Customer {i},My machine {i} does not heat up any more,Please press button {i} for ten seconds" for i in range(60)]
    file.write_text("\n".join([head, *rows]), "utf-8")
    shown = window()
    shown.page.locator("#drop input[type=file]").set_input_files(file)
    shown.sees("#rows", "Is this right?")
    assert shown.page.locator("#rows th.taken").all_text_contents() == ["questionProblem description", "answerWhat we replied"]
    assert shown.page.locator("#start-here").is_disabled()
    shown.page.get_by_role("button", name="No, choose the columns").click()
    shown.page.get_by_label("The question, or what is asked", exact=True).click()
    shown.page.get_by_role("option", name="Customer", exact=True).last.click()
    shown.page.get_by_role("button", name="Use these columns").click()
    shown.sees("#rows th.taken", "Customer")
    until(lambda: shown.page.locator("#start-here").is_enabled())
    (roles,) = json.loads((home / "datasets" / "roles.json").read_text("utf-8")).values()
    assert roles == {"prompt": "Customer", "answer": "What we replied"}
    shown.page.locator("#again").click()
    assert shown.page.get_by_text("Answer questions, or chat").count() == 0, "what is folded away is not drawn a second time"
    other = tmp_path / "others.csv"
    other.write_text("\n".join([head.replace("replied", "said"), *rows]), "utf-8")
    shown.page.locator("#drop input[type=file]").set_input_files(other)
    shown.sees("#others", "Or is it meant so?")
    shown.page.get_by_role("button", name="It is meant so").first.click()
    until(lambda: shown.page.locator("#start-here").is_enabled())
    assert shown.page.locator("#rows th.taken").all_text_contents() == ["questionWhat we said", "answerProblem description"]
    assert shown.page.get_by_role("button", name="It is meant so").count() == 0


@pytest.mark.nightly
def test_every_wrong_setting_is_marked_until_it_is_put_back(window):
    shown = window()
    shown.page.locator(".sample").first.click()
    shown.sees("#rows", "The first examples")
    shown.tab("Plan")
    shown.sees("#fit", "Does it fit?")
    for fold, name, value in (("The basics", "epochs", "-5"), ("The adapter", "rank", "0")):
        shown.page.get_by_role("button", name=fold).click()
        box = shown.page.locator(f"#set-{name} input").first
        box.fill(value)
        box.press("Tab")
    shown.sees("#fit", "Waiting for 2 fields")
    shown.sees("#set-epochs", "must be more than 0")
    shown.sees("#set-rank", "must be at least 1")
    assert shown.page.locator("#start-plan").is_disabled()
    for name in ("epochs", "rank"):
        shown.page.locator(f"#set-{name} .field-back").click()
        shown.page.locator(f"#set-{name}.wrong").wait_for(state="detached", timeout=SOON)
    until(lambda: shown.page.locator("#start-plan").is_enabled())


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
def test_a_refusal_stays_where_the_file_was_dropped_until_another_comes(window, tmp_path):
    rubbish, few = tmp_path / "dog.csv", tmp_path / "few.csv"
    rubbish.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    few.write_text("question,answer\n" + "".join(f"What is {i}?,It is {i}.\n" for i in range(5)), "utf-8")
    shown = window()
    shown.page.locator("#drop input[type=file]").set_input_files(rubbish)
    shown.sees("#drop + .said", "dog.csv is a picture.")
    assert shown.page.locator(".toast-body:visible").count() == 0
    shown.page.locator("#drop input[type=file]").set_input_files(few)
    shown.sees("#before-start", "9 examples are needed to begin: 5 here, 4 to go.")
    assert shown.page.locator("#start-here").is_disabled()
    assert shown.page.locator(".said").count() == 0
    shown.page.locator("#again").click()
    shown.page.locator("#drop input[type=file]").set_input_files(CASES / "image_parts" / "llava.jsonl")
    shown.page.get_by_role("button", name="Learn the words without the pictures").click()
    shown.sees("#rows", "The first examples")


@pytest.mark.nightly
def test_markup_in_examples_is_shown_and_never_run(window, tmp_path):
    harm = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> {{value}} ${document.title='taken'}"
    rows = [{"question": f"Row {n}: {harm}", "answer": f"{harm} {n}"} for n in range(30)]
    file = tmp_path / "harm.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    shown = window()
    shown.page.locator("#drop input[type=file]").set_input_files(file)
    shown.page.get_by_role("button", name="Show exactly what the model reads").click()
    for place in ("#rows", "#previews"):
        shown.sees(place, "<script>document.title='taken'</script> {{value}} ${document.title='taken'}")
        assert shown.page.locator(f"{place} img").count() == 0
    assert shown.page.title() == "LoRALab"


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
