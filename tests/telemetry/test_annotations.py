"""Marks in a Grafana: each once, in words, later where it does not answer; held against a server that does as Grafana's page says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.core.events import Ended, Incident, Started, append
from loralab.lab import Lab
from tests.telemetry.test_metrics import write


class _Grafana(BaseHTTPRequestHandler):
    answers: list[int]
    taken: list[dict[str, Any]]

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = self.headers["Authorization"] == "Bearer right" and self.path == "/api/annotations"
        status = (self.answers.pop(0) if self.answers else 200) if right else 401
        if status == 200:
            self.taken.append(said)
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def grafana() -> Iterator[tuple[str, type[_Grafana]]]:
    kind = type("Grafana", (_Grafana,), {"answers": [], "taken": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", kind
        server.shutdown()


def test_each_moment_is_told_once_and_again_where_grafana_was_away(lab: Lab, home: Path, grafana) -> None:
    address, kind = grafana
    folder = write(home, "a", Started(pid=1), Incident(code="diverged", text="The loss grew."), Ended(outcome="failed", what="secret.csv"))
    kind.answers[:] = [200, 503]
    tell = lab.grafana_marks(address, "right")
    assert [tell(), tell(), tell()] == [1, 1, 0]
    assert [mark["text"] for mark in kind.taken] == ["The loss grew.", "It could not go on."]
    assert kind.taken[0]["tags"] == ["loralab", "run:a", "kind:incident"]
    append(folder / "events.jsonl", Incident(code="diverged", text="Again."))
    assert tell() == 1


def test_a_token_that_is_not_taken_is_said_and_not_shown(lab: Lab, home: Path, grafana) -> None:
    write(home, "a", Started(pid=1), Ended(outcome="finished"))
    with pytest.raises(UserError, match="does not let this token") as refused:
        lab.grafana_marks(grafana[0], "wrong-token")()
    assert "wrong-token" not in str(refused.value)


def test_nobody_there_holds_up_nothing(lab: Lab, home: Path) -> None:
    write(home, "a", Started(pid=1), Ended(outcome="finished"))
    assert lab.grafana_marks("http://127.0.0.1:9", "right")() == 0
    with pytest.raises(UserError, match="not the address"):
        lab.grafana_marks("grafana", "right")
