"""Owns an imitation of the Hugging Face Hub on loopback: the three requests a download makes, ranges included."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import unquote

COMMIT = "a" * 40
TABLES = "refs/convert/parquet"


@dataclass
class FakeHub:
    """What the Hub holds, how it behaves, and what it was asked."""

    models: dict[str, dict[str, bytes]]
    datasets: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict[str, dict[str, dict[str, bytes]]])  # name -> branch
    cards: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])  # what the front matter of a data set says
    url: str = ""
    status: dict[str, int] = field(default_factory=dict[str, int])  # model -> refusal
    gated: set[str] = field(default_factory=set[str])
    pause: float = 0.0  # seconds between chunks of a file
    cut_after: int = 0  # bytes after which the first transfer of a file breaks off
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # (path, Range)


def commit_of(branch: str) -> str:
    return COMMIT if branch == "main" else "b" * 40


def branch_of(revision: str) -> str:
    return TABLES if revision in (TABLES, commit_of(TABLES)) else "main"


class Answer(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the library's own word)
        """The test looks at hub.asked instead."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append((f"{self.command} {path}", self.headers.get("Range", "")))
        if path.startswith("/api/models/"):
            name = path.removeprefix("/api/models/").partition("/revision/")[0]
            self.tell(name)
        elif path.startswith("/api/datasets/"):
            name, _, revision = path.removeprefix("/api/datasets/").partition("/revision/")
            self.tell_dataset(name, unquote(revision))
        elif path.startswith("/datasets/") and "/resolve/" in path:
            name, _, rest = path.removeprefix("/datasets/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            if self.known(name, self.hub.datasets):
                self.send_file(self.hub.datasets[name][branch_of(revision)][unquote(file)], body=body)
        elif "/resolve/" in path:
            name, _, rest = path[1:].partition("/resolve/")
            self.file(name, rest.partition("/")[2], body=body)
        else:
            self.refuse(404, "EntryNotFound")

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def known(self, name: str, there: Container[str]) -> bool:
        if name in self.hub.status:
            self.refuse(self.hub.status[name], "GatedRepo" if self.hub.status[name] == 403 else "")
            return False
        if name not in there:
            self.refuse(404, "RepoNotFound")
            return False
        return True

    def tell(self, name: str) -> None:
        if not self.known(name, self.hub.models):
            return
        files = self.hub.models[name]
        config = json.loads(files.get("config.json", b"{}"))
        siblings = [{"rfilename": n, "size": len(c), "blobId": hashlib.sha1(c).hexdigest()} for n, c in files.items()]
        answer = {"id": name, "sha": COMMIT, "gated": "manual" if name in self.hub.gated else False, "config": config, "siblings": siblings}
        self.send_json(answer)

    def tell_dataset(self, name: str, revision: str) -> None:
        open_page = name in self.hub.gated and name in self.hub.datasets  # that of a gated one is, its files are not
        if not open_page and not self.known(name, self.hub.datasets):
            return
        branches, branch = self.hub.datasets[name], branch_of(revision)
        if branch not in branches:
            self.refuse(404, "RevisionNotFound")
            return
        siblings = [{"rfilename": n, "size": len(c), "blobId": hashlib.sha1(c).hexdigest()} for n, c in branches[branch].items()]
        about = {"id": name, "sha": commit_of(branch), "gated": "auto" if name in self.hub.gated else False, "siblings": siblings}
        self.send_json(about | {"cardData": self.hub.cards.get(name, {})})

    def send_json(self, answer: dict[str, Any]) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def file(self, name: str, file: str, *, body: bool) -> None:
        if self.known(name, self.hub.models):
            self.send_file(self.hub.models[name][file], body=body)

    def send_file(self, content: bytes, *, body: bool) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body:
            self.send(content[start:])

    def send(self, content: bytes) -> None:
        try:
            for at in range(0, len(content), 65536):
                self.wfile.write(content[at : at + 65536])
                if self.hub.cut_after and at >= self.hub.cut_after:
                    self.close_connection = True
                    return
                time.sleep(self.hub.pause if len(content) > 65536 else 0)
        except OSError:
            self.close_connection = True  # the other side stopped listening: what a stop looks like from here


@contextmanager
def fake_hub(models: dict[str, dict[str, bytes]]) -> Iterator[FakeHub]:
    """Serve these models (name -> file -> content) until the block ends."""
    with served(FakeHub(models), Answer) as hub:
        yield hub


Hub = TypeVar("Hub", bound=FakeHub)


@contextmanager
def served(hub: Hub, answers: type[Answer]) -> Iterator[Hub]:
    """Let a hub answer on loopback, in its own way, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (answers,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
