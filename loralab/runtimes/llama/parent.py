"""The parent's end of llama.cpp: which binding there is, and runtimes whose work is done in a child process."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loralab.core import child_process, parts
from loralab.core.errors import LabError, Unavailable
from loralab.runtimes.llama import quantizer
from loralab.runtimes.llama.gguf_file import check

BACKENDS = ("llama_cpp", "xllamacpp")  # the first that is installed is taken
CHILD = "loralab.runtimes.llama.child"
TODO = "The file is damaged or not made for it: export it again."


def backend() -> str:
    """Name of the binding that is installed, or an empty string. Imports nothing."""
    return next((name for name in BACKENDS if importlib.util.find_spec(name)), "")


def packing_library() -> str:
    """Where llama.cpp's own packing of numbers is to be had, or an empty string."""
    return next(filter(None, (quantizer.library_of(name) for name in BACKENDS)), "")


class Child(child_process.Child):
    """A child process in which llama.cpp runs. Raises Unavailable when no binding is installed or it does not start."""

    def __init__(self, name: str = "", module: str = CHILD, environment: Mapping[str, str] | None = None) -> None:
        """`module` is run with the binding's name and answers as `child.main` does; `environment` goes over this process's own."""
        chosen = name or backend()
        if not chosen:
            raise parts.unavailable("llama_cpp", "llama.cpp is not installed here, so the file cannot be tried.")
        try:
            super().__init__(module, chosen, name="llama.cpp", code="llama", todo=TODO, environment=environment)
        except LabError as error:
            what = f"llama.cpp for Python ({chosen}) is installed but does not start."
            raise Unavailable(what, "Delete the .venv folder and start LoRALab again.", code="no_llama_cpp") from error


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
    check(path)
