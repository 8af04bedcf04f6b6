"""Owns the whole model as an ONNX graph with its key/value cache, for ONNX Runtime: Python, C#, Java, C++, phones and browsers.

Invariant: what was written is loaded in a fresh ONNX Runtime session and compared with what was trained, token by token through the
cache, before it is handed out: past a sliding window here, in all else by the parity gate. Eight bits are offered for their size, never
as faster.
"""

from __future__ import annotations

import gc
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from loralab.core.errors import LabError, Problem
from loralab.core.words import size
from loralab.exports import Format, Note, Source, Trial, formats, merged
from loralab.exports._files import encoder_of, write_ends, write_papers
from loralab.exports._merge import joined
from loralab.exports.gguf_model import TOKENIZER_BYTES, tokenizer_bytes
from loralab.exports.onnx import graph, guide, parts, smaller
from loralab.exports.onnx.inside import inside
from loralab.exports.onnx.loading import open_model
from loralab.exports.parity.checks import BOUNDS
from loralab.exports.parity.reference import log_softmax
from loralab.machine.hardware import measure_machine
from loralab.models.model_folder import count_weights, read_json, weight_files
from loralab.runtimes.onnx import STEPS, absent

NAMES = {
    "int8": "INT8: about four times smaller than fp32 and nearly as good; not faster",
    "uint8": "UINT8: as small as INT8; for older processors, on which INT8 loses accuracy",
    "fp16": "FP16: half the size; for graphics cards",
    "fp32": "FP32: exact; the one for comparing",
}
KIND = {"fp32": "f32", "fp16": "f16"}  # in the words of the proof, whose bounds go by them; the rest is judged by divergence
DISK = {"fp32": 4.2, "fp16": 2.1, "int8": 5.5, "uint8": 5.5}  # bytes a weight; the eight-bit forms are made from fp32 on the disk
LEFT = {"fp32": 4.1, "fp16": 2.1, "int8": 1.05, "uint8": 1.05}  # bytes a weight afterwards
MEMORY = {"fp32": 9.0, "fp16": 9.0, "int8": 16.0, "uint8": 16.0}  # bytes a weight at the highest moment, over what torch itself takes
LIBRARIES = 700 << 20


def refuse(source: Source) -> Problem | None:
    """Needs the base, the adapter, the optional parts, a family that was compared, and a computer with enough memory."""
    missing = merged.refuse(source) or absent()
    if missing:
        return missing
    reason = parts.unfit(read_json(source.model / "config.json"))
    if reason:
        return Problem(code="no_onnx_for_this", what=f"{reason[0].upper()}{reason[1:]}.", todo=_instead(source))
    needed, total = needs_memory(source), measure_machine(source.model).memory_total
    if needed <= total:
        return None
    what = f"Writing this model as ONNX takes about {size(needed)} of memory, and this computer has {size(total)}."
    return Problem(code="too_little_memory", what=what, todo="Choose fp32 or fp16, which take less, a GGUF file, or a larger computer.")


def _instead(source: Source) -> str:
    """What a model that cannot become ONNX can become."""
    fit = [form.label for name, form in formats().items() if name != "onnx" and form.refuse(source) is None]
    return f"It can be taken as: {'; '.join(fit)}."


def needs_memory(source: Source) -> int:
    """Bytes of main memory at the highest moment."""
    return int(_weights(source) * MEMORY[source.variant or "int8"]) + LIBRARIES


def needs_bytes(source: Source) -> int:
    """Bytes on the disk, with what is written on the way."""
    return int(_weights(source) * DISK[source.variant or "int8"]) + TOKENIZER_BYTES


def size_bytes(source: Source) -> int:
    """What is left of that: the numbers in their form, the tokenizer's files."""
    return int(_weights(source) * LEFT[source.variant or "int8"]) + tokenizer_bytes(source)


def _weights(source: Source) -> int:
    return count_weights(weight_files(source.model))[0]


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge, write the graph, make it smaller; past its window it is compared here, on everything else by the parity gate.

    Raises LabError when it says something else past its window.
    """
    variant = source.variant or "int8"
    note(_loading(source))
    encoder = encoder_of(source, target)
    _describe(target, encoder)
    beyond = _written(source, target, variant, note)
    facts = read_past_window(target, beyond, variant)
    write_papers(source, target, merged=True, loading=guide.lines(encoder, variant))
    written = sum((target / name).stat().st_size for name in ("model.onnx", "model.onnx.data"))
    return {"file": "model.onnx", "file_bytes": written} | facts


def _loading(source: Source) -> str:
    needed, free = needs_memory(source), measure_machine(source.model).memory_free
    if needed <= free:
        return "loading the model"
    return f"loading the model; memory is short ({size(free)} free, about {size(needed)} needed): close other programs"


def _describe(target: Path, encoder: Any) -> None:
    """Say where an answer ends and how a conversation is written, in the files where programs look for it."""
    write_ends(target, encoder)
    encoder.keep_template(target)


def _written(source: Source, target: Path, variant: str, note: Note) -> Any:
    """Write the files. Returns what the trained model says past its window."""
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    model: Any = PeftModel.from_pretrained(load_base(source.model, "fp32", torch.device("cpu")), str(source.adapter)).eval()
    beyond = past_window(model)
    note("merging")
    model = joined(model)
    model = model.half() if variant == "fp16" else model
    model.config.dtype = model.dtype  # `half` leaves it as it was, and programs read by it
    model.config.save_pretrained(target)
    note("writing the graph")
    with TemporaryDirectory(dir=target) as folder:
        place = target if variant in KIND else Path(folder)
        graph.write(model, place)
        del model
        gc.collect()  # the quantiser needs the memory
        if place != target:
            note("making it smaller")
            smaller.quantise(place, target, signed=variant == "int8")
    return beyond


WIDEST = 1100  # tokens; a wider window is past what an export is made to read


def past_window(model: Any) -> tuple[list[int], Any] | None:
    """A text longer than the model's sliding window and the logits after its last tokens; None where nothing slides."""
    import torch

    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if not window or window > WIDEST:
        return None
    ids = [(7 + 37 * i) % config.vocab_size for i in range(int(window) + 3 * STEPS)]
    with torch.no_grad():
        return ids, model(input_ids=torch.tensor([ids]), logits_to_keep=STEPS).logits[0].float().numpy()


def read_past_window(target: Path, beyond: Any, variant: str) -> dict[str, Any]:
    """Numbers of the comparison past the window in a fresh session. Raises LabError when it says something else there."""
    if not beyond:
        return {"cached_steps": STEPS}
    ids, logits = beyond
    with closing(open_model(target)) as runtime:
        gap = np.abs(runtime.logits(ids)[-STEPS:] - log_softmax(logits))
    if not gap.max() <= BOUNDS[KIND.get(variant, variant)].largest:
        what = f"Past its sliding window the file says something else (off by up to {gap.max():.2g})."
        raise LabError(what, "Take the adapter or the merged model.", code="onnx_differs")
    return {"cached_steps": STEPS, "tokens_past_window": len(ids), "past_window_max_difference": float(gap.max())}


def _opened(source: Source, folder: Path, room: Path, context: int) -> Any:
    """The folder in a fresh session of ONNX Runtime."""
    return open_model(folder)


FORMAT = Format(
    name="onnx",
    label="ONNX folder",
    words="For ONNX Runtime: in programs of your own, on servers, on phones.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=export,
    size_bytes=size_bytes,
    zipped=False,
    variants=NAMES,
    trial=Trial(
        open=_opened, inside=inside, kind=lambda source: KIND.get(source.variant or "int8", source.variant or "int8"), missing=absent
    ),
)
