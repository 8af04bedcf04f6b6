"""Owns pages that answer by themselves, for tests: made by the real job, opened in a real browser, damaged on purpose."""

from __future__ import annotations

import base64
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loralab.core import paths
from loralab.core.events import EventLog
from loralab.core.jobs import ExportJob
from loralab.exports import job
from loralab.runs.run_folder import RunFolder, read_job

LONG = 120_000  # milliseconds; other programs may keep this machine busy
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP classroom.test 127.0.0.1",  # a name of the house network, on which browsers trust no page
]


def made(home: Path, run: str, variant: str = "") -> dict[str, Any]:
    """The page of a run, by the job that makes it for people."""
    folder = home / "runs" / f"page-{variant or 'usual'}"
    folder.mkdir()
    trained = read_job(home / "runs" / run)
    adapter = home / "runs" / run / "artifacts" / "adapter"
    asked = ExportJob(run=folder.name, of=run, format="page", variant=variant, model=trained.model, adapter=str(adapter))
    paths.write_atomic(folder / "job.json", asked.model_dump_json())
    return job.run(RunFolder(folder, asked, EventLog(folder / "events.jsonl")))


@dataclass
class Visitor:
    """Somebody with a page open, everything it asked for and complained about."""

    page: Any
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def state(self) -> str:
        """What the page says of itself once it has made up its mind."""
        self.page.locator("#state.good, #state.bad").wait_for(timeout=LONG)
        return str(self.page.locator("#state").inner_text())

    @property
    def green(self) -> bool:
        return bool(self.page.locator("#proof.good").count())

    def ask(self, question: str) -> list[str]:
        """Ask by keyboard; returns what was said, the question first."""
        before = self.page.locator("#talk li").count()
        self.page.get_by_label("Your question").fill(question)
        self.page.keyboard.press("Enter")
        self.page.locator("#talk[aria-busy=false] li").nth(before + 1).wait_for(timeout=LONG)
        self.page.locator("#send").wait_for(timeout=LONG)
        return [str(words) for words in self.page.locator("#talk li p").all_inner_texts()[before:]]

    def outside(self) -> set[str]:
        """Hosts it asked, other than where it came from."""
        home = urlsplit(self.page.url).hostname or ""
        return {host for url in self.asked if not url.startswith(("blob:", "data:")) and (host := urlsplit(url).hostname or "") != home}


def visit(browser: Any, address: str, width: int = 1280, height: int = 800, **context: Any) -> Visitor:
    """Open an address in a window of its own."""
    page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
    found = Visitor(page)
    page.on("request", lambda request: found.asked.append(request.url))
    page.on("console", lambda message: found.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.goto(address)
    return found


class _Quiet(SimpleHTTPRequestHandler):
    isolated = False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own name
        del format, args

    def end_headers(self) -> None:
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


@contextmanager
def served(folder: Path, *, isolated: bool = False) -> Iterator[int]:
    """A folder on a free port of loopback; `isolated`: with the headers for which a browser lends threads."""
    handler = type("Handler", (_Quiet,), {"isolated": isolated})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def changed(page: Path, name: str, target: Path, *, resealed: bool) -> Path:
    """A copy of a page in which many numbers of a part are others; `resealed`: with a checksum that says all is well."""
    start, settings = f'<script type="text/plain" data-part="{name}">'.encode(), b'<script type="application/json" id="settings">'
    lines, raw = page.read_bytes().split(b"\n"), b""
    places = [i for i, line in enumerate(lines) if line.startswith(start)]
    for i in places:
        piece = bytearray(base64.b64decode(lines[i][len(start) : -len(b"</script>")]))
        for at in range(len(piece) // 2, len(piece) - 64, 97):
            piece[at] ^= 0x15
        raw += bytes(piece)
        lines[i] = start + base64.b64encode(piece) + b"</script>"
    if resealed:
        i = next(i for i, line in enumerate(lines) if line.startswith(settings))
        told = json.loads(lines[i][len(settings) : -len(b"</script>")])
        told["parts"][name]["crc"] = zlib.crc32(raw)
        lines[i] = settings + json.dumps(told).replace("<", "\\u003c").encode() + b"</script>"
    target.write_bytes(b"\n".join(lines))
    return target
