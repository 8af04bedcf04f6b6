"""Owns looking into a finished folder of transformers or PEFT: whether its weights, settings and tokenizer are the trained model's.

Invariant: files of the tokenizer are compared byte for byte with the run's own, settings value by value, weights number by number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from loralab.core.errors import UserError
from loralab.core.parity import Check
from loralab.exports import Source
from loralab.exports._files import GENERATION, TOKENIZER
from loralab.exports.parity import rounding
from loralab.exports.parity.rounding import Off
from loralab.exports.parity.tally import Tally, facts_check
from loralab.exports.parity.trained import Trained
from loralab.models.model_folder import header, read_json, weight_files
from loralab.models.tokenize import TextEncoder

WEIGHTS, SETTINGS, BASE = "adapter_model.safetensors", "adapter_config.json", "base_model_name_or_path"
# Of a config.json: who wrote it, where from and in which numbers, and how fast it is to run
ASIDE = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "_attn_implementation", "attn_implementation"}
BITS = {"float32": (0, 0.0), "float16": (11, 2.0**-24), "bfloat16": (8, 2.0**-133)}  # of a number, and the smallest gap


def merged_inside(source: Source, folder: Path, trained: Trained, kind: str) -> Iterator[Check]:
    """A whole model as safetensors; `kind`: f32 or bf16. Raises UserError where a file cannot be read."""
    stored = {"f32": "float32", "bf16": "bfloat16"}[kind]
    yield settings_of(source, folder, trained, stored)
    yield papers(source, folder, trained.encoder)
    tally = tally_of(trained)
    tally.spare |= {name for file in weight_files(source.model) for name in header(file)}  # what the base's files hold besides
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118  (not a dict)
                    number(tally, trained, name, weights.get_tensor(name), stored)
        except (OSError, ValueError, RuntimeError) as error:
            raise _damaged(file) from error
        except Exception as error:
            if type(error).__name__ != "SafetensorError":
                raise
            raise _damaged(file) from error
    yield tally.check(trained.strength())


def pt_inside(source: Source, folder: Path, trained: Trained, kind: str) -> Iterator[Check]:
    """A whole model as one dict of tensors. Raises UserError where it cannot be read."""
    import torch

    file = folder / "model.pt"
    stored = {"f32": "float32", "bf16": "bfloat16"}[kind]
    yield settings_of(source, folder, trained, stored)
    yield papers(source, folder, trained.encoder)
    tally = tally_of(trained)
    try:
        found: Mapping[str, Any] = torch.load(file, weights_only=True, mmap=True)
    except Exception as error:  # a torn archive raises almost anything
        raise _damaged(file) from error
    for name, values in found.items():
        number(tally, trained, name, values, stored)
    yield tally.check(trained.strength())


def tally_of(trained: Trained) -> Tally:
    """Nothing compared yet; a head that is the embedding may be written or not."""
    own = frozenset(trained.names())
    return Tally(own, frozenset(trained.names(tied=True)) - own)


def number(tally: Tally, trained: Trained, name: str, values: Any, stored: str) -> None:
    """One tensor of a folder against the trained one; its numbers then take that one's place."""
    known = trained.shape
    place = name if name in known else next((own for own in known if own.endswith(f".{name}") or name.endswith(f".{own}")), "")
    if not place:
        tally.seen.add(name)
        return
    if place not in trained.names(tied=True):
        return  # counts and masks
    tally.seen.add(place)
    if tuple(values.shape) != known[place]:
        tally.fault(place, f"it has the shape {tuple(values.shape)} instead of {known[place]}")
        return
    if str(values.dtype) != f"torch.{stored}":
        tally.fault(place, f"its numbers are {str(values.dtype).removeprefix('torch.')} where {stored} belongs")
    found = values.float()
    tally.add(place, rounded(trained.weight(place).numpy(), found.numpy(), stored))
    if place in tally.wanted:  # a head that is the embedding has it already
        trained.put(place, found)


def rounded(wanted: Any, found: Any, stored: str) -> Off:
    """Numbers that are stored in 32 or 16 bits."""
    wanted, found = np.atleast_2d(wanted), np.atleast_2d(found)
    off = Off()
    for first in range(0, len(wanted), rounding.ROWS):
        here, there = wanted[first : first + rounding.ROWS], found[first : first + rounding.ROWS]
        off |= rounding.plain(here, there, rounding.spacing(here, *BITS[stored]) if BITS[stored][0] else np.float32(0))
    return Off(off.count / wanted.size, off.steps, off.count)


# ---- an adapter ------------------------------------------------------------------------------------------------------------


def adapter_inside(source: Source, folder: Path, trained: Trained) -> Iterator[Check]:
    """PEFT's folder against the run's own: the same numbers bit for bit. Raises UserError where it cannot be read."""
    here, there = read_json(source.adapter / SETTINGS), read_json(folder / SETTINGS)
    wrong = values_differ({k: v for k, v in here.items() if k != BASE}, {k: v for k, v in there.items() if k != BASE})
    if there.get(BASE) != source.base.reference:
        wrong.append(f"it names the base “{there.get(BASE)}” instead of “{source.base.reference}”")
    yield facts_check("settings", "settings", wrong, len(here))
    yield papers(source, folder, trained.encoder)
    yield same_tensors(source.adapter / WEIGHTS, folder / WEIGHTS)


def same_tensors(ours: Path, theirs: Path) -> Check:
    """Two files of weights, bit for bit. Raises UserError where one cannot be read."""
    try:
        with safe_open(ours, framework="np") as here, safe_open(theirs, framework="np") as there:
            tally = Tally(frozenset(here.keys()))
            for name in there.keys():  # noqa: SIM118  (not a dict)
                tally.seen.add(name)
                if name in tally.wanted:
                    _same(tally, name, here.get_tensor(name), there.get_tensor(name))
    except Exception as error:  # its errors share no parent with others
        raise _damaged(theirs) from error
    return tally.check()


def _same(tally: Tally, name: str, here: Any, there: Any) -> None:
    if here.shape != there.shape or here.dtype != there.dtype:
        tally.fault(name, f"it is {there.dtype} {there.shape} instead of {here.dtype} {here.shape}")
    elif here.tobytes() != there.tobytes():
        count = int((here != there).sum())
        tally.add(name, Off(count / here.size, float("inf"), max(count, 1)))


# ---- what lies beside the weights ------------------------------------------------------------------------------------------


def settings_of(source: Source, folder: Path, trained: Trained, stored: str) -> Check:
    """config.json and generation_config.json, value by value as transformers reads them."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder).to_dict()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError("Its config.json cannot be read.", "Export it again.", code="damaged") from error
    here = {name: value for name, value in trained.config.items() if name not in ASIDE}
    wrong = values_differ(here, {name: value for name, value in config.items() if name not in ASIDE})
    numbers = str(config.get("dtype") or config.get("torch_dtype") or stored).removeprefix("torch.")
    wrong += [f"it says its numbers are {numbers} and they are {stored}"] if numbers != stored else []
    return facts_check("settings", "settings", [*wrong, *_ends(source, folder, trained.encoder)], len(here) + 1)


def _ends(source: Source, folder: Path, encoder: TextEncoder) -> list[str]:
    """Where an answer ends and how words are chosen, by generation_config.json."""
    path, base = folder / GENERATION, source.model / GENERATION
    there = read_json(path) if path.is_file() else {}
    listed = there.get("eos_token_id")
    ends = frozenset(listed if isinstance(listed, list) else [] if listed is None else [listed])
    wrong = ["the tokens that end an answer are others"] if encoder.stop_ids and ends != encoder.stop_ids else []
    here = {k: v for k, v in (read_json(base) if base.is_file() else {}).items() if k not in {*ASIDE, "eos_token_id"}}
    return wrong + values_differ(here, {name: there.get(name, value) for name, value in here.items()})


def values_differ(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ, each with both values where they are short."""
    plain = [{name: json.dumps(value, sort_keys=True, default=str) for name, value in side.items()} for side in (here, there)]
    wrong = []
    for name in sorted({*here, *there}):
        ours, theirs = plain[0].get(name, "null"), plain[1].get(name, "null")
        if ours != theirs:
            words = f"{name.replace('_', ' ')} is {theirs} instead of {ours}"
            wrong.append(words if len(words) < 120 else f"{name.replace('_', ' ')} is another")
    return wrong


def papers(source: Source, folder: Path, encoder: TextEncoder) -> Check:
    """The tokenizer and the chat template, file by file."""
    wrong, count = [], 0
    for name in TOKENIZER:
        origin = next((place / name for place in (source.adapter, source.model) if (place / name).is_file()), None)
        there = folder / name
        if origin is None and not there.is_file():
            continue
        count += 1
        if not there.is_file():
            wrong.append(f"{name} is missing")
        elif origin is None:
            known = name == "chat_template.jinja" and there.read_text("utf-8") == encoder.template_text
            wrong += [] if known else [f"{name} is there and should not be"]
        elif origin.read_bytes() != there.read_bytes():
            wrong.append(f"{name} is not the model's")
    return facts_check("tokenizer", "files of the tokenizer", wrong, count)


def _damaged(file: Path) -> UserError:
    return UserError(f"{file.name} is cut short or damaged.", "Export it again.", code="damaged")
