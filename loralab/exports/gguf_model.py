"""Owns the whole model as one GGUF file, for llama.cpp and all that is built on it (Ollama, LM Studio, Jan).

Invariant: what llama.cpp would run differently from what was trained is refused or written so that it does not; the parity gate has the
last word.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loralab.core import parts
from loralab.core.errors import LabError, Problem, Unavailable, UserError
from loralab.exports import Format, Note, Source, Trial, merged
from loralab.exports._files import encoder_of, write_papers
from loralab.exports._merge import joined
from loralab.exports.gguf import proof, recipe, tokens, writer
from loralab.exports.gguf.families import refused
from loralab.exports.gguf.inside import inside
from loralab.exports.gguf.recipe import K_QUANTS, VARIANTS
from loralab.exports.gguf.writer import Label
from loralab.models.model_folder import count_weights, read_json, weight_files
from loralab.runtimes.llama.child import QUANTIZER
from loralab.runtimes.llama.parent import Child, LlamaCpp, packing_library

NAMES = {
    "q4_k_m": "Q4_K_M: small and nearly as good; what most people take",
    "q5_k_m": "Q5_K_M: a little larger and closer to the original",
    "q6_k": "Q6_K: hardly to be told from the original",
    "q8_0": "Q8_0: half the size of F16 and as good",
    "q2_k": "Q2_K: the smallest, noticeably worse",
    "f16": "F16: sixteen bits, as good as exact",
    "bf16": "BF16: sixteen bits, exactly as most models were trained",
    "f32": "F32: exact and four times as large as Q8_0; for checking",
}
BITS = {"q4_k_m": 5.2, "q5_k_m": 5.9, "q6_k": 6.7, "q8_0": 8.6, "q2_k": 4.2, "f16": 16.1, "bf16": 16.1, "f32": 32.1}  # a weight, about
TOKENIZER_BYTES = 24 << 20  # the largest tokenizers there are


def refuse(source: Source) -> Problem | None:
    """Needs the base, the adapter, and a family that llama.cpp runs as it was trained."""
    missing = merged.refuse(source)
    if missing:
        return missing
    asked = VARIANTS.get(source.variant)
    closed = asked and asked.kind in K_QUANTS and not packing_library()
    return refused(read_json(source.model / "config.json")) or (_no_packing(source.variant) if closed else None)


def needs_bytes(source: Source) -> int:
    """By the bits a weight takes; rows that a type cannot take are packed larger, so a fifth is added."""
    weights = count_weights(weight_files(source.model))[0]
    return int(weights * BITS[source.variant or "q4_k_m"] / 8 * 1.2) + TOKENIZER_BYTES


def size_bytes(source: Source) -> int:
    """The same without what is added to be sure, and with this model's own tokenizer."""
    weights = count_weights(weight_files(source.model))[0]
    return int(weights * BITS[source.variant or "q4_k_m"] / 8) + tokenizer_bytes(source)


def tokenizer_bytes(source: Source) -> int:
    """What a model's tokenizer takes: as its file, or the largest there are where it has another form."""
    file = source.model / "tokenizer.json"
    return file.stat().st_size if file.is_file() else TOKENIZER_BYTES


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge and write; the parity gate then loads the file in llama.cpp and compares."""
    variant = recipe.VARIANTS[source.variant or recipe.DEFAULT]
    path = target / f"{file_name(source)}-{variant.name.upper()}.gguf"
    with TemporaryDirectory() as folder:
        encoder = encoder_of(source, Path(folder))
        odd = _written(path, source, encoder, variant, note)
    write_papers(source, target, merged=True, loading=_loading(path.name))
    return {"file": path.name, "file_bytes": path.stat().st_size, "in_words": odd}


def _written(path: Path, source: Source, encoder: Any, variant: Any, note: Note) -> str:
    """Write the file; returns in words what was packed otherwise."""
    with packing(variant) as pack:
        note("loading the model")
        model = trained(source)
        vocabulary = proof.settled(tokens.read(encoder, model.config.vocab_size), encoder)
        note("merging")
        model = _writable(joined(model))
        note("writing the file")
        choices = writer.write(path, model, vocabulary, variant, label_of(source), note, pack)
    return recipe.told(choices)


@contextmanager
def packing(variant: recipe.Variant) -> Generator[writer.Foreign | None]:
    """What packs the k-quants of a variant; None where it has none. Raises Unavailable where it cannot be had."""
    foreign = _foreign(variant)
    try:
        yield foreign and foreign.pack
    finally:
        if foreign:
            foreign.close()


def trained(source: Source) -> Any:
    """Base plus adapter in fp32 as PEFT holds them. Raises UserError for a family that cannot be written."""
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    raw = read_json(source.model / "config.json")
    attention = "eager" if raw.get("attn_logit_softcapping") else "sdpa"
    model: Any = PeftModel.from_pretrained(load_base(source.model, "fp32", torch.device("cpu"), attention), str(source.adapter)).eval()
    return _writable(model)


def _writable(model: Any) -> Any:
    """The same. Raises UserError where llama.cpp runs it otherwise: merging may have made two matrices of one."""
    problem = refused(model.config.to_dict())
    if problem:
        raise UserError(problem.what, problem.todo, code=problem.code)
    return model


class _Packing:
    """llama.cpp's own packing of numbers, in its child process."""

    def __init__(self, library: str) -> None:
        self._library, self._child = library, Child(QUANTIZER)

    def pack(self, kind: str, columns: int, raw: bytes) -> bytes:
        return self._child.ask("quantize", raw, library=self._library, type_name=kind, columns=columns)[1]

    def close(self) -> None:
        self._child.close()


def _foreign(variant: Any) -> _Packing | None:
    """What packs k-quants, tried on one block: a library that is there may still keep its packing to itself. None for other types.

    Raises Unavailable where it cannot be had.
    """
    if variant.kind not in K_QUANTS:
        return None
    if library := packing_library():
        found = _Packing(library)
        try:
            found.pack("Q4_K", 256, bytes(4 * 256))
        except LabError:
            found.close()
        else:
            return found
    problem = _no_packing(variant.name)
    raise Unavailable(problem.what, problem.todo, code=problem.code, part=problem.part)


def _no_packing(variant: str) -> Problem:
    lost = parts.missing("llama_cpp", f"{variant.upper()} is packed by llama.cpp's own library, which is not installed here.")
    if lost:
        return lost
    what = (
        f"{variant.upper()} is packed by llama.cpp's own library, and the one on this computer does not offer that (on Windows none does)."
    )
    todo = "Choose q8_0, which every computer can make: twice the size of q4_k_m, and as good as the original."
    return Problem(code="no_llama_cpp", what=what, todo=todo)


def opened(source: Source, folder: Path, room: Path, context: int) -> Any:
    """The file in llama.cpp."""
    return LlamaCpp(next(folder.glob("*.gguf")), context=context)


def missing() -> Problem | None:
    """What GGUF files are tried with, where it is not installed."""
    return parts.missing("llama_cpp", "llama.cpp is not installed here, so the file was not tried out.")


TRIAL = Trial(open=opened, inside=inside, kind=lambda source: source.variant or "q4_k_m", missing=missing)


def file_name(source: Source) -> str:
    """The base's name and the run's title, fit for any disk."""
    name = f"{source.base.name}-{source.plan.get('title') or source.run}"
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80].lower() or "model"


def label_of(source: Source) -> Any:
    """What the file says about itself."""
    url = f"https://huggingface.co/{source.base.hub_id}" if source.base.hub_id else ""
    return Label(name=file_name(source), base=source.base.name, base_url=url, licence=source.base.licence)


def _loading(name: str) -> tuple[str, ...]:
    return (
        "```sh",
        f"llama-cli -m {name}",
        f"llama-server -m {name}",
        "```",
        "",
        "In LM Studio, Jan or another program built on llama.cpp: open the file. In Ollama: a Modelfile with the line",
        f"`FROM ./{name}`, then `ollama create my-model -f Modelfile`. The chat template is inside the file.",
    )


FORMAT = Format(
    name="gguf",
    label="GGUF file",
    words="One file for Ollama, LM Studio, Jan and llama.cpp; runs without Python.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=export,
    size_bytes=size_bytes,
    zipped=False,
    variants=NAMES,
    trial=TRIAL,
)
