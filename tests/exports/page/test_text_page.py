"""A page of a language model as a visitor meets it, in a real browser: from a disk, from a server, on a network nobody trusts, damaged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralab.core.paths import CHECKOUT
from loralab.exports import job
from loralab.exports.page import document, text
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.llama.parent import LlamaCpp
from tests.conftest import until
from tests.support import pages
from tests.support.learned import Learned
from tests.support.pages import Visitor, changed, served, visit
from tests.ui.test_browser import CHROMIUM, DRIVEN, playwright

pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]
QUESTIONS = ("What colour is grass?", "Tell me the colour of a lemon.", "Hello")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=pages.SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def exported(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("page") / "home"
    made = pages.made(home, learned.copy(home), "f16")
    places = {"model": str(home / "models" / "base"), "adapter": str(home / "runs" / learned.run / "artifacts" / "adapter")}
    return made | places | {"home": home, "run": learned.run}


@pytest.fixture(scope="module")
def page(exported: dict[str, Any]) -> Path:
    return Path(exported["folder"]) / exported["file"]


@pytest.fixture(autouse=True)
def _windows_close(browser: Any) -> Iterator[None]:
    yield
    for context in browser.contexts:
        context.close()


def answers(parts: dict[str, Path], encoder: TextEncoder, *, learned: bool) -> list[str]:
    """What llama.cpp itself says with the files of a page."""
    with closing(LlamaCpp(parts[text.BASE], parts[text.LEARNED] if learned else None, context=512)) as runtime:
        said = [runtime.generate(runtime.chat_ids([{"role": "user", "content": one}]), 60) for one in QUESTIONS]
        return [encoder.decode([token for token in ids if not runtime.ends(token)]).strip() for ids in said]


def test_from_a_disk_it_answers_as_llama_cpp_does_and_asks_nobody(browser: Any, page: Path, exported: Any, tmp_path: Path) -> None:
    assert exported["parity"] == "proven"
    shown = visit(browser, page.as_uri())
    assert "Ready" in shown.state()
    assert shown.green
    parts = document.parts_into(page, tmp_path)
    encoder = TextEncoder(Path(exported["model"]))
    after, before = (answers(parts, encoder, learned=learned) for learned in (True, False))
    assert after != before
    said: list[list[str]] = []
    shown.page.get_by_label("Both").check()
    for question in QUESTIONS:
        shown.page.get_by_role("button", name="New conversation").click()
        said.append([words.strip() for words in shown.ask(question)[1:]])
    start = 30  # a long answer goes on past what was asked of llama.cpp here
    assert [[one[:start] for one in pair] for pair in said] == [[a[:start], b[:start]] for a, b in zip(before, after, strict=True)]
    assert shown.outside() == set()
    assert all(url.startswith(("file:", "blob:", "data:")) for url in shown.asked), "nothing but itself"
    assert shown.errors == []


@pytest.mark.parametrize(("resealed", "words"), [(False, "This file is damaged"), (True, "gets it wrong")])
def test_a_changed_model_never_gets_a_green_tick(browser: Any, page: Path, tmp_path: Path, resealed: bool, words: str) -> None:
    shown = visit(browser, changed(page, text.BASE, tmp_path / "changed.html", resealed=resealed).as_uri())
    assert words in shown.state()
    assert not shown.green
    assert shown.page.get_by_label("Your question").is_disabled()


def test_a_page_that_was_cut_short_says_so(browser: Any, page: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.html"
    short.write_bytes(page.read_bytes()[: page.stat().st_size * 2 // 3])
    shown = visit(browser, short.as_uri())
    assert "cut short" in shown.state()
    assert not shown.green


def test_on_a_network_that_browsers_do_not_trust_it_answers_on_one_core(browser: Any, page: Path) -> None:
    with served(page.parent) as port:
        shown = visit(browser, f"http://classroom.test:{port}/{page.name}")
        assert shown.page.evaluate("isSecureContext") is False
        assert "Ready" in shown.state()
        assert "on 1 core" in shown.page.locator("#proof").inner_text()
        assert shown.ask("Hello")[1]
    assert shown.outside() == set()
    assert len([url for url in shown.asked if url.startswith("http")]) == 1


def test_where_the_headers_allow_it_more_cores_answer(browser: Any, page: Path) -> None:
    with served(page.parent, isolated=True) as port:
        shown = visit(browser, f"http://127.0.0.1:{port}/{page.name}")
        assert "Ready" in shown.state()
        assert shown.page.evaluate("[crossOriginIsolated, navigator.hardwareConcurrency > 1]") == [True, "cores" in proof(shown)]
        assert shown.green


def proof(shown: Visitor) -> str:
    return str(shown.page.locator("#proof").inner_text())


def test_a_large_model_is_a_folder_that_answers_again_offline(
    browser: Any, page: Path, exported: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(text, "SINGLE", 1000)
    folder = tmp_path / "folder"
    folder.mkdir()
    source = job.open_source(exported["home"] / "runs", exported["run"], exported["model"], exported["adapter"])
    assert text.export(replace(source, variant="f16"), folder, lambda phase: None)["single"] is False
    with closing(text.opened(source, folder, tmp_path, 64)) as runtime:  # the parity gate finds its parts
        assert runtime.generate(runtime.tokenize("Hello"), 3)
    server = subprocess.Popen([sys.executable, str(folder / "serve.py"), "0"], stderr=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert server.stderr is not None
    try:
        address = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        shown = visit(browser, address)
        assert "Ready" in shown.state()
        shown.page.get_by_role("button", name="Delete the model from this device").wait_for(timeout=pages.LONG)
    finally:
        server.terminate()
        server.wait(20)
        server.stderr.close()
    shown.page.reload()
    assert "Ready" in shown.state(), "without its server"
    assert shown.ask("Hello")[1]
    shown.page.get_by_role("button", name="Delete the model from this device").click()
    shown.page.get_by_text("Nothing of this page is kept").wait_for(timeout=pages.LONG)
    assert shown.page.evaluate("caches.keys()") == []
    assert shown.outside() == set()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_its_screen_and_can_be_used_by_keyboard_alone(browser: Any, page: Path, width: int, scheme: str) -> None:
    shown = visit(browser, page.as_uri(), width, 844, color_scheme=scheme)
    shown.state()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    reached = []
    for _ in range(6):
        shown.page.keyboard.press("Tab")
        reached.append(shown.page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert reached[:4] == ["which", "question", "send", "anew"]
    shown.page.get_by_role("group", name="Ask it").wait_for()
    until(lambda: shown.page.get_by_role("status").count() >= 2)
