"""What an open page costs: CPU seconds of the browser and the app together, and what a training loses by being watched.

    python -m benchmarks.page_cost [--seconds 25] [--rounds 3]

Headless Chromium, no graphics card; under six minutes as it is. In per cent of a core: `idle` (a fresh page, no run), `watching` (the
Train tab while the starter learns; the worker itself is not counted) and `ended` (the same page after that run). In milliseconds: `tab`,
from a click on a tab to the painted panel beside that run, of ten. `speed`: tokens a second of the updates with the page open against
those with it closed, in turns, because a machine is not as fast at one moment as at another; the time of looks and saves is not in it.
Run it alone: everything on the machine that takes time takes it from these. `load` tells whether it was alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.paths import CHECKOUT
from loralab.lab import Lab

SETTLE = 12.0  # seconds after opening, before anything is counted
SECRET = "measured"  # noqa: S105  (of an app that lives for minutes)
GOALS = {"idle": 2.0, "ended": 2.0, "watching": 6.0, "tab": 300, "speed": 0.97}
TABS = ("plan", "evaluate", "share", "dataset", "train")
PAINT = """(name) => new Promise((done) => {
  const begun = performance.now(), road = new MessageChannel();
  road.port1.onmessage = () => done(Math.round(performance.now() - begun));
  document.querySelector(`#tab-${name}`).click();
  requestAnimationFrame(() => road.port2.postMessage(0));
})"""


def spent(processes: list[psutil.Process]) -> float:
    """CPU seconds of these processes."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def browser_processes() -> list[psutil.Process]:
    """The browser's processes, which are children of this one."""
    return [p for p in psutil.Process(os.getpid()).children(recursive=True) if "chrom" in p.name()]


def measure(app: psutil.Process, seconds: float) -> dict[str, float]:
    """Per cent of a core taken by the browser and by the app over `seconds`."""
    pages = browser_processes()
    before, begun = (spent(pages), spent([app])), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun
    browser, own = (100 * (spent(who) - was) / passed for who, was in zip((pages, [app]), before, strict=True))
    return {"browser": round(browser, 2), "app": round(own, 2), "sum": round(browser + own, 2)}


def learned(lab: Lab, run: str, seconds: float) -> tuple[float, float]:
    """Tokens of the updates made in `seconds`, and the time they took."""
    before = lab.view(run).step
    time.sleep(seconds)
    made = [step for step in lab.view(run).steps if step.step > before and step.tokens_per_second]
    return sum(step.tokens for step in made), sum(step.tokens / step.tokens_per_second for step in made)


def speeds(lab: Lab, run: str, opened: Callable[[], Page], seconds: float, rounds: int) -> dict[str, Any]:
    """Tokens a second watched and not, in turns; the ratio is of all turns together."""
    totals: dict[str, list[tuple[float, float]]] = {"open": [], "closed": []}
    for _ in range(rounds):
        page = opened()
        totals["open"].append(learned(lab, run, seconds))
        page.close()
        time.sleep(2)
        totals["closed"].append(learned(lab, run, seconds))
    speed = {name: sum(tokens for tokens, _ in turns) / sum(time for _, time in turns) for name, turns in totals.items()}
    each = [round(o[0] / o[1] / (c[0] / c[1]), 3) for o, c in zip(totals["open"], totals["closed"], strict=True)]
    return {name: round(value) for name, value in speed.items()} | {"ratio": round(speed["open"] / speed["closed"], 3), "turns": each}


def measured(lab: Lab, app: psutil.Process, context: BrowserContext, address: str, options: argparse.Namespace) -> dict[str, Any]:
    """All of it, one after the other."""
    run, seconds = "", options.seconds

    def opened() -> Page:
        page = context.new_page()
        page.goto(f"{address}&tab=train&run={run}" if run else address, wait_until="domcontentloaded", timeout=120_000)
        page.locator("#tab-train").wait_for(timeout=120_000)
        page.wait_for_timeout(1000 * SETTLE)
        return page

    found: dict[str, Any] = {}
    page = opened()
    found["idle"] = measure(app, seconds)
    page.close()
    run = lab.start(lab.propose(lab.profile(TEXTS / "poet.jsonl"), max_steps=100_000, epochs=100.0).plan)
    while not lab.view(run).steps:
        time.sleep(0.5)
    page = opened()
    found["watching"] = measure(app, seconds)
    painted = sorted(page.evaluate(PAINT, TABS[n % len(TABS)]) for n in range(10))
    found["tab"] = {"median": statistics.median(painted), "largest": painted[-1]}
    page.close()
    found["speed"] = speeds(lab, run, opened, seconds, options.rounds)
    lab.stop(run, force=True)
    while lab.view(run).active:
        time.sleep(0.5)
    page = opened()
    time.sleep(SETTLE)  # what to do next is looked for once
    found["ended"] = measure(app, seconds)
    return found


def told(found: dict[str, Any]) -> dict[str, str]:
    """Whether each goal was met."""
    seen = {name: found[name]["sum"] for name in ("idle", "ended", "watching")}
    seen |= {"tab": found["tab"]["median"], "speed": found["speed"]["ratio"]}
    met = {name: value >= GOALS[name] if name == "speed" else value <= GOALS[name] for name, value in seen.items()}
    return {name: f"{value:g} of {GOALS[name]:g}: {'met' if met[name] else 'missed'}" for name, value in seen.items()}


def main() -> None:
    """Start the app on an empty workspace, open its page, measure, start a run, measure again with the page and without it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        lab = Lab(Path(folder) / "LoRALab")
        machine = lab.machine()
        lab.measure_speed(quietly=True)  # the app would do it beside the first page
        command = [sys.executable, "-m", "ui.app", "--port", str(port), "--home", str(lab.home)]
        load = psutil.getloadavg()[0]
        with subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | {"LORALAB_SECRET": SECRET}) as server:
            try:
                address = f"http://127.0.0.1:{port}/?key={SECRET}"
                _wait_for(port)
                browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                found = measured(lab, psutil.Process(server.pid), context, address, options)
            finally:
                server.terminate()
    found |= {"load": round(load, 1), "processor": machine.cpu, "goals": told(found)}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


def _wait_for(port: int) -> None:
    """Until the app answers."""
    while True:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)


if __name__ == "__main__":
    main()
