"""What an open page costs: CPU seconds of the browser and the app together, per second, with nothing going on and beside a run.

    python -m benchmarks.page_cost [--seconds 20]

Headless Chromium, no graphics card. Two figures in cores: `idle` (a fresh page, no run) and `live` (the Train tab while the starter learns;
the worker itself is not counted). Run it alone: everything on the machine that takes time takes it from these.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from loralab.core.paths import CHECKOUT
from loralab.lab import Lab

SETTLE = 15.0  # seconds after opening, before anything is counted
PORT = 7993


def spent(processes: list[psutil.Process]) -> float:
    """CPU seconds of these processes and, of the browser, of all that belong to it."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def browser_processes(root: int) -> list[psutil.Process]:
    """The browser's processes, which are children of this one."""
    return [p for p in psutil.Process(root).children(recursive=True) if "chrom" in p.name()]


def measure(app: psutil.Process, seconds: float) -> dict[str, float]:
    """Cores taken by the browser and by the app over `seconds`."""
    pages = browser_processes(os.getpid())
    before, begun = (spent(pages), spent([app])), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun
    return {"browser": round((spent(pages) - before[0]) / passed, 3), "app": round((spent([app]) - before[1]) / passed, 3)}


def main() -> None:
    """Start the app on an empty workspace, open its page, measure, start a run, measure again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        home = Path(folder) / "LoRALab"
        environment = {**os.environ, "LORALAB_HOME": str(home)}
        command = [sys.executable, "-m", "ui.app", "--port", str(PORT), "--home", str(home)]
        with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            link = server.stdout.readline().strip() or f"http://127.0.0.1:{PORT}/"
            app = psutil.Process(server.pid)
            chromium = next(
                path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome") if Path(path).exists()
            )
            page = driver.chromium.launch(executable_path=chromium).new_page(viewport={"width": 1280, "height": 800})
            for _ in range(60):
                try:
                    page.goto(link)
                    break
                except Exception:  # noqa: BLE001  (not up yet)
                    time.sleep(1)
            page.get_by_role("tab", name="Train").wait_for(timeout=120_000)
            time.sleep(SETTLE)
            found = {"idle": measure(app, seconds)}
            lab = Lab(home)
            profile = lab.profile(CHECKOUT / "data" / "samples" / "poet.jsonl")
            run = lab.start(lab.propose(profile, max_steps=100_000, epochs=100.0).plan)
            page.get_by_role("tab", name="Train").click()
            while not lab.view(run).steps:
                time.sleep(0.5)
            time.sleep(SETTLE)
            found["live"] = measure(app, seconds)
            lab.stop(run, force=True)
            server.terminate()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
