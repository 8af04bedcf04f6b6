"""Owns the page that answers by itself: one HTML file with the model in it, for a USB stick, an e-mail or a web space.

Invariant: the parity gate takes the model out of the finished page, tries it in llama.cpp and compares it with what was trained, as with
every other file; and the page compares itself with known answers each time it is opened.
"""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import size
from loralab.exports import Format, Source, Trial, gguf_model, later
from loralab.models.model_folder import count_weights, weight_files

NAMES = {
    "q8_0": "Balanced: half the size and as good",
    "q4_k_m": "Small: a quarter of the size, nearly as good",
    "f16": "Exact: as it was trained",
}
PROGRAM = 5 << 20  # bytes of the program for browsers, as letters
LETTERS = 4 / 3  # letters for a byte
MOST = 2_000_000_000  # bytes of a file that llama.cpp can read in a browser
SECONDS, PACE = 60.0, 90.0  # of the libraries' start, here and in the gate; for a thousand million weights


def refuse(source: Source) -> Problem | None:
    """Needs what a GGUF file needs, and llama.cpp here: it writes down the answers by which a page proves itself."""
    found = gguf_model.refuse(source) or gguf_model.missing()
    if found:
        return found
    if _model(source) <= MOST:
        return None
    what = f"This model is too large for a browser: about {size(_model(source))}, and 2 GB is the most."
    return Problem(code="too_large", what=what, todo="Take a smaller form, or a GGUF file for a program on the computer.")


def _model(source: Source) -> int:
    """Bytes of the model, with what was learned beside it."""
    learned = sum(path.stat().st_size for path in source.adapter.glob("*.safetensors"))
    return gguf_model.size_bytes(source) + learned


def size_bytes(source: Source) -> int:
    """The model and the program as letters."""
    return int(_model(source) * LETTERS) + PROGRAM


def needs_bytes(source: Source) -> int:
    """The page, and for a while the files that go into it."""
    return size_bytes(source) + gguf_model.needs_bytes(source)


def _seconds(source: Source) -> float:
    return SECONDS + PACE * count_weights(weight_files(source.model))[0] / 1e9


FORMAT = Format(
    name="page",
    label="Page that answers by itself",
    words="One file to open with a double click: it answers in the browser, on the visitor's own device, without a network.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=later("loralab.exports.page.text:export"),
    size_bytes=size_bytes,
    zipped=False,
    variants=NAMES,
    seconds=_seconds,
    trial=Trial(
        open=later("loralab.exports.page.text:opened"),
        inside=later("loralab.exports.page.text:inside"),
        kind=lambda source: source.variant or "q8_0",
        missing=gguf_model.missing,
    ),
)
