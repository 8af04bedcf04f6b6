"""Owns measuring a page that answers by itself: its size, how long it takes to be ready in Chromium, its pace, and whether it says what
llama.cpp says on this computer with the very same files.

Run: `python -m benchmarks.answering_page PAGE_OR_GGUF [--questions 20] [--tokens 48]`. A page is taken apart and put together again with a
bound on its answers; a GGUF file is put into a page of its own. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loralab.core.paths import DATA
from loralab.exports.page import assets, document, text
from loralab.exports.page.known import known
from loralab.runtimes.llama.parent import LlamaCpp

TOLD = {
    "title": "Measured",
    "what": "",
    "version": "",
    "warning": "",
    "answers": [],
    "scores": [],
    "limits": [],
    "unjudged": "",
    "shown": "",
}
CONTEXT = 1024


def questions(count: int) -> list[str]:
    """Everyday prompts, evenly chosen from those that show what a model forgot."""
    lines = [json.loads(line) for line in (DATA / "general" / "general.jsonl").read_text("utf-8").splitlines() if line]
    asked = [str(line["prompt"]) for line in lines if "prompt" in line]
    return asked[:: max(1, len(asked) // count)][:count]


def put_together(given: Path, room: Path, tokens: int) -> tuple[Path, dict[str, Path], bool]:
    """The page to be measured, its parts, and whether it has an adapter."""
    if given.suffix == ".gguf":
        shutil.copyfile(given, room / text.BASE)
        (room / text.PROGRAM).write_bytes(assets.vendored(assets.LLAMA))
        parts, settings = (
            {text.PROGRAM: room / text.PROGRAM, text.BASE: room / text.BASE},
            {"adapter": False, "system": "", "id": "measured"},
        )
        with closing(LlamaCpp(parts[text.BASE], context=512)) as runtime:
            settings |= {"known": known(runtime)}
    else:
        parts, settings = document.parts_into(given, room), document.known_answers(given)
    settings |= {"context": CONTEXT, "longest": tokens, "remember": False, "system": ""}
    page = document.Page(
        TOLD | {"adapter": settings["adapter"]}, settings, parts, assets.LLAMA_CODE, ("common.js", "text.js"), "text.html.jinja"
    )
    document.write(page, room / "page.html")
    return room / "page.html", parts, bool(settings["adapter"])


def native(parts: dict[str, Path], asked: list[str], tokens: int) -> tuple[list[list[int]], float]:
    """Tokens that llama.cpp itself says, and its tokens a second (reading the question included)."""
    said, count, spent = [], 0, 0.0
    with closing(LlamaCpp(parts[text.BASE], parts.get(text.LEARNED), context=CONTEXT)) as runtime:
        for question in asked:
            ids = runtime.chat_ids([{"role": "user", "content": question}])
            begun = time.perf_counter()
            found = runtime.generate(ids, tokens)
            spent += time.perf_counter() - begun
            count += len(found)
            said.append([token for token in found if not runtime.ends(token)])
    return said, count / spent


def in_browser(page: Path, asked: list[str]) -> dict[str, Any]:
    """Seconds to ready, what it said to each question, and its tokens a second."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page()
        begun = time.perf_counter()
        shown.goto(page.as_uri())
        shown.locator("#state.good, #state.bad").wait_for(timeout=600_000)
        ready = time.perf_counter() - begun
        state, said, paces = shown.locator("#state").inner_text(), [], []
        for number, question in enumerate(asked, 1):
            shown.get_by_label("Your question").fill(question)
            shown.keyboard.press("Enter")
            shown.locator("#talk[aria-busy=false] li").nth(2 * number - 1).wait_for(timeout=600_000)
            shown.locator("#send").wait_for(timeout=600_000)
            said.append(shown.locator("#talk li p").last.text_content())
            paces.append(float(shown.locator("#pace").get_attribute("data-pace") or 0))
        proof = shown.locator("#proof").inner_text()
        browser.close()
    return {"ready_s": round(ready, 1), "state": state, "proof": proof, "said": said, "tokens_per_second": sum(paces) / len(paces)}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("given", type=Path)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=48)
    chosen = parser.parse_args()
    asked = questions(chosen.questions)
    with TemporaryDirectory() as folder:
        page, parts, adapter = put_together(chosen.given, Path(folder), chosen.tokens)
        ids, pace = native(parts, asked, chosen.tokens)
        found = in_browser(page, asked)
        with closing(LlamaCpp(parts[text.BASE], context=CONTEXT)) as runtime:  # the browser's words, as tokens of the same model
            back = [runtime.tokenize(words, added=False) for words in found["said"]]
        alike = [_common(one, two) for one, two in zip(ids, back, strict=True)]
        told = {
            "page_mb": round(page.stat().st_size / 1e6, 1),
            "model_mb": round(sum(parts[name].stat().st_size for name in parts if name != text.PROGRAM) / 1e6, 1),
            "adapter_over_base": adapter,
            "ready_s": found["ready_s"],
            "state": found["state"],
            "proof": found["proof"],
            "equal": sum(one == two for one, two in zip(ids, back, strict=True)),
            "questions": len(asked),
            "tokens_alike": f"{sum(alike)} of {sum(map(len, ids))}",
            "browser_tokens_per_second": round(found["tokens_per_second"], 1),
            "llama_cpp_tokens_per_second": round(pace, 1),
            "ratio": round(found["tokens_per_second"] / pace, 2),
        }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def _common(one: list[int], two: list[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


if __name__ == "__main__":
    sys.exit(main())
