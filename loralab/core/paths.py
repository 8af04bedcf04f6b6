"""Owns where files live. Invariant: user files never live in the checkout; bundled data is only read.

LORALAB_HOME (default ~/LoRALab)/   datasets/  models/  runs/  exports/  history.db  settings.json
"""

from __future__ import annotations

import os
import tempfile
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


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write so that a reader sees the old file or the whole new one, also after a power cut."""
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def model_name(model: str) -> str:
    """A base model without the folder it lies in on this computer; a Hub id stays as it is."""
    outside = model.startswith(("/", "\\", "~", ".")) or PureWindowsPath(model).drive or "\\" in model
    return last_part(model) if outside else model


def last_part(path: str) -> str:
    """The last part of a path of this or another system."""
    parts: PurePath = PureWindowsPath(path) if "\\" in path else PurePosixPath(path)
    return parts.name
