"""Owns checking a finished export again, at any later time: first that every file is still the one that was made, then the whole gate.

Invariants: the export itself stays as it is; only what is said of it (parity.json, the end of its card, their checksums) is written anew,
and that only once the comparison has ended. A file that was changed is never called proven, and never gets a new checksum.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.events import Noted
from loralab.core.jobs import CheckExportJob
from loralab.core.parity import Check, Parity
from loralab.exports import formats
from loralab.exports._files import changes
from loralab.exports.job import Stopped, open_source
from loralab.exports.parity.evaluate_job import made_by
from loralab.exports.parity.gate import prove, written
from loralab.runs.run_folder import RunFolder

CHANGED = "Somebody or something changed it after it was made. Export it again to have one that is proven."


def run(folder: RunFolder) -> dict[str, Any]:
    """Compare an export as the CheckExportJob says. Returns of, export and what the comparison measured."""
    asked = folder.asked(CheckExportJob)
    runs_folder = folder.path.parent
    made, place, result = made_by(runs_folder / asked.export)
    source = open_source(runs_folder, asked.of, asked.model or made.model, made.adapter)
    source = replace(source, variant=str(result.get("variant") or ""))
    form = formats(source.task)[made.format]

    def note(phase: str) -> None:
        if folder.stop_asked:
            raise Stopped
        folder.emit(Noted(text="", phase=phase))

    try:
        note("comparing checksums")
        same = unchanged(place, result)
        if not same.ok:
            parity = written(_changed(same), place, folder)
        else:
            tried = form.proof or form.trial
            missing = tried.missing() if tried else None
            if missing:
                raise UserError(missing.what, missing.todo, code=missing.code, part=missing.part)
            parity = prove(form, source, place, note, folder, same)
    except Stopped:
        return {"outcome": "stopped", "what": "Stopped as you asked; what you made is as it was."}
    return {"of": made.of, "export": asked.export, "folder": str(place), **parity.facts()}


def unchanged(place: Path, result: dict[str, Any]) -> Check:
    """Whether every file of an export is the one that was made, by what lies beside it and by what its own run wrote down."""
    wrong = changes(place, result.get("sums") or {})
    packed = Path(str(result.get("path") or ""))
    if packed.suffix == ".zip":
        wrong += [] if packed.is_file() and digest(packed) == result.get("sha256") else [f"{packed.name} is gone or was changed"]
    words = "; ".join(wrong) if wrong else "every file is the one that was made, by its checksum"
    return Check(name="checksums", ok=not wrong, words=words, numbers={"files_changed": wrong})


def _changed(check: Check) -> Parity:
    words = f"This is not what was made any more: {check.words}."
    return Parity(
        outcome="differs", words=words, why="a file was changed, replaced or damaged after it was made.", todo=CHANGED, checks=(check,)
    )
