"""A memory in one file, to be brought to another computer: lines as in memory.jsonl, read one by one as a stranger's.

Invariant: nothing read here is believed: its size, its form and its settings are looked at before any of it is taken in. Files of the
first format (a head that counts, a checksum a line) are read as well.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.records import Plan, Record
from loralab.datasets.formats import archives
from loralab.history.ledger import ENTRY, Lesson
from loralab.history.record import Kept, Memory
from loralab.tasks import tasks

VERSION = 2
MOST_BYTES, LINE_BYTES = 256 << 20, 1 << 20  # of a file and of one of its lines
INSIDE = "memory.jsonl"  # its name inside a .zip
_NAME = re.compile(r"[0-9a-f]{4,40}")
_TYPE = re.compile(rb'\{"type":"(\w+)"')


class Bad(Record):
    """A line that was not taken in, and why."""

    line: int
    reason: str


class Arrived(Record):
    """What came of reading a memory file."""

    added: int = 0
    known: int = 0  # here already
    forgotten: int = 0  # of runs that are to be forgotten here
    bad: tuple[Bad, ...] = ()

    @property
    def words(self) -> str:
        """The same in a sentence or two."""
        parts = [f"{self.added:,} {'run was' if self.added == 1 else 'runs were'} added to the memory"]
        parts += [f"{self.known:,} were here already"] if self.known else []
        parts += [f"{self.forgotten:,} were left out, because you had them forgotten here"] if self.forgotten else []
        if not self.bad:
            return ", ".join(parts) + "."
        first = "; ".join(f"line {one.line}: {one.reason}" for one in self.bad[:3])
        return f"{', '.join(parts)}. {len(self.bad):,} {'line' if len(self.bad) == 1 else 'lines'} could not be used ({first})."


class _Line(Kept):
    memory: Memory


def write(path: Path, memories: Iterable[Memory], workspace: str) -> int:
    """Write memories into a .jsonl or .zip file, whole or not at all; returns how many. Raises OSError."""
    lines = [json.dumps({"type": "workspace", "id": workspace, "loralab_memory": VERSION}).encode()]
    for memory in memories:
        own = memory if memory.workspace else memory.model_copy(update={"workspace": workspace})
        lines.append(ENTRY.dump_json(Lesson(type="lesson", memory=own), exclude_defaults=True))
    raw = b"\n".join([*lines, b""])
    if path.suffix == ".zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(INSIDE, raw)
        raw = packed.getvalue()
    paths.write_atomic(path, raw)
    return len(lines) - 1


def read(path: Path) -> tuple[list[Memory], Arrived]:
    """The sound memories of a file, and what else there was. Raises UserError where it is no memory of ours, or a newer version's."""
    head, *lines = _content(path).splitlines() or [b""]
    workspace, plans = _whose(head, path.name), {kind: task.plan for kind, task in tasks().items()}
    memories: list[Memory] = []
    bad: list[Bad] = []
    for number, line in enumerate(lines, 2):
        kind = _TYPE.match(line)
        if kind and kind[1] != b"lesson":  # of a memory.jsonl that somebody copied: about runs, not the runs
            continue
        found = _memory(line, workspace, plans)
        if isinstance(found, Memory):
            memories.append(found)
        else:
            bad.append(Bad(line=number, reason=found))
    return memories, Arrived(bad=tuple(bad))


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


def _whose(head: bytes, name: str) -> str:
    """The workspace that the first line names."""
    try:
        said = json.loads(head)
        version = int(said.get("loralab_memory", VERSION if said.get("type") == "workspace" else 0))
        workspace = str(said.get("id", said.get("workspace", "")))
    except (ValueError, TypeError, AttributeError, RecursionError):
        version, workspace = 0, ""
    if not version:
        raise UserError(f"{name} is not a memory of LoRALab.", "Choose a file that was made with Export.", code="not_a_memory")
    if version > VERSION:
        raise UserError(f"{name} was made by a newer version of LoRALab.", "Update LoRALab, then import it again.", code="newer_version")
    return workspace


def _memory(line: bytes, workspace: str, plans: dict[str, type[Plan]]) -> Memory | str:
    """The memory in a line, or why it cannot be used."""
    if len(line) > LINE_BYTES:
        return "it is too long"
    try:
        memory = _Line.model_validate_json(line).memory
        for settings in _settings(memory) if memory.task in plans else ():
            plan = plans[memory.task]
            plan.model_validate({name: value for name, value in settings.items() if name in plan.model_fields and name != "task"})
    except ValidationError as error:
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc'])) or 'it'} cannot be used ({problem['msg']})"
    owned = memory.model_copy(update={"workspace": memory.workspace or workspace})
    return owned if _NAME.fullmatch(owned.workspace) else "it does not say whose it is"


def _settings(memory: Memory) -> Iterator[dict[str, Any]]:
    """Every plan that a memory speaks of."""
    yield memory.asked
    yield memory.settings
    for moment in memory.moments:
        yield memory.asked | moment.changed
