"""Owns looking into a finished GGUF file: whether its header, its tokenizer and every tensor are the trained model's.

Invariants: the file is read by the gguf package, a tensor at a time, and what it must hold is derived from the run's own folders. How
rows are ordered is known to the writer and to this module alike; that the order is right is shown by the program that runs the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import numpy as np

from loralab.core.errors import UserError
from loralab.core.parity import Check
from loralab.exports import Source
from loralab.exports.gguf import lora, recipe, tokens, writer
from loralab.exports.gguf.families import FAMILIES, Settings
from loralab.exports.gguf.tensors import Names, arranged, flipped, weights
from loralab.exports.parity import rounding
from loralab.exports.parity.tally import Tally, facts_check
from loralab.exports.parity.trained import Trained
from loralab.models.gguf import families as other_way
from loralab.models.gguf import header as headers
from loralab.runtimes.llama.gguf_file import check as whole

LABELS = ("general.name", "general.license", "general.base_model.")  # what a file is called; nothing is computed by it
TOKENS = "tokenizer."
POSITIONS = "transformer.wpe.weight"  # GPT-2's, looked up and never multiplied with
CLOSE = 1e-5  # of the largest number: what is left of an adapter's product after its scale was folded in
READ_BACK = (
    "hidden_size",
    "num_hidden_layers",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "rms_norm_eps",
    "vocab_size",
    "sliding_window",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "query_pre_attn_scalar",
)


def inside(source: Source, folder: Path, trained: Trained) -> Iterator[Check]:
    """Settings, tokenizer and weights of the one file in `folder`. Raises UserError where it cannot be read."""
    yield from file_inside(only(folder), trained, recipe.VARIANTS[source.variant or recipe.DEFAULT])


def file_inside(path: Path, trained: Trained, variant: recipe.Variant) -> Iterator[Check]:
    """The same for a file of any place."""
    reader = whole(path)
    yield from _header(path, reader, trained, variant)
    yield _weights(reader, trained, variant)


def only(folder: Path) -> Path:
    """The GGUF file of an export. Raises UserError where there is none, or more than one."""
    found = sorted(folder.glob("*.gguf"))
    if len(found) != 1:
        what = f"There are {len(found)} GGUF files in {folder.name}, where one was made."
        raise UserError(what, "Export it again.", code="no_file")
    return found[0]


# ---- the header ------------------------------------------------------------------------------------------------------------


def _header(path: Path, reader: gguf.GGUFReader, trained: Trained, variant: recipe.Variant) -> Iterator[Check]:
    there = {name: found.contents() for name, found in reader.fields.items() if not name.startswith("GGUF.")}
    vocabulary = tokens.read(trained.encoder, int(trained.config["vocab_size"]))
    if not vocabulary.pre and there.get("tokenizer.ggml.pre") in tokens.OTHERS:  # found by trying, and tried again by the texts
        vocabulary = vocabulary.named(str(there["tokenizer.ggml.pre"]))
    label = writer.Label(str(there.get("general.name", "")).removesuffix(writer.STRIPS if vocabulary.strips else ""))
    here = writer.header(trained.config, vocabulary, variant, label)
    names = sorted(name for name in {*here, *there} if not name.startswith(LABELS))
    kept = [name for name in names if not name.startswith(TOKENS)]
    wrong = [fault for name in kept if (fault := _fault(name, here.get(name), there.get(name)))]
    if there.get("general.name") != here.get("general.name"):
        wrong.append("its name makes programs take it for a model of another kind")
    read_back = _read_back(path, trained.config)
    yield facts_check("settings", "settings", [*wrong, *read_back], len(kept) + len(READ_BACK))
    kept = [name for name in names if name.startswith(TOKENS)]
    wrong = [fault for name in kept if (fault := _fault(name, here.get(name), there.get(name)))]
    yield facts_check("tokenizer", "parts of the tokenizer", wrong, len(kept))


def _fault(name: str, here: Any, there: Any) -> str:
    """What is wrong with one value of the header, as a part of a sentence; empty where nothing is."""
    short = name.rpartition(".")[2].replace("_", " ")
    if here is None or there is None:
        return f"{short} is missing" if there is None else f"{short} is there and should not be"
    if isinstance(here, list | tuple):
        return _list_fault(short, list(here), there)
    if isinstance(here, float):
        return "" if np.float32(here) == np.float32(there) else f"{short} is {there:g} instead of {here:g}"
    same = here == there and isinstance(here, bool) == isinstance(there, bool)
    if same:
        return ""
    return f"{short} is another text" if isinstance(here, str) and len(here) > 40 else f"{short} is {there} instead of {here}"


def _list_fault(short: str, here: list[Any], there: Any) -> str:
    if not isinstance(there, list) or len(there) != len(here):
        return f"{short} has {len(there) if isinstance(there, list) else 1} entries instead of {len(here)}"
    differ = [i for i, (a, b) in enumerate(zip(here, there, strict=True)) if a != b]
    return f"{short} differ in {len(differ)} places, first at {differ[0]}" if differ else ""


def _read_back(path: Path, config: Settings) -> list[str]:
    """Settings as the way from GGUF to a model folder reads them, which shares no line with the writer; families it knows only."""
    found = headers.read(path)
    if found.architecture not in other_way.FAMILIES:
        return []
    try:
        settings = other_way.settings(found)
    except UserError:
        return []  # a stretching that only the writer knows
    wrong = []
    for name in READ_BACK:
        here, there = config.get(name), settings.get(name)
        if here is None or there is None or isinstance(here, dict):
            continue
        if not math.isclose(float(here), float(there), rel_tol=1e-5):
            wrong.append(f"{name.replace('_', ' ')} reads as {there:g} and is {here:g}")
    return wrong


# ---- the tensors -----------------------------------------------------------------------------------------------------------


def _weights(reader: gguf.GGUFReader, trained: Trained, variant: recipe.Variant) -> Check:
    config = trained.config
    places = {w.name: w for w in weights(SimpleNamespace(state_dict=trained.bare), config)}
    shapes = {name: tuple(w.values.shape)[:: -1 if flipped(w.source, config) else 1] for name, w in places.items()}
    choices = recipe.choose(shapes.items(), variant, config, FAMILIES[config["model_type"]].arch)
    tally = Tally(frozenset(places))
    for tensor in reader.tensors:
        place, shape = places.get(tensor.name), tuple(int(n) for n in tensor.shape)[::-1]
        if place is None:
            tally.seen.add(tensor.name)
        elif shape != shapes[tensor.name]:
            tally.fault(tensor.name, f"it has the shape {shape} instead of {shapes[tensor.name]}")
        else:
            kind = choices[tensor.name].kind
            if tensor.tensor_type != kind:
                tally.fault(tensor.name, f"its numbers are {tensor.tensor_type.name} where {kind.name} belongs")
            _compare(tensor, place, trained, tally)
    return tally.check(trained.strength())


def _compare(tensor: Any, place: Any, trained: Trained, tally: Tally) -> None:
    """One tensor against the trained one; its numbers then take that one's place."""
    import torch

    config, kind = trained.config, tensor.tensor_type
    raw = np.asarray(tensor.data)
    if not place.source:  # what only llama.cpp has
        tally.add(tensor.name, rounding.packed(place.values.numpy(), raw, kind))
        return
    wanted = trained.weight(place.source)
    turned = flipped(place.source, config)
    here = arranged(place.source, wanted.T if turned else wanted, config).contiguous().numpy()
    if tensor.name not in tally.wrong:
        tally.add(tensor.name, rounding.packed(here, raw, kind))
    there = torch.from_numpy(np.array(gguf.quants.dequantize(raw, kind), np.float32).reshape(here.shape))
    back = _as_it_was(place.source, there, config)
    trained.put(place.source, back.T if turned else back)


def _as_it_was(source: str, values: Any, config: Settings) -> Any:
    """llama.cpp's order of rows turned back into the model's."""
    import torch

    if FAMILIES[config["model_type"]].unit_offset and source.endswith("norm.weight"):
        return values - 1
    order = arranged(source, torch.arange(values.shape[0]), config)
    found = torch.empty_like(values)
    found[order] = values
    return found


# ---- an adapter ------------------------------------------------------------------------------------------------------------


def adapter_inside(source: Source, folder: Path, trained: Trained) -> Iterator[Check]:
    """An adapter's file: what llama.cpp will add to each weight, against what PEFT adds. Raises UserError where it cannot be read."""
    reader = whole(only(folder))
    config = trained.config
    there = {name: found.contents() for name, found in reader.fields.items() if not name.startswith("GGUF.")}
    here: dict[str, Any] = {"general.architecture": FAMILIES[config["model_type"]].arch, "general.type": "adapter", "adapter.type": "lora"}
    here["adapter.lora.alpha"] = float(lora.settings_of(source.adapter)["lora_alpha"])
    names = sorted(name for name in {*here, *there} if not name.startswith(LABELS))
    yield facts_check("settings", "settings", [f for n in names if (f := _fault(n, here.get(n), there.get(n)))], len(names))
    yield _pairs(reader, trained, float(there.get("adapter.lora.alpha", 0.0)))


def _pairs(reader: gguf.GGUFReader, trained: Trained, alpha: float) -> Check:
    import torch

    config, names = trained.config, Names(trained.config)
    sources = {names(name): name for name in trained.learned()}
    found = {t.name: torch.from_numpy(np.array(t.data, np.float32)) for t in reader.tensors}
    tally = Tally(frozenset(f"{name}.lora_{side}" for name in sources for side in "ab"))
    tally.seen |= set(found)
    added: dict[str, Any] = {}
    for name, source in sources.items():
        a, b = (found.get(f"{name}.lora_{side}") for side in "ab")
        turned, wanted = flipped(source, config), trained.delta(source)
        here = arranged(source, wanted.T if turned else wanted, config)
        if a is None or b is None:
            continue
        if (b.shape[0], a.shape[1]) != tuple(here.shape) or a.shape[0] != b.shape[1]:
            tally.fault(f"{name}.lora_b", "it has another shape")
            continue
        there = b @ a * (alpha / a.shape[0])
        if not float((there - here).abs().max()) <= CLOSE * float(here.abs().max()):
            tally.fault(f"{name}.lora_b", "what it adds is not what was learned")
        back = _as_it_was(source, there, config)
        added[source] = back.T if turned else back
    for source, kept in trained.bare().items():
        if source in added or kept.ndim > 1:
            whole = kept.detach() if source == POSITIONS else kept.detach().half()  # as the base is written that it is tried over
            trained.put(source, whole.float() + added.get(source, 0.0))
    return tally.check(trained.strength())
