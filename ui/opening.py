"""Owns showing a folder in the file manager of this computer. Invariant: only folders of the workspace, and without a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from loralab.core.errors import Unavailable, UserError

OPENERS = {"darwin": "open", "win32": "explorer"}


def open_folder(home: Path, folder: Path) -> None:
    """Open `folder`. Raises UserError when it is gone or not of the workspace, Unavailable where there is nothing to open it with."""
    place = folder.resolve()
    if not place.is_dir() or not place.is_relative_to(home.resolve()):
        raise UserError("This folder is not there any more.", "Make it again.", code="gone")
    program = shutil.which(OPENERS.get(sys.platform, "xdg-open"))
    if not program:
        raise Unavailable("This computer has no window to show a folder in.", f"It is at {place}.", code="no_program")
    subprocess.Popen([program, os.fspath(place)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
