"""Owns what was computed once of pictures and captions, on disk: by the content of what was read and of what read it.

Invariants: the same content is never computed twice while it is here; a file that cannot be read is computed again; with no folder nothing
is written (pictures of patients).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from loralab.core.digest import digest
from loralab.core.paths import write_atomic

MOST = 4 << 30  # bytes that are kept, those used last
ROOM = "drawing_cache"  # in the workspace

Numbers = dict[str, Tensor]


class Kept:
    """The numbers that the weights in `files` make of something."""

    def __init__(self, folder: Path | None, files: Sequence[Path], about: str) -> None:
        self.folder = folder
        self._mark = hashlib.sha256("|".join([about, *(digest(file) for file in sorted(files))]).encode()).hexdigest() if folder else ""
        self.made = 0  # how often something had to be computed

    def of(self, content: bytes, make: Callable[[], Numbers]) -> Numbers:
        """What is kept of `content`, else what `make` gives, which is kept."""
        if self.folder is None:
            self.made += 1
            return make()
        file = self.folder / f"{hashlib.sha256(self._mark.encode() + content).hexdigest()[:40]}.safetensors"
        with contextlib.suppress(OSError, SafetensorError):
            found = load(file.read_bytes())
            file.touch()
            return found
        self.made += 1
        numbers = {name: value.detach().cpu().contiguous() for name, value in make().items()}
        with contextlib.suppress(OSError):  # a disk that is full only means computing it again
            write_atomic(file, save(numbers))
        return numbers

    def tidy(self, most: int = MOST) -> None:
        """Remove what was used longest ago, until what is kept is no more than `most` bytes."""
        if self.folder is None or not self.folder.is_dir():
            return
        files = sorted(((file.stat().st_mtime, file.stat().st_size, file) for file in self.folder.glob("*.safetensors")), reverse=True)
        taken = 0
        for _, size, file in files:
            taken += size
            if taken > most:
                file.unlink(missing_ok=True)
