"""A child process that is asked and answers: one JSON object a message over its pipes, raw bytes behind it where there are any.

Invariants: whatever happens in the child, its parent gets an answer or a LabError in words; nothing a library prints gets into the
conversation; the child ends when its parent does, and none outlives `close`.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from loralab.core.child import ENVIRONMENT
from loralab.core.errors import LabError
from loralab.core.paths import CHECKOUT
from loralab.core.words import count

SECONDS = 1800.0  # after which a child that says nothing is ended
_LENGTHS = struct.Struct("<QQ")  # bytes of JSON, bytes of payload


def send(stream: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message. Raises OSError when the other end has gone."""
    text = json.dumps(message).encode()
    stream.write(_LENGTHS.pack(len(text), len(payload)) + text + payload)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message. Raises EOFError when the other end has gone."""
    text, payload = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, text)), _exactly(stream, payload)


def _exactly(stream: BinaryIO, wanted: int) -> bytes:
    read = stream.read(wanted) if wanted else b""
    if len(read) != wanted:
        raise EOFError
    return read


class Child:
    """`python -m MODULE ARGUMENTS`, which answers as `serve` does. Raises LabError when it does not start.

    `name` says in words what works in it; `code` begins the codes of its errors: CODE_refused, CODE_crashed, CODE_late; `todo` is the
    way out. `environment` goes over this process's own.
    """

    def __init__(self, module: str, *arguments: str, name: str, code: str, todo: str, environment: Mapping[str, str] | None = None) -> None:
        self.seconds = SECONDS
        self._words = (name, code, todo)
        self._late = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=CHECKOUT,
            env={**os.environ, **ENVIRONMENT, **(environment or {})},
        )
        try:
            self.version = str(self._hear()[0]["version"])
        except LabError:
            self.close()
            raise

    def ask(self, do: str, payload: bytes = b"", **words: Any) -> tuple[Any, bytes]:
        """One question. Raises LabError when the child says no, dies, or says nothing for `seconds`."""
        try:
            send(self._pipe("stdin"), {"do": do, **words}, payload)
        except OSError as error:
            raise self._died() from error
        answer, raw = self._hear()
        if "error" in answer:
            name, code, todo = self._words
            raise LabError(f"{name} could not do this: {answer['error']}", todo, code=f"{code}_refused")
        return answer["value"], raw

    def _pipe(self, which: str) -> Any:
        return getattr(self._process, which)

    def _hear(self) -> tuple[dict[str, Any], bytes]:
        alarm = threading.Timer(self.seconds, self._end_late)
        alarm.start()
        try:
            return receive(self._pipe("stdout"))
        except EOFError as error:
            raise self._died() from error
        finally:
            alarm.cancel()

    def _end_late(self) -> None:
        self._late = True
        self._process.kill()

    def _died(self) -> LabError:
        status = self._process.wait()
        name, code, todo = self._words
        if self._late:
            return LabError(f"{name} gave no answer within {count(self.seconds, 'second')} and was ended.", todo, code=f"{code}_late")
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        last = said[-1][:300] if said else "it said nothing"
        return LabError(f"{name} broke down (code {status}; {last}).", todo, code=f"{code}_crashed")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End the child while someone waits for its answer: that one gets a LabError."""
        self._process.kill()

    def close(self) -> None:
        """End the child. May be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):  # what it was never told cannot be told it any more
                    pipe.close()
        self._log.close()


# ---- in the child ----------------------------------------------------------------------------------------------------------


def serve(open_backend: Callable[[], Any]) -> None:
    """Answer until the parent has gone. What can be asked are the methods of the backend; bytes they take are called `payload`."""
    speak = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the log
    backend = open_backend()
    send(speak, {"version": backend.version})
    while True:
        try:
            request, payload = receive(sys.stdin.buffer)
        except EOFError:
            os._exit(0)  # a library's own tidying at exit may fall over
        try:
            given = {"payload": payload} if payload else {}
            value = getattr(backend, request.pop("do"))(**request, **given)
        except Exception as error:  # noqa: BLE001  whatever it was, the parent is told and decides
            send(speak, {"error": f"{type(error).__name__}: {error}"})
        else:
            value, raw = (None, value) if isinstance(value, bytes) else (value, b"")
            send(speak, {"value": value}, raw)
