"""Owns the programs on this computer that an export can be given to. Invariant: run without a shell, bounded in time, never unasked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from loralab.core.errors import LabError, Unavailable

PATIENCE = 1800  # seconds: Ollama copies the whole file and takes a digest of it
MOST = 300  # characters of a program's complaint that are told
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run(program: str, *arguments: str, folder: Path, missing: str) -> str:
    """What a program said. Raises Unavailable where it is not installed (`missing`: what to do), LabError when it fails."""
    found = shutil.which(program)
    if not found:
        raise Unavailable(f"{program} was not found on this computer.", missing, code="no_program")
    try:
        done = subprocess.run(
            [found, *arguments], cwd=folder, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{program} could not be run: {error}.", "The files are made; try the lines in their README by hand.") from error
    said = _COLOURS.sub("", done.stderr or done.stdout).strip()
    if done.returncode:
        last = said.splitlines()[-1][-MOST:] if said else f"it ended with {done.returncode}"
        raise LabError(f"{program} did not take it: {last}", "Is it running? The files are made; try the lines in their README by hand.")
    return said
