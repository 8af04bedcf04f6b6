"""Owns domains: a field's words and wishes as a folder of YAML and text, which anybody can write without programming.

    domain.yaml   name, title, about, licence, goal, tone, forms, refuse, measures, settings
    glossary.txt  “term: meaning”, a line each       prompts/<form>.txt  what a writer is told       samples.jsonl  rows to begin with

Invariants: a domain holds no code and none of it is run; what does not fit is said with the file and the line.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from loralab.core.errors import UserError
from loralab.core.paths import DATA, room
from loralab.core.records import Record
from loralab.datasets.formats.archives import content, open_archive, refusal
from loralab.datasets.synthesis.rows import MadeRow, with_id

PLACE = DATA / "domains"
MOST_BYTES, MOST_FILES = 8 << 20, 200
_KINDS = (".yaml", ".txt", ".jsonl", ".md")
_TODO = "Look at the domains that come with LoRALab for how one is written."


class Domain(Record):
    """A field. `settings` are those of a plan that suits it; `refuse`: words that no written answer may hold."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{1,30}$")
    title: str
    about: str = ""
    licence: str = ""
    goal: str = ""
    tone: str = ""
    forms: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    glossary: tuple[tuple[str, str], ...] = ()
    prompts: dict[str, str] = Field(default_factory=dict)
    samples: tuple[MadeRow, ...] = ()
    folder: str = ""

    def glossary_rows(self) -> list[MadeRow]:
        """The glossary as rows, quoted from it."""
        return [
            with_id(
                MadeRow(
                    question=f"What is {term}?",
                    answer=meaning,
                    origin="extracted",
                    kind="glossary",
                    topic=self.title,
                    source=f"{self.name}/glossary.txt",
                    evidence=meaning,
                    licence=self.licence,
                )
            )
            for term, meaning in self.glossary
        ]


def domains(home: Path) -> tuple[Domain, ...]:
    """Those that come along, then those of the workspace; one that cannot be read is left out here and said by `read`."""
    found: list[Domain] = []
    for place in (PLACE, home / "domains"):
        found += [read(folder) for folder in (sorted(place.iterdir()) if place.is_dir() else ()) if (folder / "domain.yaml").is_file()]
    return tuple(found)


def domain(name: str, home: Path) -> Domain:
    """The domain of this name. Raises UserError with the names there are."""
    known = {one.name: one for one in domains(home)}
    if name not in known:
        raise UserError(f"There is no domain called “{name}”.", f"There are: {', '.join(known)}.", code="no_domain")
    return known[name]


def read(folder: Path) -> Domain:
    """A domain from its folder. Raises UserError that names what is wrong in which file."""
    try:
        raw = yaml.safe_load((folder / "domain.yaml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{folder.name} has no domain.yaml that can be read.", _TODO, code="bad_domain") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise UserError(f"domain.yaml of {folder.name} is not written as YAML{where}.", _TODO, code="bad_domain") from error
    if not isinstance(raw, dict):
        raise UserError(f"domain.yaml of {folder.name} holds no fields.", _TODO, code="bad_domain")
    more = {"glossary": _glossary(folder), "prompts": _prompts(folder), "samples": _samples(folder), "folder": str(folder)}
    try:
        return Domain.model_validate({**raw, **more})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "a field"
        raise UserError(
            f"domain.yaml of {folder.name}: “{field}” is not as it should be ({first['msg']}).", _TODO, code="bad_domain"
        ) from error


def _glossary(folder: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    path = folder / "glossary.txt"
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.is_file() else (), 1):
        if not line.strip() or line.startswith("#"):
            continue
        term, colon, meaning = line.partition(":")
        if not colon or not term.strip() or not meaning.strip():
            raise UserError(f"glossary.txt of {folder.name}: line {number} is not “term: meaning”.", _TODO, code="bad_domain")
        found.append((term.strip(), meaning.strip()))
    return found


def _prompts(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text("utf-8").strip() for path in sorted((folder / "prompts").glob("*.txt"))}


def _samples(folder: Path) -> list[MadeRow]:
    path = folder / "samples.jsonl"
    try:
        lines = path.read_text("utf-8").split("\n") if path.is_file() else []
        return [with_id(MadeRow.model_validate_json(line)) for line in lines if line.strip()]
    except ValidationError as error:
        what = f"samples.jsonl of {folder.name} holds a line without a question and an answer."
        raise UserError(what, _TODO, code="bad_domain") from error


def add(source: Path, home: Path) -> Domain:
    """Copy a domain from a folder or zip into the workspace; one of this name that is there is replaced. Raises UserError."""
    if not source.exists():
        raise UserError(f"There is nothing at {source}.", "Choose a folder or a zip.", code="no_file")
    files = _of_folder(source) if source.is_dir() else _of_zip(source)
    if not any(name == "domain.yaml" for name in files):
        raise UserError(f"{source.name} has no domain.yaml.", _TODO, code="bad_domain")
    place = room("domains", home)
    trying = place / f".trying-{source.stem}"
    shutil.rmtree(trying, ignore_errors=True)
    try:
        for name, raw in files.items():
            target = trying / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(raw)
        found = read(trying)
        target = place / found.name
        shutil.rmtree(target, ignore_errors=True)
        trying.rename(target)
    finally:
        shutil.rmtree(trying, ignore_errors=True)
    return read(target)


def _of_folder(source: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink() and path.suffix in _KINDS]
    if len(paths) > MOST_FILES or sum(path.stat().st_size for path in paths) > MOST_BYTES:
        raise UserError(f"{source.name} is too large for a domain.", _TODO, code="bad_domain")
    return {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}


def _of_zip(source: Path) -> dict[str, bytes]:
    """The members, without the folder that all of them may lie in."""
    with open_archive(source.read_bytes(), source.name, MOST_BYTES, MOST_FILES) as archive:
        members = [one for one in archive.infolist() if not one.is_dir() and Path(one.filename).suffix in _KINDS and not refusal(one)]
        found = {one.filename.replace("\\", "/"): content(archive, one) for one in members}
    heads = {name.partition("/")[0] for name in found}
    if "domain.yaml" not in found and len(heads) == 1:
        return {name.partition("/")[2]: raw for name, raw in found.items()}
    return found
