"""Owns the parent's end of llama.cpp: which binding there is, starting the child, asking it, and saying what its death means.

Invariants: whatever happens in the child, the caller gets an answer or a LabError; no child outlives `close`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loralab.core.child import ENVIRONMENT
from loralab.core.errors import LabError, Unavailable
from loralab.core.paths import CHECKOUT
from loralab.runtimes.llama import quantizer
from loralab.runtimes.llama.wire import receive, send

BACKENDS = ("llama_cpp", "xllamacpp")  # the first that is installed is taken
MISSING = "To check GGUF files here, install llama.cpp for Python: pip install xllamacpp."
CHILD = "loralab.runtimes.llama.child"
SECONDS = 1800.0  # after which a child that says nothing is ended


def backend() -> str:
    """Name of the binding that is installed, or an empty string. Imports nothing."""
    return next((name for name in BACKENDS if importlib.util.find_spec(name)), "")


def packing_library() -> str:
    """Where llama.cpp's own packing of numbers is to be had, or an empty string."""
    return next(filter(None, (quantizer.library_of(name) for name in BACKENDS)), "")


class Child:
    """A child process in which llama.cpp runs. Raises Unavailable when no binding is installed."""

    def __init__(self, name: str = "", module: str = CHILD, environment: Mapping[str, str] | None = None) -> None:
        """`module` is run with the binding's name and answers as `child.main` does; `environment` goes over this process's own."""
        self.seconds = SECONDS
        chosen = name or backend()
        if not chosen:
            raise Unavailable("llama.cpp is not installed here, so the file cannot be tried.", MISSING, code="no_llama_cpp")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, chosen],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=CHECKOUT,
            env={**os.environ, **ENVIRONMENT, **(environment or {})},
        )
        try:
            self.version = str(self._hear()[0]["version"])
        except LabError as error:
            self.close()
            what = f"llama.cpp for Python ({chosen}) is installed but does not start."
            raise Unavailable(what, "Install it again: pip install --force-reinstall xllamacpp.", code="no_llama_cpp") from error

    def ask(self, name: str, payload: bytes = b"", **words: Any) -> tuple[Any, bytes]:
        """One question. Raises LabError when the child says no or dies."""
        try:
            send(self._pipe("stdin"), {"do": name, **words}, payload)
        except OSError as error:
            raise self._died() from error
        answer, raw = self._hear()
        if "error" in answer:
            raise LabError(
                f"llama.cpp could not do this: {answer['error']}", "The file is damaged or not made for it.", code="llama_refused"
            )
        return answer["value"], raw

    def _pipe(self, name: str) -> Any:
        return getattr(self._process, name)

    def _hear(self) -> tuple[dict[str, Any], bytes]:
        alarm = threading.Timer(self.seconds, self._process.kill)
        alarm.start()
        try:
            return receive(self._pipe("stdout"))
        except EOFError as error:
            raise self._died() from error
        finally:
            alarm.cancel()

    def _died(self) -> LabError:
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        last = said[-1][:300] if said else "it said nothing"
        what = f"llama.cpp broke down while reading this file (code {code}; {last})."
        return LabError(what, "The file is damaged or not made for it: export it again.", code="llama_crashed")

    @property
    def pid(self) -> int:
        return self._process.pid

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


class InChild:
    """A runtime in a child process: whatever is asked of it is asked there. Made with what the child is to open, or not at all."""

    def __init__(self, backend: str, model: str, adapter: str = "", context: int = 0, threads: int = 0) -> None:
        self._child = Child(backend)
        self.name = self._child.version
        try:
            self._child.ask("open", model=model, adapter=adapter, context=context, threads=threads)
        except Exception:
            self._child.close()
            raise

    def tokenize(self, text: str, *, added: bool = True) -> list[int]:
        return self._child.ask("tokenize", text=text, added=added)[0]

    def chat_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return self._child.ask("chat_ids", messages=list(messages))[0]

    def logits(self, ids: Sequence[int]) -> Any:
        return np.frombuffer(self._child.ask("logits", ids=list(ids))[1], np.float32).reshape(len(ids), -1)

    def tail(self, ids: Sequence[int], start: int) -> Any:
        return np.frombuffer(self._child.ask("tail", ids=list(ids), start=start)[1], np.float32).reshape(len(ids) - start, -1)

    def generate(self, ids: Sequence[int], limit: int) -> list[int]:
        return self._child.ask("generate", ids=list(ids), limit=limit)[0]

    def ends(self, token: int) -> bool:
        return self._child.ask("ends", token=token)[0]

    def close(self) -> None:
        self._child.close()


class LlamaCpp(InChild):
    """A GGUF file in llama.cpp: a Runtime. Raises Unavailable without a binding, LabError when the file cannot be loaded."""

    def __init__(self, model: Path, adapter: Path | None = None, context: int = 0, name: str = "") -> None:
        _whole(model)
        if adapter:
            _whole(adapter)
        threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        super().__init__(name, str(model), str(adapter or ""), context, threads)


def _whole(path: Path) -> None:
    """A file that is absent or cut short is told before llama.cpp can fall over it."""
    from loralab.exports._gguf.file import check

    check(path)
