"""Owns the folder for LM Studio: a GGUF file, and where LM Studio looks for it.

Invariant: nothing is put into LM Studio's own folder unless that was asked for, nothing of its own is touched, and it appears there whole.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from loralab.core.errors import Unavailable
from loralab.exports import Note, Source, gguf_model
from loralab.exports._files import write_papers
from loralab.exports.job import check_disk

PUBLISHER = "loralab"
MODELS = ".lmstudio/models"  # in the person's home


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """The GGUF and its guide. Raises LabError where the GGUF does."""
    facts = gguf_model.export(source, target, note)
    write_papers(source, target, merged=True, loading=_guide(source, str(facts["file"])))
    return facts | {"model": f"{PUBLISHER}/{gguf_model.file_name(source)}"}


def _guide(source: Source, file: str) -> tuple[str, ...]:
    name = f"{PUBLISHER}/{gguf_model.file_name(source)}"
    return (
        "With LM Studio's own command, in this folder (`-c` copies; without it the file is moved away):",
        "",
        "```sh",
        f"lms import {file} --user-repo {name} -y -c",
        "```",
        "",
        f"Or by hand: put the file into `~/{MODELS}/{name}/` (in Windows `%USERPROFILE%\\.lmstudio\\models\\…`),",
        "then choose it in LM Studio. The chat template is inside the file; set the temperature to 0 for answers as it was tested.",
        "",
        "```sh",
        f"lms load {name}",
        "curl http://localhost:1234/v1/models",
        "```",
        "",
        "The same file runs in llama.cpp:",
        "",
        "```sh",
        f"llama-server -m {file}",
        "```",
    )


def _is_here() -> bool:
    """Whether LM Studio has been started on this computer."""
    return (Path.home() / MODELS).is_dir()


def hand_over(source: Source, folder: Path, note: Note) -> dict[str, Any]:
    """Put the file where LM Studio looks. Raises Unavailable where LM Studio never ran here, UserError when the disk is too full."""
    models = Path.home() / MODELS
    if not _is_here():
        what = "LM Studio was not found on this computer."
        raise Unavailable(what, "Get it from lmstudio.ai and start it once, then export again.", code="no_program")
    note("putting it into LM Studio's folder")
    place = models / PUBLISHER / gguf_model.file_name(source)
    place.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.gguf"):
        _put(file, place / file.name)
    return {"installed": str(place)}


def _put(file: Path, place: Path) -> None:
    """A second name for the same bytes where the disk allows it, a copy otherwise; there whole or not at all."""
    writing = place.with_name(f".{place.name}.writing")
    writing.unlink(missing_ok=True)
    try:
        try:
            os.link(file, writing)
        except OSError:  # another disk, or one that knows no second names
            check_disk(place.parent, file.stat().st_size)
            shutil.copyfile(file, writing)
        os.replace(writing, place)
    finally:
        writing.unlink(missing_ok=True)


FORMAT = replace(
    gguf_model.FORMAT,
    name="lm_studio",
    label="LM Studio folder",
    words="A folder for LM Studio, and put where it looks if you like.",
    export=export,
    hand_over=hand_over,
    program_here=_is_here,
)
