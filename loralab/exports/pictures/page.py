"""Owns the page that looks at pictures by itself: one HTML file with the model in it, for a USB stick, an e-mail or a web space.

Invariant: the parity gate takes the model out of the finished page and compares it as any other ONNX file; the page compares itself with
known pictures each time it is opened.
"""

from __future__ import annotations

from loralab.exports import Format, Proof, later
from loralab.exports.pictures.onnx import refuse
from loralab.runtimes.onnx import absent

NAMES = {"fp32": "Exact: number for number", "int8": "Small: half the size and nearly as good"}
BYTES = {"fp32": 24 << 20, "int8": 13 << 20}
SECONDS = 60.0  # on two busy cores: a quarter of it writes the graph, the rest compares

FORMAT = Format(
    name="page",
    label="Page that answers by itself",
    words="One file to open with a double click: it looks at pictures in the browser, on the visitor's own device, without a network.",
    refuse=refuse,
    needs_bytes=lambda source: 2 * BYTES[source.variant or "fp32"],
    export=later("loralab.exports.page.pictures:export"),
    size_bytes=lambda source: BYTES[source.variant or "fp32"],
    zipped=False,
    variants=NAMES,
    seconds=lambda source: SECONDS,
    proof=Proof(later("loralab.exports.page.pictures:compare"), absent),
)
