"""Owns models for pictures in a fresh process: what was saved, loaded again; and an exported folder, used as the program in it does.

Invariant: the process that answers has seen nothing but the folders.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loralab.core import child_process

MODULE = "loralab.runtimes.vision.fresh"
PROGRAM = "predict.py"
AGAIN = "Export it again; if you copied it, copy the whole folder."

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]


class FreshProcess:
    """A process of its own. Close it when done. Whatever goes wrong in it is a LabError, which says that `name` could not do it."""

    def __init__(self, name: str = "Its program", todo: str = AGAIN) -> None:
        self._child = child_process.Child(MODULE, name=name, code="pictures", todo=todo)

    def reload(self, base: Path, adapter: Path) -> None:
        """Load an adapter on its base."""
        self._child.ask("reload", base=str(base), adapter=str(adapter))

    def open(self, folder: Path, base: Path | None = None) -> str:
        """Load an exported folder by its own program; returns what computes there."""
        return str(self._child.ask("open", folder=str(folder), base=str(base or ""))[0])

    def outputs(self, pixels: Pixels) -> list[Array]:
        """What is told of pictures [n, height, width, 3], see loralab.runtimes.vision.told."""
        shapes = self._child.ask("compute", payload=np.ascontiguousarray(pixels).tobytes(), shape=list(pixels.shape))[0]
        raw = self._child.ask("computed")[1]
        ends = np.cumsum([4 * int(np.prod(shape)) for shape in shapes]).tolist()
        return [
            np.frombuffer(raw[end - 4 * int(np.prod(shape)) : end], np.float32).reshape(shape)
            for shape, end in zip(shapes, ends, strict=True)
        ]

    def answer(self, picture: Path) -> dict[str, Any]:
        """What the folder's program says of a picture's file; a mask among it is an array."""
        found = self._child.ask("answer", path=str(picture))[0]
        if "mask" in found:
            found["mask"] = np.frombuffer(self._child.ask("mask")[1], np.uint8).reshape(found["mask"])
        return found

    def close(self) -> None:
        """End the process."""
        self._child.close()


# ---- in the child ----------------------------------------------------------------------------------------------------------


class Backend:
    """The child's side: each method can be asked for; answers are plain JSON or bytes."""

    version = "a fresh process"

    def __init__(self) -> None:
        self._outputs: Any = None
        self._program: Any = None
        self._model: Any = None
        self._found: list[Array] = []
        self._mask = b""

    def reload(self, base: str, adapter: str) -> None:
        loaded: Any = importlib.import_module("loralab.runtimes.vision.reload")  # torch, which an ONNX file does without
        model, _ = loaded.load_trained(Path(base), Path(adapter))
        self._outputs = lambda pixels: loaded.told_now(model, pixels)

    def open(self, folder: str, base: str) -> str:
        sys.dont_write_bytecode = True  # nothing is to be left in the folder
        sys.path.insert(0, folder)
        spec = importlib.util.spec_from_file_location("predict", Path(folder, PROGRAM))
        if spec is None or spec.loader is None:
            raise FileNotFoundError(PROGRAM)
        self._program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._program)
        self._model = self._program.load(Path(folder), Path(base) if base else None)
        self._outputs = self._model.outputs
        return str(self._model.program)

    def compute(self, payload: bytes, shape: list[int]) -> list[list[int]]:
        pixels = np.frombuffer(payload, np.uint8).reshape(shape)
        self._found = [np.ascontiguousarray(one, np.float32) for one in self._outputs(pixels)]
        return [list(one.shape) for one in self._found]

    def computed(self) -> bytes:
        return b"".join(one.tobytes() for one in self._found)

    def answer(self, path: str) -> dict[str, Any]:
        found = self._program.answer(self._model, Path(path))
        if "mask" in found:
            self._mask = found["mask"].tobytes()
            found["mask"] = list(found["mask"].shape)
        json.dumps(found)  # fails here rather than on the way
        return found

    def mask(self) -> bytes:
        return self._mask


if __name__ == "__main__":
    child_process.serve(Backend)
