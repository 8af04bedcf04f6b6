"""Owns the test of an app on a computer too busy to answer at once."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.worker

SLOW = """
import sys
from gradio import networking
networking.url_ok = lambda url: False  # what Gradio finds where its own page takes more than three seconds
from ui.app import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_app_opens_also_where_its_page_is_slow_to_come(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = subprocess.Popen([sys.executable, "-c", SLOW, "--port", str(port), "--home", str(tmp_path)])
    try:
        assert _answers(f"http://127.0.0.1:{port}/", app)
    finally:
        app.terminate()
        app.wait()


def _answers(url: str, app: subprocess.Popen[bytes], seconds: float = 120) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and app.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10) as page:
                return page.status == 200
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    return False
