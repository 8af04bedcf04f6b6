"""Owns finding llama.cpp's name for a word splitting that was not recognised, by trying. What proves an export is the parity gate.

Invariant: a name is taken only if the texts on which tokenizers part are split as in training.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import numpy as np

from loralab.core import parts
from loralab.core.errors import LabError
from loralab.exports.gguf.tokens import OTHERS, Vocabulary
from loralab.exports.gguf.writer import safe_name
from loralab.exports.parity.checks import FEW
from loralab.exports.parity.reference import TEXTS, plain_ids
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.llama.parent import LlamaCpp, backend


def settled(vocabulary: Vocabulary, encoder: TextEncoder) -> Vocabulary:
    """The vocabulary with a name for its word splitting; one that was not recognised is found by trying.

    Raises Unavailable when it must be tried and llama.cpp is not installed, LabError when nothing fits.
    """
    if vocabulary.pre:
        return vocabulary
    if not backend():
        raise parts.unavailable("llama_cpp", "This model's tokenizer has to be tried out in llama.cpp, which is not installed.")
    with TemporaryDirectory() as folder:
        tried = {name: _differing(vocabulary.named(name), encoder, Path(folder) / "tokens.gguf") for name in OTHERS}
    best = min(tried, key=lambda name: tried[name])
    if tried[best] <= FEW:
        return vocabulary.named(best)
    what = "llama.cpp splits texts into other tokens than this model's tokenizer does, whatever it is told."
    raise LabError(what, "Take the adapter or the merged model instead.", code="tokens_differ")


def _differing(vocabulary: Vocabulary, encoder: TextEncoder, path: Path) -> int:
    """On how many texts a model with only this tokenizer splits differently; all of them when llama.cpp will not load it."""
    _only_tokens(replace(vocabulary, template=""), path)
    try:
        with closing(LlamaCpp(path, context=64)) as runtime:
            return sum(runtime.tokenize(text, added=False) != plain_ids(encoder, text) for text in TEXTS)
    except LabError:
        return len(TEXTS)


def _only_tokens(vocabulary: Vocabulary, path: Path) -> None:
    """The smallest model there can be around a tokenizer."""
    width = 32
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(safe_name("tokens", strips=vocabulary.strips))
    for add, value in (
        (writer.add_context_length, 64),
        (writer.add_embedding_length, width),
        (writer.add_block_count, 1),
        (writer.add_feed_forward_length, width),
        (writer.add_head_count, 1),
        (writer.add_head_count_kv, 1),
        (writer.add_rope_dimension_count, width),
    ):
        add(value)
    writer.add_layer_norm_rms_eps(1e-6)
    vocabulary.write(writer)
    square = np.zeros((width, width), np.float32)
    writer.add_tensor("token_embd.weight", np.zeros((len(vocabulary.tokens), width), np.float16))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
