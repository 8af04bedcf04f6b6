"""Owns writing what learned to draw in each of its forms, and trying it; only a worker opens this.

Invariants: an adapter's numbers are the trained ones byte for byte; each folder's program draws, in a fresh process, what base and adapter
draw here from the same noise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loralab.core.parity import Check, Parity
from loralab.core.paths import CHECKOUT
from loralab.core.strict_json import load
from loralab.core.words import count
from loralab.exports import Note, Source, _history
from loralab.exports._files import seal
from loralab.exports.adapter import WEIGHTS as TENSORS
from loralab.exports.adapter import checked
from loralab.exports.drawing.kohya import FILE, renamed, restored
from loralab.exports.drawing.names import VERSIONS, layers_of
from loralab.exports.drawing.program import LIBRARY, MAIN
from loralab.exports.parity.checks import untried
from loralab.exports.parity.folders import BASE, SETTINGS, same_tensors
from loralab.exports.pictures.code import ERROR, joined
from loralab.models.adapter_file import KEY, copy_weights
from loralab.models.drawing import INDEX, WEIGHTS, drawing_entry, draws_through_diffusers
from loralab.reports.card import Origin, shared_plan
from loralab.reports.drawings import drawing_card
from loralab.runtimes.vision.drawing import load_drawer, read_card
from loralab.runtimes.vision.painter import How

PROGRAM, CARD = "draw.py", "drawing.json"
BASE_FOLDER = "--base FOLDER_OF_THE_BASE_MODEL "
WORDS, SEED = "a red apple", 5  # of the drawing that is compared
LEVELS, ROUNDED = 3, 6.0  # of 255 that a pixel may differ by; and in half precision all of them on average
SECONDS = 3600.0  # how long the program may take
_RUNTIME = CHECKOUT / "loralab" / "runtimes" / "vision"


def adapter(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Weights, settings, card, plan, history, program and checksums."""
    note("checking the weights")
    tensors, numbers = checked(source.adapter / TENSORS)
    note("writing the adapter")
    copy_weights(source.adapter / TENSORS, target / TENSORS, _history.summary(source))
    _history.write(source, target)
    settings = json.loads((source.adapter / SETTINGS).read_text("utf-8"))
    settings[BASE] = _origin(source).reference
    (target / SETTINGS).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")
    _papers(source, target, "peft", BASE_FOLDER)
    return {"tensors": tensors, "parameters": numbers}


def merged(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge and write."""
    from safetensors.torch import save_file

    note("loading the model")
    painter, card = load_drawer(source.model, source.adapter, merged=True)
    note("writing the model")
    if draws_through_diffusers(source.model):
        pipe: Any = painter.pipe  # type: ignore[attr-defined]  # such a base has one
        pipe.save_pretrained(str(target), safe_serialization=True)
        _papers(source, target, "diffusers", "")
        return {"parameters": sum(value.numel() for value in painter.net.parameters()), "dtype": card.precision}
    tensors = {name: value.detach().float().contiguous() for name, value in painter.net.state_dict().items()}
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})
    _papers(source, target, "pytorch", "")
    return {"tensors": len(tensors), "parameters": sum(value.numel() for value in tensors.values()), "dtype": "fp32"}


def kohya(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """One file under the names of other programs."""
    from safetensors.torch import load_file, save_file

    note("checking the weights")
    checked(source.adapter / TENSORS)
    kind, blocks = _kind(source.model)
    tensors = renamed(load_file(source.adapter / TENSORS), kind, blocks)
    note("writing the file")
    card, rank = read_card(source.adapter), str(source.plan.get("rank", ""))
    about = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": rank,
        "modelspec.trigger_phrase": card.trigger,
    }
    about |= {"format": "pt", "ss_base_model_version": VERSIONS[kind], "ss_output_name": source.run}
    save_file(tensors, target / FILE, metadata=about | {KEY: _history.summary(source)})
    _papers(source, target, "diffusers", BASE_FOLDER)
    return {"tensors": len(tensors), "parameters": sum(value.numel() for value in tensors.values())}


def _kind(base: Path) -> tuple[str, int]:
    """What a base from diffusers calls itself, and how many layers a block of its U-Net has; 0 where it has none."""
    kind = str(load((base / INDEX).read_bytes())["_class_name"])
    unet = base / "unet" / "config.json"
    return kind, int(load(unet.read_bytes()).get("layers_per_block", 2)) if unet.is_file() else 0


def _origin(source: Source) -> Origin:
    entry = drawing_entry(str(source.plan.get("base_model", "")))
    return Origin(name=entry.name, hub_id=entry.hub_id, licence=entry.licence) if entry else source.base


def _papers(source: Source, target: Path, library: str, where: str) -> None:
    """Card, plan, program and checksums."""
    large = draws_through_diffusers(source.model)
    (target / PROGRAM).write_text(LIBRARY.format(where=where) if large else _own(where), "utf-8")
    (target / CARD).write_bytes((source.adapter / CARD).read_bytes())
    text = drawing_card(source.run, source.plan, source.view).replace("library_name: peft", f"library_name: {library}", 1)
    base = "" if large or not where else " Its base model lies in LoRALab's folder `data/starter/draws`."
    library = "`diffusers`, `transformers` and " if large else ""
    needs = f"`torch`, {library}{'`peft`, ' if where else ''}`safetensors`, `numpy` and `pillow`"
    use = f'## How to use it\n\nWith Python, {needs}.{base}\n\n```sh\npython {PROGRAM} {where}--seed 1 --out drawn.png "a red apple"\n```\n'
    (target / "README.md").write_text(f"{text.rstrip()}\n\n{use}", "utf-8")
    plan = json.dumps(shared_plan(source.plan, _origin(source)), indent=2, ensure_ascii=False)
    (target / "plan.json").write_text(plan + "\n", "utf-8")
    seal(target)


def _own(where: str) -> str:
    """The program of the starter, with the starter itself in it."""
    pieces = [_RUNTIME / f"{name}.py" for name in ("hashed_words", "draws", "sampling")]
    return joined(f"Draws a picture of some words: python {PROGRAM} {where}WORDS", pieces, before=ERROR) + MAIN


# ---- trying it ---------------------------------------------------------------------------------------------------------------
def proven_adapter(source: Source, target: Path, note: Note) -> Parity:
    """PEFT's folder: the same numbers bit for bit, and its program draws the same."""
    return _compared(source, target, note, [same_tensors(source.adapter / TENSORS, target / TENSORS)], source.model)


def proven_kohya(source: Source, target: Path, note: Note) -> Parity:
    """One file: the same numbers bit for bit under their other names, and the library's own loader draws the same with it."""
    from safetensors.torch import load_file

    wanted, (kind, blocks) = load_file(source.adapter / TENSORS), _kind(source.model)
    found = restored(load_file(target / FILE), kind, layers_of(list(wanted)), blocks)
    off = [name for name, value in wanted.items() if not value.equal(found[name])]
    words = f"{count(len(wanted), 'tensor')}, and {len(off) or 'none'} differs from what was trained"
    return _compared(source, target, note, [Check(name="weights", ok=not off, words=words)], source.model)


def proven_merged(source: Source, target: Path, note: Note) -> Parity:
    """The whole model: its program draws the same."""
    return _compared(source, target, note, [], None)


def _compared(source: Source, target: Path, note: Note, found: list[Check], base: Path | None) -> Parity:
    if not ((source.model / WEIGHTS).is_file() or draws_through_diffusers(source.model)):
        return untried(
            "The base model is not on this computer any more, so nothing could be compared.", "Put it back and export once more."
        )
    note("drawing with what was trained")
    painter, card = load_drawer(source.model, source.adapter)
    wanted = painter.draw([card.caption(WORDS)], [SEED], How(card.steps, card.guidance, (card.side, card.side)))[0]
    note("trying it where it will be used")
    found.append(_drawing(target, base, wanted, card.precision))
    red = [check for check in found if not check.ok]
    if red:
        words = f"This file does not do what was trained: {'; '.join(check.words for check in red)}."
        return Parity(outcome="differs", words=words, todo="Export it again.", runtime="PyTorch", kind="f32", checks=tuple(found))
    words = f"Its own program was run and drew what was trained: {len(found)} checks, all within their bounds."
    return Parity(outcome="proven", words=words, runtime="PyTorch", kind="f32", checks=tuple(found))


def _drawing(target: Path, base: Path | None, wanted: Any, precision: str) -> Check:
    """What the folder's own program draws in a fresh process, against what was drawn here."""
    with tempfile.TemporaryDirectory() as room:
        out = Path(room, "drawn.png")
        asked = [sys.executable, "-B", str(target / PROGRAM), WORDS, "--seed", str(SEED), "--out", str(out), "--larger", "1"]
        asked += ["--base", str(base)] if base else []
        try:
            done = subprocess.run(asked, cwd=room, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return Check(name="program", ok=False, words="its program did not end")
        if done.returncode or not out.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
            return Check(name="program", ok=False, words=f"its program broke ({last})")
        drawn = np.asarray(Image.open(out).convert("RGB")).astype(int)
    gaps = np.abs(drawn - wanted.astype(int)) if drawn.shape == wanted.shape else np.full(1, 255)
    if precision != "fp32":  # rounding moves single pixels, and the picture hardly at all
        gap, bound = round(float(gaps.mean()), 2), ROUNDED
        words = f"pixels are {gap:g} of 255 levels from what was trained on average"
    else:
        gap, bound = int(gaps.max()), LEVELS
        words = f"no pixel is further than {gap} of 255 levels from what was trained"
    return Check(name="drawing", ok=gap <= bound, words=words, numbers={"levels": gap}, bound={"levels": bound})
