"""Owns the fingerprint of a base model: taken when a run begins, compared before anything is done with its adapter. No torch.

Invariants: cheap (a few bytes of every tensor and the small files, a fraction of a second for large models); a model that was copied,
fetched again or cut into other files has the same print, one with other weights, settings or words has not.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from loralab.core.errors import Problem, Unavailable, UserError
from loralab.core.paths import write_atomic
from loralab.models.drawing import INDEX
from loralab.models.model_folder import header, own_template, read_json, weight_files

FILE = "base.json"  # in the run's folder
PIECE = 512  # bytes read at the beginning, in the middle and at the end of each tensor
PAPERS = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache")  # settings that change no answer
AGAIN = "Download the base model again."
WORDS = {"weights": "its weights", "settings": "its settings (config.json)", "tokenizer": "its tokenizer", "template": "its chat template"}


def print_of(folder: Path) -> dict[str, str]:
    """Part -> digest. Raises ValueError where a file of weights is damaged, OSError where one is gone."""
    files = _parts(folder) or weight_files(folder)
    return dict(_print(folder, tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in [*files, *_small(folder)])))


def _small(folder: Path) -> list[Path]:
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", INDEX)
    return [folder / name for name in names if (folder / name).is_file()]


def _parts(folder: Path) -> list[Path]:
    """Files with weights of a base that is made of parts, a folder each; nothing where it is one model."""
    return sorted(folder.glob("*/*.safetensors")) if (folder / INDEX).is_file() else []


def is_here(folder: Path) -> bool:
    """Whether a base lies in a folder: one model, or several parts."""
    return (folder / "config.json").is_file() or (folder / INDEX).is_file()


@lru_cache(maxsize=32)
def _print(folder: Path, files: tuple[tuple[Path, int, int], ...]) -> tuple[tuple[str, str], ...]:
    """Times and sizes are only for remembering: the same files are read once."""
    config = {name: value for name, value in read_json(folder / "config.json").items() if name not in PAPERS}
    if (folder / INDEX).is_file():
        config = {part.parent.name: read_json(part) for part in sorted(folder.glob("*/config.json"))}
    tokenizer = folder / "tokenizer.json"
    parts = {
        "weights": _weights([file for file, _, _ in files if file.suffix == ".safetensors"]),
        "settings": _digest(json.dumps(config, sort_keys=True).encode()),
        "tokenizer": _digest(tokenizer.read_bytes()) if tokenizer.is_file() else "",
        "template": _digest(own_template(folder).encode()),
    }
    return tuple(parts.items())


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _weights(files: list[Path]) -> str:
    found: dict[str, str] = {}
    for path in files:
        with path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            part = f"{path.parent.name}/" if (path.parent.parent / INDEX).is_file() else ""  # parts have layers of the same names
            for name, entry in header(path).items():
                found[part + name] = f"{entry['dtype']} {entry['shape']} {_sample(file, start, entry['data_offsets'])}"
    return _digest("\n".join(f"{name} {found[name]}" for name in sorted(found)).encode())


def _sample(file: Any, start: int, place: list[int]) -> str:
    begin, end = place
    total = hashlib.sha256()
    for at in sorted({begin, max(begin, (begin + end - PIECE) // 2), max(begin, end - PIECE)}):
        file.seek(start + at)
        total.update(file.read(min(PIECE, end - at)))
    return total.hexdigest()


# ---- of a run --------------------------------------------------------------------------------------------------------------


def keep(run_folder: Path, model: Path) -> None:
    """Write down what a run's base is, once. Raises UserError where it was written before and the base is another one now."""
    path = run_folder / FILE
    if path.is_file():
        require_same_base(run_folder, model)
    elif is_here(model):
        try:
            found = print_of(model)
        except (OSError, ValueError) as error:
            raise UserError(f"A file of the base model cannot be read: {error}.", AGAIN, code="damaged") from error
        write_atomic(path, json.dumps(found, indent=2) + "\n")


def known(run_folder: Path) -> dict[str, str]:
    """What was written down of a run's base; empty for runs from before that was done."""
    try:
        return {str(part): str(found) for part, found in read_json(run_folder / FILE).items()}
    except ValueError:
        return {}


def changed(run_folder: Path, model: Path) -> Problem | None:
    """What of the base in `model` is not what the run was trained on; None where nothing is, or where that cannot be known."""
    then = known(run_folder)
    if not then or not is_here(model):
        return None
    try:
        return differs(then, print_of(model), model.name)
    except (OSError, ValueError) as error:
        what = f"A file of the base model cannot be read: {error}."
        return Problem(code="damaged", what=what, todo=AGAIN)


def differs(then: dict[str, str], now: dict[str, str], name: str) -> Problem | None:
    """The parts that differ, in a sentence."""
    parts = [words for part, words in WORDS.items() if then.get(part) and then[part] != now.get(part)]
    if not parts:
        return None
    said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    what = f"The base model “{name}” is not the one this adapter was trained on: {said} changed since."
    return Problem(
        code="base_changed", what=what, todo="Put the base model back as it was (download it again), or train again on this one."
    )


def require_same_base(run_folder: Path, model: Path) -> None:
    """Raise UserError where the base is another one than the run was trained on, Unavailable where it is gone."""
    if not is_here(model):
        raise Unavailable("The base model is not on this computer any more.", AGAIN, code="not_downloaded")
    problem = changed(run_folder, model)
    if problem:
        raise UserError(problem.what, problem.todo, code=problem.code)
