"""Owns where files live. Invariant: user files never live in the checkout; bundled data is only read.

LORALAB_HOME (default ~/LoRALab)/   datasets/  models/  runs/  exports/  history.db  settings.json
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT / "data"
STARTER = DATA / "starter" / "text"
SAMPLES = DATA / "samples"


def home() -> Path:
    """The workspace folder, created on first use."""
    folder = Path(os.environ.get("LORALAB_HOME") or Path.home() / "LoRALab").expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def room(name: str, within: Path | None = None) -> Path:
    """A folder of the workspace (`datasets`, `models`, `runs`, `exports`), created on first use."""
    folder = (within or home()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_atomic(path: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write so that a reader sees the old file or the whole new one, also after a power cut. `private`: for its owner's eyes only."""
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    # the system takes the user's umask off the mode, as for any other file; mkstemp would make everything private
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600 if private else 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def shipped(place: str) -> str:
    """A place as it was written down. Where it is gone, and was what ships with LoRALab in a checkout that has been moved since: the same
    below this one. Whether it is still the same is what fingerprints tell.
    """
    parts: tuple[str, ...] = (PureWindowsPath(place) if "\\" in place else PurePosixPath(place)).parts
    at = max((i for i, part in enumerate(parts) if part == DATA.name), default=len(parts))
    if parts[at + 1 : at + 2] not in (("starter",), ("samples",)) or Path(place).exists():
        return place
    own = DATA.joinpath(*parts[at + 1 :])
    return str(own) if own.exists() else place


def model_name(model: str) -> str:
    """A base model without the folder it lies in on this computer; a Hub id stays as it is."""
    outside = model.startswith(("/", "\\", "~", ".")) or PureWindowsPath(model).drive or "\\" in model
    return last_part(model) if outside else model


def last_part(path: str) -> str:
    """The last part of a path of this or another system."""
    parts: PurePath = PureWindowsPath(path) if "\\" in path else PurePosixPath(path)
    return parts.name
