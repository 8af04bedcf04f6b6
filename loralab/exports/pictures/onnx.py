"""Owns the whole model for pictures as one ONNX file, for ONNX Runtime: Python, C#, Java, C++, phones and browsers.

Invariant: all that has to be known to use it is in the file; the fp32 form is the trained model number for number.
"""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.exports import Format, Proof, Source, later
from loralab.exports.pictures import merged
from loralab.runtimes.onnx import absent

NAMES = {"fp32": "FP32: exact, number for number", "int8": "INT8: a third of the size and nearly as good; not faster"}
BYTES = {"fp32": 13 << 20, "int8": 5 << 20}
SECONDS = 50.0  # on two busy cores: a quarter of it writes the graph, the rest compares


def refuse(source: Source) -> Problem | None:
    """Needs what the merged model needs, and the optional part."""
    return merged.refuse(source) or absent()


def _bytes(source: Source) -> int:
    """The whole base in fp32, and a little for its head."""
    return merged.needs_bytes(source) if merged.based_on(source) else BYTES[source.variant or "fp32"]


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
