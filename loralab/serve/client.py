"""Owns the app's end of a chat: find the worker that holds a model with its adapter, or start one, and stream its answers. No torch here.

Invariants: a server is used only while it answers for the very adapter file asked for (a newer one starts a new server); an answer
that broke off raises, it never just ends; the token stays in the run folder and in memory.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from loralab.core import paths
from loralab.core.errors import RunFailed, UserError
from loralab.core.jobs import ServeJob
from loralab.runs import runs
from loralab.runs.run_folder import read_job

START_SECONDS = 300.0  # a large model on a slow disk takes its time; a worker that died is noticed at once
OK = 200
NUMBERS = {"precision": "fp32", "compute": "", "double_quantisation": True}  # settings that say in which numbers -> the usual
GGUF_NUMBERS = "gguf_numbers"  # the engine that turns texts into numbers: llama.cpp does that beside its writing, not within it
TURN_SECONDS = 600.0  # longest silence: another answer may be written first


@dataclass(frozen=True)
class Note:
    """What a serving worker wrote into server.json."""

    run: str
    port: int
    token: str
    model: str
    adapter: str
    stamp: str

    def client(self, silence: float) -> httpx.Client:
        """Talks to this server and nothing else: no proxy of the environment stands in between."""
        headers = {"Authorization": f"Bearer {self.token}"}
        timeout = httpx.Timeout(silence, connect=5.0)
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=timeout, trust_env=False)


@dataclass
class ChatServer:
    """A live inference worker. `last_active` names the adapters that took part in the last answer, as the worker saw them."""

    home: Path
    note: Note
    last_active: tuple[str, ...] = ()
    last_usage: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path, model_folder: str | Path, adapter_folder: str | Path = "") -> ChatServer:
        """Find the worker for this model and adapter, or start one and wait for it. Raises RunFailed in the worker's own words."""
        model, adapter = str(model_folder), str(adapter_folder)
        if not model:
            raise UserError("This run does not say which model it was trained on.", "Train it again.", code="no_model")
        wanted = (model, adapter, stamp(adapter))
        found = next((n for n in _notes(home) if (n.model, n.adapter, n.stamp) == wanted and _healthy(n)), None)
        if found is None:
            run = runs.start(home, ServeJob(model=model, adapter=adapter, stamp=wanted[2]))
            found = _wait(home, run)
        return cls(home, found)

    def stream(
        self, messages: list[dict[str, str]], *, base: bool = False, temperature: float = 0.0, max_tokens: int = 200, **more: Any
    ) -> Generator[str, None, None]:
        """Answer piece by piece. `more`: top_p, seed, stop, repetition_penalty. Leaving the loop early stops the worker's writing."""
        asked = {
            "messages": messages,
            "stream": True,
            "adapter": "off" if base else "on",
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        self.last_active, self.last_usage, ended = (), {}, False
        try:
            with self.note.client(TURN_SECONDS) as client, client.stream("POST", "/v1/chat/completions", json=asked | more) as response:
                if response.status_code != OK:
                    response.read()
                    raise _said(response.json().get("error", {}))
                for chunk in _chunks(response.iter_lines()):
                    if "error" in chunk:
                        raise _said(chunk["error"])
                    ended = ended or chunk["choices"][0]["finish_reason"] is not None
                    self.last_active = tuple(chunk.get("active_adapters", ("shared",) if chunk.get("adapter") else self.last_active))
                    self.last_usage = chunk.get("usage", self.last_usage)
                    if piece := chunk["choices"][0]["delta"].get("content"):
                        yield piece
        except httpx.TransportError as error:
            raise self._gone() from error
        if not ended:
            raise self._gone()

    def ask(self, messages: list[dict[str, str]], *, base: bool = False, temperature: float = 0.0, max_tokens: int = 200) -> str:
        """The whole answer at once."""
        return "".join(self.stream(messages, base=base, temperature=temperature, max_tokens=max_tokens))

    @property
    def alive(self) -> bool:
        """Whether the worker still answers; it lets go of its memory when nobody asks for a while."""
        return _healthy(self.note)

    def close(self) -> None:
        """Let the worker go; its memory is free a moment later."""
        _let_go(self.home, self.note.run)

    def _gone(self) -> RunFailed:
        return RunFailed("The answer broke off: the model's process is gone.", "Ask again; it starts afresh.", code="chat_gone")


@dataclass
class ServedChat(ChatServer):
    """The same through the sharing server, as others ask it: `name` is the deployment's, `bare` its base's."""

    name: str = ""
    bare: str = ""

    @classmethod
    def at(cls, home: Path, port: int, key: str, name: str, bare: str) -> ServedChat:
        """The server on this computer's port."""
        return cls(home, Note(run="", port=port, token=key, model=bare, adapter=name, stamp=""), name=name, bare=bare)

    def stream(
        self, messages: list[dict[str, str]], *, base: bool = False, temperature: float = 0.0, max_tokens: int = 200, **more: Any
    ) -> Generator[str, None, None]:
        """As `ChatServer.stream`."""
        model = self.bare if base else self.name
        return super().stream(messages, base=base, temperature=temperature, max_tokens=max_tokens, model=model, **more)

    def close(self) -> None:
        """The server is others', too: it goes on."""


def shared_worker(home: Path, model_folder: str | Path, adapter_folder: str | Path = "", engine: str = "") -> Note:
    """The worker that holds a base in the numbers an adapter was trained in, for whichever adapters are asked for; started where there
    is none. With an `engine` (onnx, gguf) the one that holds what was exported for it. Raises RunFailed in the worker's own words.
    """
    model, adapter = str(model_folder), str(adapter_folder)
    wanted = (model, "", f"shared {engine or _numbers(adapter)}")
    found = next((n for n in _notes(home) if (n.model, n.adapter, n.stamp) == wanted and _healthy(n)), None)
    return found or _wait(home, runs.start(home, ServeJob(model=model, adapter=adapter, stamp=wanted[2], shared=True, engine=engine)))


def _numbers(adapter: str) -> str:
    """In which numbers the model of an adapter is computed."""
    plan = read_job(Path(adapter).parent.parent).plan if adapter else {}
    return " ".join(str(plan.get(name, usual)) for name, usual in NUMBERS.items())


def release(home: Path) -> int:
    """Ask every serving worker to let go of its memory, because a job wants the machine; returns how many were asked."""
    return sum(_let_go(home, note.run) for note in _notes(home))


def _let_go(home: Path, run: str) -> bool:
    """Ask one worker to end; False when it has ended already, and then the note it could not remove (a kill) is removed for it."""
    if runs.view(home, run).active:
        runs.stop(home, run)
        return True
    (runs.folder(home, run) / "server.json").unlink(missing_ok=True)
    return False


def stamp(adapter: str) -> str:
    """Which version of an adapter a folder holds (time and size of its weights); empty for none."""
    weights = Path(adapter) / "adapter_model.safetensors"
    if not adapter or not weights.is_file():
        return ""
    about = weights.stat()
    return f"{about.st_mtime_ns}-{about.st_size}"


def _notes(home: Path) -> list[Note]:
    """Servers that say they are up, newest first. A note of a killed worker stays behind: ask for its health before trusting it."""
    found: list[tuple[float, Note]] = []
    for path in paths.room("runs", home).glob("*/server.json"):
        if path.with_name("stop").exists():
            continue  # it has been asked to go and answers no new question
        with contextlib.suppress(FileNotFoundError):  # it went away between the listing and the reading
            found.append((path.stat().st_mtime, _read(path)))
    return [note for _, note in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _read(path: Path) -> Note:
    raw = json.loads(path.read_text("utf-8"))
    return Note(path.parent.name, int(raw["port"]), raw["token"], raw["model"], raw["adapter"], raw["stamp"])


def _healthy(note: Note) -> bool:
    try:
        with note.client(5.0) as client:
            response = client.get("/health")
            return response.status_code == OK and response.json().get("adapter", note.adapter) == note.adapter
    except (httpx.TransportError, ValueError):
        return False


def _wait(home: Path, run: str) -> Note:
    path = runs.folder(home, run) / "server.json"
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        if path.is_file() and _healthy(note := _read(path)):
            return note
        view = runs.view(home, run)
        if not view.active:
            ending = view.ending
            raise RunFailed(
                (ending.what if ending else "") or "The model's process ended before it could answer.",
                (ending.todo if ending else "") or "The details are in worker.log of its run.",
                code=(ending.code if ending else "") or "chat_died",
            )
        time.sleep(0.05)
    runs.stop(home, run)
    raise RunFailed("The model did not become ready in five minutes.", "Close other programs, or choose a smaller model.", code="chat_slow")


def _chunks(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The JSON of each server-sent event up to [DONE]."""
    for line in lines:
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))


def _said(problem: dict[str, Any]) -> RunFailed:
    return RunFailed(str(problem.get("message") or "The model could not answer."), code=str(problem.get("code") or "chat_failed"))
