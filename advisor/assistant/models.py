"""The language models on this computer, and which of them was chosen for the assistant.

Looked through: the workspace's models/advisor, LM Studio's folders, Ollama's store (through its manifests), and a file that was picked.
Invariants: looking reads only the first bytes of a file; nothing is loaded, moved or fetched; a model of another program is used only once
a person has chosen it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from advisor.assistant.gguf_head import read_head
from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.core.words import size

Place = Literal["workspace", "LM Studio", "Ollama", "picked"]

LARGE_BYTES = 4_000_000_000  # bytes above which a model answers slowly on a processor
# Architectures that do not write text
NOT_TEXT_MODELS = {"bert", "nomic-bert", "jina-bert-v2", "roberta", "clip", "t5encoder", "whisper", "mmproj"}
SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
UNKNOWN = "licence not stated in the file; look at where it came from"


class LocalGguf(Record):
    """A file of a language model on this computer."""

    name: str
    path: str
    bytes: int
    licence: str
    place: Place

    @property
    def words(self) -> str:
        """One line for a list: name, size, licence, where it lies."""
        slow = ", answers slowly without a graphics card" if self.bytes > LARGE_BYTES else ""
        return f"{self.name} ({size(self.bytes)}{slow}; {self.licence}; {self.place})"


def models_dir(home: Path) -> Path:
    """The workspace's folder for the advisor's models: a GGUF that is put here is used."""
    return paths.room("models", home) / "advisor"


def local_models(home: Path) -> tuple[LocalGguf, ...]:
    """All of them, the smallest first. Folders that cannot be read are passed over."""
    seen: dict[Path, LocalGguf] = {}
    for one in [*_in_workspace(home), *_in_lm_studio(), *_in_ollama()]:
        seen.setdefault(Path(one.path).resolve(), one)
    return tuple(sorted(seen.values(), key=lambda one: (one.bytes, one.path)))


def pick(home: Path, path: Path | None) -> LocalGguf | None:
    """Use this file from now on; None: only the rules answer. Raises UserError where the file is no language model."""
    choice = None
    if path is not None:
        whole = path.expanduser().resolve()
        known = next((one for one in local_models(home) if Path(one.path).resolve() == whole), None)
        choice = known or inspect_file(whole, "picked")
        if choice is None:
            todo = "Choose a .gguf file of a chat model."
            raise UserError(f"{path.name} is no language model that can be loaded here.", todo, code="no_gguf")
    paths.write_atomic(models_dir(home) / "chosen.json", json.dumps({"path": choice.path if choice else ""}))
    return choice


def chosen(home: Path) -> Path | None:
    """The file that is used: the one that was picked, else the newest in the workspace's own folder; None where only the rules answer."""
    try:
        said = json.loads((models_dir(home) / "chosen.json").read_text("utf-8"))
    except (OSError, ValueError):
        said = None
    if isinstance(said, dict) and isinstance(said.get("path"), str):
        path = Path(said["path"])
        if not said["path"] or path.is_file():
            return path if said["path"] else None
    own = sorted(_in_workspace(home), key=lambda one: Path(one.path).stat().st_mtime)
    return Path(own[-1].path) if own else None


def inspect_file(path: Path, place: Place, name: str = "", licence: str = "") -> LocalGguf | None:
    """What a file says of itself; None where it is no language model that can be loaded."""
    if SPLIT.search(path.name) or "mmproj" in path.name.lower():
        return None
    said = read_head(path)
    if said is None or said.get("general.type", "model") != "model" or str(said.get("general.architecture", "")) in NOT_TEXT_MODELS:
        return None
    title = name or str(said.get("general.name") or path.stem)
    return LocalGguf(
        name=_line(title),
        path=str(path),
        bytes=path.stat().st_size,
        licence=_line(licence or str(said.get("general.license") or UNKNOWN)),
        place=place,
    )


def _line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:80]


# ---- where they lie ----------------------------------------------------------------------------------------------------------
def _in_workspace(home: Path) -> list[LocalGguf]:
    return [one for path in _files(models_dir(home)) if (one := inspect_file(path, "workspace"))]


def _in_lm_studio() -> Iterator[LocalGguf]:
    user = Path.home()
    homes = [user / ".lmstudio", user / ".cache" / "lm-studio"]
    with contextlib.suppress(OSError, ValueError):  # then it has not been moved
        homes.insert(0, Path((user / ".lmstudio-home-pointer").read_text("utf-8").strip()))
    for folder in homes:
        for path in _files(folder / "models"):
            if one := inspect_file(path, "LM Studio"):
                yield one


def _in_ollama() -> Iterator[LocalGguf]:
    """Ollama keeps files under their digest; its manifests say which is which."""
    stores = [Path(p) for p in (os.environ.get("OLLAMA_MODELS"),) if p]
    stores += [Path.home() / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models"), Path("/var/lib/ollama/models")]
    for store in stores:
        for manifest in _files(store / "manifests", ""):
            layers = _layers(manifest)
            blob = _blob(store, layers.get("application/vnd.ollama.image.model", ""))
            if blob is None:
                continue
            licence = _first_line(_blob(store, layers.get("application/vnd.ollama.image.license", "")))
            if one := inspect_file(blob, "Ollama", f"{manifest.parent.name}:{manifest.name}", licence):
                yield one


def _layers(manifest: Path) -> dict[str, str]:
    try:
        said = json.loads(manifest.read_text("utf-8"))
        return {str(layer["mediaType"]): str(layer["digest"]) for layer in said["layers"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _blob(store: Path, digest: str) -> Path | None:
    """The file of a digest; a digest that is none never leads out of the store."""
    match = re.fullmatch(r"sha256[:-]([0-9a-f]{64})", digest)
    path = store / "blobs" / f"sha256-{match.group(1)}" if match else None
    return path if path and path.is_file() else None


def _first_line(path: Path | None) -> str:
    if path is None:
        return ""
    with path.open("rb") as file:
        lines = file.read(2000).decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in lines if line.strip()), "")


def _files(folder: Path, ending: str = ".gguf") -> list[Path]:
    """Files below a folder, in order; what cannot be looked into is left out."""
    seen: list[Path] = []
    for where, _, names in os.walk(folder):
        seen += [Path(where) / name for name in names if name.lower().endswith(ending)]
    return sorted(path for path in seen if path.is_file())
