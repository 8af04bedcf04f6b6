"""Owns other people's programs for browsers (data/web) on their way into a page.

Invariant: only a file whose checksum is the one written down there gets into a page, and a change that does not fit exactly is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from loralab.core.errors import LabError
from loralab.core.paths import DATA
from loralab.exports._files import sums_of

WEB = DATA / "web"
OURS = Path(__file__).parent / "web"
LLAMA, LLAMA_CODE = "wllama/wllama.wasm.gz", "wllama/index.js"
ONNX, ONNX_CODE = "onnxruntime/ort-wasm-simd-threaded.wasm.gz", "onnxruntime/ort.wasm.bundle.min.mjs"
# A page opened from a disk may not start a worker from a module, nor may that fetch: it starts a plain one and hands it the program.
_LLAMA_CHANGES = (
    ('return new Worker(workerURL, { type: "module" });', "return new Worker(workerURL);"),
    (
        'new Blob([moduleCode], { type: "text/javascript" }),\n          this.useAsyncFile\n',
        'new Blob([moduleCode], { type: "text/javascript" }),\n          this.useAsyncFile,\n          globalThis.llamaProgram\n',
    ),
    (
        json.dumps("Module = getWModuleConfig(argMainScriptBlob);")[1:-1],
        json.dumps("Module = getWModuleConfig(argMainScriptBlob); Module.wasmBinary = args[2];")[1:-1],
    ),
    ('"https://cdn.jsdelivr.net/npm/@wllama/wllama-compat@3.13.0/wasm/wllama.js"', '""'),
    ('"https://cdn.jsdelivr.net/npm/@wllama/wllama-compat@3.13.0/wasm/wllama.wasm"', '""'),
    ('var HF_BASE = "https://huggingface.co";', 'var HF_BASE = "";'),
)
_EXPORT = re.compile(r"export\s*\{([^}]*)\};?\s*(//# sourceMappingURL=\S+\s*)?$")


def vendored(name: str) -> bytes:
    """A file of data/web. Raises LabError where it is not the one that was put there."""
    path = WEB / name
    raw = path.read_bytes() if path.is_file() else b""
    known = sums_of(WEB).get(name)
    if not raw or known is None or hashlib.sha256(raw).hexdigest() != known:
        what = f"A file that LoRALab brings along is damaged or gone: {path.name}."
        raise LabError(what, "Get LoRALab again and start it once more.", code="damaged")
    return raw


def ours(name: str) -> str:
    """A piece of the page of our own."""
    return (OURS / name).read_text("utf-8")


def library(name: str) -> str:
    """A vendored script as it stands in a page: what it exports is put into `globalThis.<first part of its folder's name>`."""
    text = vendored(name).decode()
    for old, new in _LLAMA_CHANGES if name == LLAMA_CODE else ():
        if text.count(old) != 1:
            raise LabError(f"{name} is not the version that pages are made with.", "Get LoRALab again.", code="damaged")
        text = text.replace(old, new)
    found = _EXPORT.search(text)
    if not found or "</script" in text:
        raise LabError(f"{name} is not the version that pages are made with.", "Get LoRALab again.", code="damaged")
    pairs = [part.split(" as ") for part in re.split(r"\s*,\s*", found[1].strip()) if part]
    members = ", ".join(f"{pair[-1]}: {pair[0]}" for pair in pairs)
    return f"{text[: found.start()]}\nglobalThis.{name.partition('/')[0]} = {{ {members} }};\n"
