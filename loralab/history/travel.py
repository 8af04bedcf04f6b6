"""Owns a memory in one file, to be brought to another computer: written with checksums, read line by line as a stranger's.

First line: format, version, whose memory it is and how many follow. Then a memory a line with its own checksum, so that one damaged line
costs one memory. Invariant: nothing read here is believed: its size, its checksum, its form and its settings are
looked at before any of it is taken in.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.datasets import archives
from loralab.history.record import Memory
from loralab.tasks.text import TextPlan

VERSION = 1
MOST_BYTES, LINE_BYTES = 256 << 20, 1 << 20  # of a file and of one of its lines
INSIDE = "memory.jsonl"  # its name inside a .zip
TOLD = 20  # bad lines that are named one by one
_BEGIN, _MIDDLE = b'{"sha256":"', b'","memory":'
_NAME = re.compile(r"[0-9a-f]{4,40}")


class Bad(Record):
    """A line that was not taken in, and why."""

    line: int
    reason: str


class Arrived(Record):
    """What came of reading a memory file."""

    added: int = 0
    known: int = 0  # here already
    forgotten: int = 0  # of runs that are to be forgotten here
    missing: int = 0  # promised by the file's first line and not in it
    bad: tuple[Bad, ...] = ()

    @property
    def words(self) -> str:
        """The same in a sentence or two."""
        said = [f"{self.added:,} {'run was' if self.added == 1 else 'runs were'} added to the memory"]
        said += [f"{self.known:,} were here already"] if self.known else []
        said += [f"{self.forgotten:,} were left out, because you had them forgotten here"] if self.forgotten else []
        text = ", ".join(said) + "."
        if self.bad:
            first = "; ".join(f"line {one.line}: {one.reason}" for one in self.bad[:3])
            text += f" {len(self.bad):,} {'line' if len(self.bad) == 1 else 'lines'} could not be used ({first})."
        return text + (f" {self.missing:,} that the file promises are not in it." if self.missing else "")


def write(path: Path, memories: Iterable[Memory], workspace: str) -> int:
    """Write memories into a .jsonl or .zip file, whole or not at all; returns how many. Raises OSError."""
    lines: list[bytes] = []
    for memory in memories:
        own = memory if memory.workspace else memory.model_copy(update={"workspace": workspace})
        body = own.model_dump_json(exclude_defaults=True).encode()
        lines.append(_BEGIN + _digest(body) + _MIDDLE + body + b"}\n")
    head = {"loralab_memory": VERSION, "workspace": workspace, "made": int(time.time()), "memories": len(lines)}
    raw = json.dumps(head).encode() + b"\n" + b"".join(lines)
    if path.suffix == ".zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(INSIDE, raw)
        raw = packed.getvalue()
    paths.write_atomic(path, raw)
    return len(lines)


def read(path: Path) -> tuple[list[Memory], Arrived]:
    """The sound memories of a file, and what else there was. Raises UserError where it is no memory of ours, or a newer version's."""
    raw = _content(path)
    first, _, rest = raw.partition(b"\n")
    head = _head(first, path.name)
    memories: list[Memory] = []
    bad: list[Bad] = []
    lines = [line for line in enumerate(rest.split(b"\n"), 2) if line[1].strip()]
    for number, line in lines:
        found = _one(line)
        if isinstance(found, Memory):
            memories.append(found)
        else:
            bad.append(Bad(line=number, reason=found))
    return memories, Arrived(missing=max(0, int(head["memories"]) - len(lines)), bad=tuple(bad))


def _content(path: Path) -> bytes:
    todo = "Choose a file that was made with Export."
    if not path.is_file():
        raise UserError(f"There is no file {path}.", todo, code="no_file")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path.name} is too large for a memory.", todo, code="too_large")
    raw = path.read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(raw)):
        return raw
    archive = archives.open_archive(raw, path.name, MOST_BYTES, 1)
    inside = next((member for member in archive.infolist() if member.filename == INSIDE and not archives.refusal(member)), None)
    if inside is None:
        raise UserError(f"There is no memory in {path.name}.", todo, code="not_a_memory")
    return archives.content(archive, inside)


def _head(line: bytes, name: str) -> dict[str, Any]:
    try:
        head = json.loads(line)
        version, count = int(head["loralab_memory"]), int(head["memories"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{name} is not a memory of LoRALab.", "Choose a file that was made with Export.", code="not_a_memory") from error
    if version > VERSION:
        raise UserError(f"{name} was made by a newer version of LoRALab.", "Update LoRALab, then import it again.", code="newer_version")
    return {"memories": count}


def _one(line: bytes) -> Memory | str:
    """The memory in a line, or why it cannot be used."""
    if len(line) > LINE_BYTES:
        return "it is too long"
    at = len(_BEGIN) + 64
    if not (line.startswith(_BEGIN) and line[at : at + len(_MIDDLE)] == _MIDDLE and line.endswith(b"}")):
        return "it is damaged"
    body = line[at + len(_MIDDLE) : -1]
    if _digest(body) != line[len(_BEGIN) : at]:
        return "it was damaged or changed since it was written"
    try:
        memory = Memory.model_validate_json(body)
        for settings in _settings(memory):
            TextPlan.model_validate({name: value for name, value in settings.items() if name in TextPlan.model_fields and name != "task"})
    except ValidationError as error:
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc'])) or 'it'} cannot be used ({problem['msg']})"
    return memory if _NAME.fullmatch(memory.workspace) else "it does not say whose it is"


def _settings(memory: Memory) -> Iterator[dict[str, Any]]:
    """Every plan that a memory speaks of."""
    if memory.task != "text":
        return
    yield memory.asked
    yield memory.settings
    for moment in memory.moments:
        yield memory.asked | moment.changed


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).hexdigest().encode()
