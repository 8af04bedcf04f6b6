"""Owns what formats share: tokenizer files, checksums, and a zip that is the same for the same content."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

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
STORED = (".safetensors", ".gguf", ".bin")  # numbers hardly shrink; packing them costs minutes
SUMS = "SHA256SUMS"
GENERATION = "generation_config.json"
MOMENT = (1980, 1, 1, 0, 0, 0)  # the same content gives the same zip


def copy_tokenizer(source: Source, target: Path) -> None:
    """Tokenizer and chat template: the adapter's own where it has them, otherwise the base's."""
    for name in TOKENIZER:
        origin = next((folder / name for folder in (source.adapter, source.model) if (folder / name).is_file()), None)
        if origin:
            shutil.copyfile(origin, target / name)


def write_papers(source: Source, target: Path, *, merged: bool = False, loading: tuple[str, ...] = ()) -> None:
    """Model card and plan, then checksums of everything in the folder. `loading`: how to use it, where that is not Python."""
    card = model_card(source.run, source.plan, source.base, source.view, merged=merged, loading=loading)
    (target / "README.md").write_text(card, "utf-8")
    plan = json.dumps(shared_plan(source.plan, source.base), indent=2, ensure_ascii=False)
    (target / "plan.json").write_text(plan + "\n", "utf-8")
    seal(target)


def seal(target: Path, *changed: str) -> None:
    """Write SHA256SUMS of everything in the folder. Where it is there already, only what `changed` is read again."""
    path = target / SUMS
    known = {line[66:]: line[:64] for line in path.read_text("utf-8").splitlines()} if changed and path.is_file() else {}
    kept = {name: found for name, found in known.items() if name not in changed}
    files = sorted(file for file in target.iterdir() if file.is_file() and file != path)
    path.write_text("".join(f"{kept.get(file.name) or digest(file)}  {file.name}\n" for file in files), "utf-8")


def encoder_of(source: Source, folder: Path) -> TextEncoder:
    """The tokenizer and template that training used, copied to `folder`, where they must stay while it is used."""
    copy_tokenizer(source, folder)
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


def put_in_place(building: Path, folder: Path) -> None:
    """Rename a finished folder to its place; what stood there goes only when the new one is there."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(building, folder)
    shutil.rmtree(old, ignore_errors=True)
