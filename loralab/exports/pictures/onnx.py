"""Owns the whole model for pictures as one ONNX file, for ONNX Runtime: Python, C#, Java, C++, phones and browsers.

Invariant: all that has to be known to use it is in the file; the fp32 form is the trained model number for number.
"""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.exports import Format, Proof, Source, later
from loralab.exports.pictures import merged
from loralab.models.vision import WEIGHTS
from loralab.runtimes.onnx import absent

NAMES = {"fp32": "FP32: exact, number for number", "int8": "INT8: a third of the size and nearly as good; not faster"}
BYTES = {"fp32": 13 << 20, "int8": 5 << 20}
NOT_PROVEN = ("d_fine",)  # bases of which no graph was held against what was trained
SECONDS = 50.0  # on two busy cores: a quarter of it writes the graph, the rest compares


def refuse(source: Source) -> Problem | None:
    """Needs what the merged model needs, and the optional part."""
    if source.variant == "int8" and merged.based_on(source):
        what = "The smaller form is only made of models from the starter for pictures."
        return Problem(code="no_int8", what=what, todo="Take the exact form (FP32).")
    if merged.based_on(source) in NOT_PROVEN:
        what = "A model made from this base is not written as an ONNX file yet: it was never proven to say the same there."
        return Problem(code="onnx_not_proven", what=what, todo="Take the adapter.")
    return merged.refuse(source) or absent()


def _bytes(source: Source) -> int:
    """The whole base in fp32, and a little for its head."""
    if merged.based_on(source):
        return (source.model / WEIGHTS).stat().st_size + BYTES["fp32"] if (source.model / WEIGHTS).is_file() else BYTES["fp32"]
    return BYTES[source.variant or "fp32"]


FORMAT = Format(
    name="onnx",
    label="ONNX file",
    words="For ONNX Runtime: in programs of your own, on phones, in a browser.",
    refuse=refuse,
    needs_bytes=_bytes,
    export=later("loralab.exports.pictures.making:onnx"),
    zipped=False,
    variants=NAMES,
    seconds=lambda source: SECONDS,
    proof=Proof(later("loralab.exports.pictures.inside:onnx"), absent),
)
