"""A finished export is checked again: as it was made it is proven, and whatever was done to it since is named and never proven."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralab.core import parity, paths
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.events import Ended, EventLog
from loralab.core.jobs import CheckExportJob, ExportJob
from loralab.core.paths import CHECKOUT
from loralab.exports import _files
from loralab.exports.parity import check_job
from loralab.lab import Lab
from loralab.runs.run_folder import RunFolder
from tests.exports.test_parity import Place, export, place

__all__ = ["place"]

pytestmark = [
    pytest.mark.skipif(not any(importlib.util.find_spec(n) for n in ("xllamacpp", "llama_cpp")), reason="llama.cpp is not installed here"),
    pytest.mark.worker,
]


@pytest.fixture(scope="module")
def made(place: Place) -> tuple[Path, str, Path]:
    """Workspace, the id of a finished export in it, and where that lies."""
    home, base, adapter, _ = place
    result, _events = export(place, "gguf", "q8_0")
    work = home / "runs" / "export-gguf-q8_0"
    asked = ExportJob(run=work.name, of="tiny-run", format="gguf", variant="q8_0", model=str(base), adapter=str(adapter))
    paths.write_atomic(work / "job.json", asked.model_dump_json())
    EventLog(work / "events.jsonl")(Ended(outcome="finished", result=result))
    return home, work.name, Path(result["folder"])


def check(made: tuple[Path, str, Path], name: str) -> dict[str, Any]:
    folder = made[0] / "runs" / name
    folder.mkdir()
    asked = CheckExportJob(run=name, of="tiny-run", export=made[1])
    return check_job.run(RunFolder(folder, asked, EventLog(folder / "events.jsonl")))


def test_what_was_not_touched_is_proven_again(made: tuple[Path, str, Path]) -> None:
    assert check(made, "check-1")["parity"] == "proven"
    found = parity.read(made[2])
    assert found is not None
    assert (found.checks[0].name, found.checks[0].ok) == ("checksums", True)
    assert not _files.changes(made[2], {}), "what is said of it is sealed anew"


def _one_byte(folder: Path) -> None:
    path = next(folder.glob("*.gguf"))
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)


def _one_byte_and_its_checksum(folder: Path) -> None:
    _one_byte(folder)
    file = next(folder.glob("*.gguf"))
    lines = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if not line.endswith(".gguf")]
    (folder / "SHA256SUMS").write_text("\n".join([*lines, f"{digest(file)}  {file.name}"]) + "\n")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "one byte": (_one_byte, "was changed"),
    "one byte and its checksum": (_one_byte_and_its_checksum, "was changed"),
    "a file lost": (lambda folder: (folder / "plan.json").unlink(), "plan.json is gone"),
    "a file put beside it": (lambda folder: (folder / "other.gguf").write_bytes(b"GGUF"), "other.gguf was put beside it"),
    "no checksums": (lambda folder: (folder / "SHA256SUMS").unlink(), "list of checksums"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_named_and_never_proven(made: tuple[Path, str, Path], name: str) -> None:
    change, words = CHANGES[name]
    before = {file: file.read_bytes() for file in made[2].iterdir()}
    change(made[2])
    again = [check(made, f"check-{name}-{turn}") for turn in range(2)]  # the second look must not take the first for how it was made
    found = parity.read(made[2])
    for file in made[2].iterdir():
        file.unlink()
    for file, content in before.items():
        file.write_bytes(content)
    assert [result["parity"] for result in again] == ["differs", "differs"]
    assert found is not None
    assert words in found.words
    assert "Export it again" in found.todo


def test_a_name_leads_to_its_export(made: tuple[Path, str, Path]) -> None:
    home, export_id, folder = made
    lab = Lab(home)
    for name in (export_id, "tiny-run", str(folder), str(next(folder.glob("*.gguf")))):
        assert lab.export_named(name) == export_id
    with pytest.raises(UserError, match="no export called"):
        lab.export_named("another")


def test_the_command_says_so_and_ends_with_three(made: tuple[Path, str, Path]) -> None:
    path = next(made[2].glob("*.gguf"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    command = [sys.executable, "-m", "loralab", "verify", str(made[2]), "--home", str(made[0])]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, cwd=CHECKOUT, timeout=300, check=False)
    path.write_bytes(whole)
    assert done.returncode == 3, done.stderr
    assert f"{path.name} was changed" in done.stdout
