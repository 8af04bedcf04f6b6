"""Owns making a page of a model for pictures, and comparing a finished one; only a worker opens this.

Invariant: the known pictures in the page are drawn by a formula, in the browser as here, so that no picture of anybody stands in it.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from loralab.core.errors import LabError
from loralab.core.parity import Check, Parity
from loralab.exports import Note, Source
from loralab.exports.page import assets, document
from loralab.exports.page.text import place_of
from loralab.exports.page.told import told
from loralab.exports.pictures import graph, inside, making, papers
from loralab.exports.pictures.program.seen import seen
from loralab.models.vision import vision_entry
from loralab.reports.pictures import DOES, NOT_MEDICAL, limits
from loralab.runtimes.vision.picture_model import PictureCard, read_card

MODEL, PROGRAM = "model.onnx", "onnx.wasm.gz"
SAID = 64  # numbers kept of each output of a known picture
NEAR = {"fp32": 0.002, "int8": 0.05}  # of the largest: how far they may be off; eight bits are rounded otherwise on other processors
SIZES = ((2, 1, 1), (1, 3, 1), (9, 7, 2), (5, 5, 1), (15, 8, 2))  # of known pictures, in parts of the model's own: across, down, divided by


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Write the graph, look at the known pictures with it, and put all of it into a page.

    Returns file, file_bytes and known (how many pictures it knows).
    """
    card = read_card(source.adapter)
    with TemporaryDirectory(dir=target) as folder:
        room = Path(folder)
        made = room / "made"
        made.mkdir()
        making.onnx(source, made, note)
        note("writing down known answers")
        known = answers(made / graph.FILE, card)
        (room / PROGRAM).write_bytes(assets.vendored(assets.ONNX))
        note("writing the page")
        file = target / "page.html"
        document.write(_page(source, card, {PROGRAM: room / PROGRAM, MODEL: made / graph.FILE}, known), file)
    papers.write(source, card, target, "onnx")
    (target / "predict.py").unlink()
    papers.seal(target)
    return {"file": file.name, "file_bytes": file.stat().st_size, "known": len(known)}


def _page(source: Source, card: PictureCard, parts: dict[str, Path], known: list[dict[str, Any]]) -> document.Page:
    source = papers.unnamed(source, card)
    entry = vision_entry(str(source.plan.get("base_model", "")))
    what = f"A model that {DOES[card.task]}, made from {entry.title if entry else 'a bundled model'} on one computer."
    lines = limits(source.plan, entry, medical=card.medical)
    shown = told(source, what, lines, NOT_MEDICAL if card.medical else "")
    settings = {
        "id": f"{source.run}-{source.variant}",
        "card": json.loads(card.model_dump_json()),
        "outputs": list(graph.told_names(card.task)),
        "near": NEAR[source.variant or "fp32"],
        "known": known,
    }
    scripts = ("common.js", "resize.js", "pictures.js")
    return document.Page(shown, settings, parts, assets.ONNX_CODE, scripts, "pictures.html.jinja")


def drawn(width: int, height: int, kind: int) -> npt.NDArray[np.uint8]:
    """A known picture [height, width, 3]; `drawn` in pictures.js is the same formula."""
    y, x, c = np.mgrid[:height, :width, :3]
    return ((x * (3 + kind) + y * (5 + 2 * c) + ((x * y) >> 4)) & 255).astype(np.uint8)


def answers(model: Path, card: PictureCard) -> list[dict[str, Any]]:
    """The known pictures, each with the checksum of the pixels that the model reads, and some numbers of what it says."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    found = []
    for kind, (across, down, divided) in enumerate(SIZES):
        width, height = card.width * across // divided, card.height * down // divided
        pixels, _ = seen(Image.fromarray(drawn(width, height, kind)), card.model_dump())
        said: list[Any] = list(session.run(None, {graph.INPUT: pixels.transpose(2, 0, 1)[None].astype(np.float32)}))
        kept = [[float(v) for v in part.reshape(-1)[:: max(1, part.size // min(SAID, part.size))][: min(SAID, part.size)]] for part in said]
        found.append({"width": width, "height": height, "kind": kind, "pixels": zlib.crc32(pixels.tobytes()), "said": kept})
    return found


def compare(source: Source, target: Path, note: Note) -> Parity:
    """Take the model out of the page and compare it as any other; whether the browser's program is the right one is one check more."""
    with TemporaryDirectory() as folder:
        room, taken = Path(folder, "parts"), Path(folder, "onnx")
        room.mkdir()
        taken.mkdir()
        try:
            parts = document.parts_into(place_of(target), room)
            (taken / graph.FILE).write_bytes(parts[MODEL].read_bytes())
            same = parts[PROGRAM].read_bytes() == assets.vendored(assets.ONNX)
        except (LabError, KeyError, OSError) as error:
            words = "the page cannot be read any more"
            return Parity(outcome="differs", words=f"{words}.", checks=(Check(name="loads", ok=False, words=f"{words} ({error})"),))
        papers.write(source, read_card(source.adapter), taken, "onnx")
        found = inside.onnx(source, taken, note)
    words = f"the program for browsers is {'the one' if same else 'not the one'} that LoRALab brings"
    checks = (Check(name="program_for_browsers", ok=same, words=words), *found.checks)
    if same:
        return found.model_copy(update={"checks": checks})
    return found.model_copy(update={"checks": checks, "outcome": "differs", "words": f"This file does not do what was trained: {words}."})
