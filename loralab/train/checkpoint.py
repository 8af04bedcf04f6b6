"""Owns checkpoints: everything needed to go on exactly where a run was. Invariant: one is whole or absent.

Written beside its final name with its own digest at the end, brought to the disk, then renamed. A copy that is not what was written is
passed over for the one before, and nothing in one is ever run as a program (weights_only).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from loralab.core.disk import sync_folder
from loralab.train.finite import refuse_broken

KEEP = 2  # the newest two: the older one is the way back when the disk lies about the newer; the best one seen is kept besides
SEAL = 64  # characters of a digest, kept in the comment that a zip file may end with
BLOCK = 1 << 20
_NAME = re.compile(r"step-(\d{1,15})\.pt")


@dataclass
class Progress:
    """Where a run is: counted in optimiser updates, restored exactly on resume."""

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    seconds: float = 0.0  # spent in updates, over all attempts
    tokens: int = 0
    best_loss: float = float("inf")
    best_step: int = 0
    looks_without_gain: int = 0
    base_loss: float = float("nan")
    peak_memory: int = 0
    ended: str = ""  # why it ended early: a run that is killed while it is judged does not go on training
    troubles: int = 0  # times the guard made the settings gentler
    left_out: list[int] = field(default_factory=list)  # examples that break an update, as a person counts them
    heldout_left_out: list[int] = field(default_factory=list)
    previews: int = 0  # times it was asked the questions of train/preview.py
    questions: int = 0  # of them that this run answers


# ---- writing ---------------------------------------------------------------------------------------------------------------


class _Digesting:
    """A file that notes the digest of what goes into it, and keeps an error to itself until it is sealed.

    torch's writer turns an error in the middle into one of its own that no longer says that the disk is full.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        if self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Done once, at the end."""

    def seal(self) -> None:
        """Put the digest behind what was written and bring all of it to the disk. Raises the first OSError there was."""
        if self.error is not None:
            raise self.error
        self.file.seek(-2, os.SEEK_END)  # the length of the comment, zero until now
        self.file.write(SEAL.to_bytes(2, "little") + self.digest.hexdigest().encode())
        self.file.flush()
        os.fsync(self.file.fileno())


def save(folder: Path, progress: Progress, state: dict[str, Tensor], best: dict[str, Tensor] | None, optimizer: Any) -> Path:
    """Write `step-N.pt` into `folder` and forget the oldest. Plain tensors, numbers and strings only (loads with weights_only).

    Raises OSError when it cannot be written, RunFailed when a number in it is not finite; then all is as it was.
    """
    state = {name: tensor.detach() for name, tensor in state.items()}
    notes = optimizer.state_dict()
    refuse_broken(state, "safety copy")
    refuse_broken(dict(_tensors(notes, "the optimiser's notes")), "safety copy")
    content = {
        "progress": asdict(progress),
        "state": state,
        "best": best and {name: state[name] if torch.equal(kept, state[name]) else kept for name, kept in best.items()},  # written once
        "optimizer": notes,
        "rng": random_state(),
    }
    path = folder / f"step-{progress.step}.pt"
    temporary = path.with_suffix(".writing")
    try:
        with temporary.open("wb") as file:
            digesting = _Digesting(file)
            torch.save(content, digesting)  # pyright: ignore[reportArgumentType]  (a writer is all it needs)
            digesting.seal()
        os.replace(temporary, path)
        sync_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _forget(folder, keep=progress.best_step)
    return path


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dicts and lists, with where it lies."""
    match value:
        case Tensor():
            yield name, value
        case dict():
            for key, part in value.items():
                yield from _tensors(part, f"{name}.{key}")
        case list() | tuple():
            for number, part in enumerate(value):
                yield from _tensors(part, f"{name}.{number}")
        case _:
            return


def _forget(folder: Path, keep: int) -> None:
    """Remove all checkpoints but the newest and the one of the step `keep`, and what a killed process left half-written."""
    for old in saved_in(folder)[:-KEEP]:
        if step_of(old) != keep:
            old.unlink(missing_ok=True)
    for half in folder.glob("*.writing"):
        half.unlink(missing_ok=True)


# ---- reading ---------------------------------------------------------------------------------------------------------------


def saved_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first; files of other names are none of ours."""
    return sorted((path for path in folder.glob("step-*.pt") if _NAME.fullmatch(path.name)), key=step_of)


def step_of(path: Path) -> int:
    """Updates done when a copy was written, from its name."""
    return int(path.stem.rpartition("-")[2])


def read(path: Path) -> dict[str, Any] | None:
    """One checkpoint, or None where it is not there or is not what was written; it is left where it is."""
    try:
        _verify(path)
        return _sorted_out(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, ValueError, RuntimeError, EOFError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError):
        return None


def put_aside(folder: Path) -> list[Path]:
    """Copies that were found to be damaged, by whatever attempt of the run."""
    return sorted(folder.glob("step-*.damaged-*"))


def newest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None. A damaged one is put aside for the one before."""
    for path in reversed(saved_in(folder)):
        try:
            _verify(path)
            return _sorted_out(torch.load(path, map_location="cpu", weights_only=True))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (a damaged file may raise anything; it is put aside under the error's name)
            with contextlib.suppress(OSError):  # a read-only folder; it is passed over all the same
                path.rename(path.with_suffix(f".damaged-{type(error).__name__}"))
    return None


def _sorted_out(saved: Any) -> dict[str, Any]:
    """What was saved, with the progress as its record. Raises ValueError when it is something else."""
    if not (isinstance(saved, dict) and saved.keys() >= {"progress", "state", "best", "optimizer", "rng"}):
        raise ValueError("this is not a checkpoint")
    known = {each.name for each in fields(Progress)}  # a later version may have noted more
    return {**saved, "progress": {name: value for name, value in saved["progress"].items() if name in known}}


def _verify(path: Path) -> None:
    """Read the whole file against its digest: torch.load takes flipped bits for weights. Raises ValueError or BadZipFile."""
    with zipfile.ZipFile(path) as parts:
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts.infolist()):
            raise ValueError("its parts are packed, which ours never are")  # and could unpack to more than there is room for
        sealed = parts.comment.decode("ascii", "replace")
        if not _ends_where_it_says(path, len(parts.comment)):
            raise ValueError("its seal is not as long as it says")
        broken = None if sealed else parts.testzip()  # written before copies were sealed: the checksums of its parts
    if broken or (sealed and sealed != _digest(path)):
        raise ValueError("this is not what was written")


def _ends_where_it_says(path: Path, comment: int) -> bool:
    """Whether the last record of a zip file (22 bytes, APPNOTE 4.3.16) lies this far from its end and says so: readers forgive both."""
    with path.open("rb") as file:
        file.seek(-22 - comment, os.SEEK_END)
        record = file.read(22)
    return record[:4] == b"PK\5\6" and record[20:] == comment.to_bytes(2, "little")


def _digest(path: Path) -> str:
    """The digest of a sealed file as it was before the seal."""
    digest, left = hashlib.sha256(), path.stat().st_size - SEAL - 2
    with path.open("rb") as file:
        while left > 0:
            block = file.read(min(BLOCK, left))
            if not block:
                break
            digest.update(block)
            left -= len(block)
    digest.update(bytes(2))
    return digest.hexdigest()


# ---- random numbers --------------------------------------------------------------------------------------------------------


def restore_random_state(saved: dict[str, Any]) -> None:
    """Put back torch's random numbers (dropout) as they were; everything else random here is seeded by plan and epoch."""
    torch.set_rng_state(saved["torch"])
    if saved["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(saved["cuda"])
    if saved.get("mps") is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(saved["mps"])


def random_state() -> dict[str, Any]:
    """Where torch's random numbers are, on every device."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }
