"""Owns what formats share: tokenizer files, checksums, and a zip that is the same for the same content."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from loralab.core.digest import digest
from loralab.exports import Source
from loralab.models.model_folder import read_json
from loralab.models.tokenize import TextEncoder
from loralab.reports.card import model_card, shared_plan

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
LOADED = (".safetensors", ".gguf", ".bin", ".pt", ".onnx", ".data", ".json", ".jinja", ".model", ".txt")  # what programs take from a folder
STORED = (".safetensors", ".gguf", ".bin")  # numbers hardly shrink; packing them costs minutes
SUMS = "SHA256SUMS"
GENERATION = "generation_config.json"
MOMENT = (1980, 1, 1, 0, 0, 0)  # the same content gives the same zip


def copy_tokenizer(source: Source, target: Path) -> None:
    """Tokenizer and chat template as training used them."""
    _copied(source, target)
    if not (target / "tokenizer.json").is_file():
        return  # its base is gone, and only the adapter is kept
    with TemporaryDirectory() as folder:
        encoder_of(source, Path(folder)).keep_template(target)


def _copied(source: Source, target: Path) -> None:
    """The files of the tokenizer: the adapter's own where it has them, otherwise the base's."""
    for name in TOKENIZER:
        origin = next((folder / name for folder in (source.adapter, source.model) if (folder / name).is_file()), None)
        if origin:
            shutil.copyfile(origin, target / name)


def write_papers(source: Source, target: Path, *, merged: bool = False, loading: tuple[str, ...] = ()) -> None:
    """Model card and plan, then checksums of everything in the folder. `loading`: how to use it, where that is not Python.

    None of a person's examples stands in the card: nobody can say where the folder goes.
    """
    card = model_card(source.run, source.plan, source.base, source.view, merged=merged, loading=loading, examples=False)
    (target / "README.md").write_text(card, "utf-8")
    plan = json.dumps(shared_plan(source.plan, source.base), indent=2, ensure_ascii=False)
    (target / "plan.json").write_text(plan + "\n", "utf-8")
    seal(target)


def seal(target: Path, *changed: str) -> None:
    """Write SHA256SUMS of everything in the folder. Where it is there already, only what `changed` is read again: all else stays as it was
    when it was made, so that what somebody did to it since can be seen.
    """
    path, known = target / SUMS, sums_of(target) if changed else {}
    if changed and not known:
        return  # without the list nobody can say what was made
    names = known.keys() | set(changed) if known else {file.name for file in target.iterdir() if file.is_file() and file != path}
    kept = {name: found for name, found in known.items() if name not in changed}
    there = sorted(name for name in names if name in kept or (target / name).is_file())
    path.write_text("".join(f"{kept.get(name) or digest(target / name)}  {name}\n" for name in there), "utf-8")


def sums_of(target: Path) -> dict[str, str]:
    """What SHA256SUMS in a folder says: name -> checksum; empty where there is none."""
    path = target / SUMS
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []
    return {line[66:]: line[:64] for line in lines if len(line) > 66}


def changes(target: Path, kept: Mapping[str, str]) -> list[str]:
    """What is not as it was made, each as a part of a sentence. `kept`: checksums that were written down elsewhere, which win."""
    known = sums_of(target) | dict(kept)
    found = [] if (target / SUMS).is_file() else [f"its list of checksums ({SUMS}) is gone"]
    for name, right in sorted(known.items()):
        file = target / name
        if not file.is_file():
            found.append(f"{name} is gone")
        elif digest(file) != right:
            found.append(f"{name} was changed")
    more = (file.name for file in sorted(target.iterdir()) if file.suffix in LOADED and file.name not in known)
    return found + [f"{name} was put beside it" for name in more]


def encoder_of(source: Source, folder: Path) -> TextEncoder:
    """The tokenizer and template that training used, copied to `folder`, where they must stay while it is used."""
    _copied(source, folder)
    if (source.model / GENERATION).is_file():
        shutil.copyfile(source.model / GENERATION, folder / GENERATION)
    return TextEncoder(folder)


def write_ends(target: Path, encoder: TextEncoder, base: Path | None = None) -> None:
    """generation_config.json with every token that ends an answer, over what the base's own says; programs look for the ends there."""
    path = target / GENERATION
    settings = read_json(base / GENERATION if base else path)
    ends = {"eos_token_id": sorted(encoder.stop_ids)} if encoder.stop_ids else {}
    path.write_text(json.dumps(settings | ends, indent=2, sort_keys=True) + "\n", "utf-8")


def zip_folder(folder: Path, path: Path, top: str) -> None:
    """Zip the files of `folder` under the folder name `top`; `path` appears whole or not at all."""
    writing = path.with_name(f".{path.name}.writing")
    try:
        _write_zip(folder, writing, top)
        os.replace(writing, path)
    finally:
        writing.unlink(missing_ok=True)


def _write_zip(folder: Path, path: Path, top: str) -> None:
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for source in sorted(folder.iterdir()):
                entry = zipfile.ZipInfo(f"{top}/{source.name}", MOMENT)
                entry.compress_type = zipfile.ZIP_STORED if source.suffix in STORED else zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                with source.open("rb") as content, archive.open(entry, "w", force_zip64=True) as packed:
                    shutil.copyfileobj(content, packed, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _open_to_all(folder: Path) -> None:
    """Modes as any file of this user has: safetensors makes its own for the user alone, and a server could not read them."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    for file in folder.iterdir():
        if file.is_file():
            file.chmod(mode)


def put_in_place(building: Path, folder: Path) -> None:
    """Rename a finished folder to its place; what stood there goes only when the new one is there."""
    _open_to_all(building)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(building, folder)
    shutil.rmtree(old, ignore_errors=True)
