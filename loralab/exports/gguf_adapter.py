"""Owns the adapter alone as a GGUF file, to be put over its base with `--lora`.

Invariant: it is tried in llama.cpp over its own base before it is handed out; where llama.cpp is not installed, the result says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loralab.core.errors import Problem
from loralab.exports import Format, Note, Source, Trial, gguf_model
from loralab.exports._files import encoder_of, write_papers
from loralab.exports.gguf import lora, proof, recipe, tokens, writer
from loralab.exports.gguf.inside import adapter_inside
from loralab.exports.gguf.lora import refused
from loralab.models.model_folder import count_weights, header, read_json, weight_files
from loralab.reports.markdown import shielded
from loralab.runtimes.llama.parent import LlamaCpp


def refuse(source: Source) -> Problem | None:
    """As for the whole model, and the adapter must be of the plain kind that llama.cpp knows."""
    problem = gguf_model.refuse(source)
    if problem:
        return problem
    return refused(read_json(source.adapter / "adapter_config.json")) or _beyond(source)


def _beyond(source: Source) -> Problem | None:
    """What the file holds and llama.cpp has no place for, though its settings are of the plain kind."""
    names = header(source.adapter / "adapter_model.safetensors")
    if any("lora_embedding" in name or ".lora_" not in name for name in names):
        return lora.no("it changes the embedding, or holds whole layers")
    if read_json(source.model / "config.json").get("tie_word_embeddings") and any("lm_head" in name for name in names):
        return lora.no("it changes the output matrix, which in its base is the embedding, too")
    return None


def needs_bytes(source: Source) -> int:
    """The adapter, and for a while its base in sixteen bits to try it on."""
    adapter = 2 * sum(path.stat().st_size for path in source.adapter.glob("*.safetensors"))
    return adapter + 2 * count_weights(weight_files(source.model))[0] + gguf_model.TOKENIZER_BYTES


def size_bytes(source: Source) -> int:
    """The adapter alone."""
    return sum(path.stat().st_size for path in source.adapter.glob("*.safetensors"))


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Write the adapter; the parity gate then puts it over its base in llama.cpp and compares with base plus adapter."""
    path = target / f"{gguf_model.file_name(source)}-lora.gguf"
    note("writing the adapter")
    layers = lora.write(path, source.adapter, read_json(source.model / "config.json"), path.stem)
    write_papers(source, target, loading=_loading(source, path.name))
    return {"file": path.name, "file_bytes": path.stat().st_size, "layers": layers}


def _opened(source: Source, folder: Path, room: Path, context: int) -> Any:
    """The adapter in llama.cpp over its base, which is written to `room` in sixteen bits."""
    import torch

    from loralab.runtimes.base_model import load_base

    papers = room / "papers"
    papers.mkdir()
    encoder = encoder_of(source, papers)
    model = load_base(source.model, "fp32", torch.device("cpu"))
    vocabulary = proof.settled(tokens.read(encoder, model.config.vocab_size), encoder)
    writer.write(room / "base.gguf", model, vocabulary, recipe.VARIANTS["f16"], writer.Label(source.base.name))
    return LlamaCpp(room / "base.gguf", next(folder.glob("*.gguf")), context=context)


def _loading(source: Source, name: str) -> tuple[str, ...]:
    return (
        f"It needs its base, {shielded(source.base.reference)}, as a GGUF file:",
        "",
        "```sh",
        f"llama-cli -m base.gguf --lora {name}",
        f"llama-server -m base.gguf --lora {name}",
        "```",
        "",
        f"In Ollama: a Modelfile with the lines `FROM ./base.gguf` and `ADAPTER ./{name}`.",
        "Where only one file is wanted, export the whole model as GGUF instead.",
    )


FORMAT = Format(
    name="gguf_adapter",
    label="GGUF adapter",
    words="Small; loads over its base in llama.cpp with --lora.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=export,
    size_bytes=size_bytes,
    zipped=False,
    trial=Trial(open=_opened, inside=adapter_inside, kind=lambda source: "f16", missing=gguf_model.missing),
)
