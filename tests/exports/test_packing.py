"""Numbers packed: by ggml itself where it is smaller than eight bits, in the types that llama.cpp chooses."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
import pytest
import torch

from loralab.core.errors import UserError
from loralab.exports.gguf import recipe, writer
from loralab.runtimes.llama import parent, quantizer
from loralab.runtimes.llama.child import QUANTIZER

pytestmark = pytest.mark.worker

Q = gguf.GGMLQuantizationType


def matrix(rows: int = 64, columns: int = 1024) -> torch.Tensor:
    """Weights as training leaves them: normal, some rows larger, with the cases that are special."""
    torch.manual_seed(3)
    x = torch.randn(rows, columns) * 0.03
    x[1] *= 100
    x[2], x[3], x[4, :256] = 0.0, -0.5, 1.0
    x[5, ::7] = 4.0
    x[6, :32] = 0.0
    x[7] = x[7].abs()
    return x


def test_long_matrices_are_packed_in_parts_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = matrix(16, 512)
    whole = writer.packed(x, Q.Q8_0, None)
    monkeypatch.setattr(writer, "ROWS", 5)
    assert np.array_equal(writer.packed(x, Q.Q8_0, None), whole)


def test_numbers_that_do_not_fit_are_told() -> None:
    with pytest.raises(UserError, match="BF16"):
        writer.packed(torch.full((2, 32), 1e5), Q.F16, None)
    writer.packed(torch.full((2, 32), 1e5), Q.BF16, None)
    with pytest.raises(UserError, match="not finite"):
        writer.packed(torch.full((2, 32), torch.nan), Q.Q8_0, None)


def test_ggml_packs_in_a_child_what_it_packs() -> None:
    library = parent.packing_library()
    assert library, "the tests bring xllamacpp, which offers it here"
    child = parent.Child(QUANTIZER)

    def foreign(kind: str, columns: int, raw: bytes) -> bytes:
        return child.ask("quantize", raw, library=library, type_name=kind, columns=columns)[1]

    try:
        x = matrix(8, 512)
        for kind, size in ((Q.Q2_K, 84), (Q.Q3_K, 110), (Q.Q4_K, 144), (Q.Q5_K, 176), (Q.Q6_K, 210)):
            assert writer.packed(x, kind, foreign).shape == (8, 2 * size)
        theirs = quantizer.Quantizer().quantize(library, "Q4_K", 512, x.numpy().tobytes())
        assert writer.packed(x, Q.Q4_K, foreign).tobytes() == theirs
    finally:
        child.close()
    with pytest.raises(RuntimeError, match="needs llama"):
        writer.packed(x, Q.Q2_K, None)


# ---- which tensor gets which type ------------------------------------------------------------------------------------------

# Counts of types from llama.cpp's own llama_model_quantize; on ten models in six variants ours agreed tensor by tensor.
LLAMA = {"num_hidden_layers": 10, "hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2}
GOLDEN = [
    ("llama", LLAMA, 256, 512, True, "q4_k_m", {"F32": 21, "Q6_K": 11, "Q4_K": 60}),
    ("llama", LLAMA, 256, 512, True, "q5_k_m", {"F32": 21, "Q6_K": 11, "Q5_K": 60}),
    ("llama", LLAMA, 256, 512, True, "q6_k", {"F32": 21, "Q6_K": 71}),
    ("llama", LLAMA, 256, 512, True, "q8_0", {"F32": 21, "Q8_0": 71}),
    ("llama", LLAMA, 256, 512, True, "q2_k", {"F32": 21, "Q6_K": 1, "Q2_K": 40, "Q3_K": 30}),
    ("llama", {**LLAMA, "num_hidden_layers": 4}, 320, 528, False, "q4_k_m", {"Q8_0": 3, "F32": 9, "Q5_0": 23, "F16": 4}),
    ("llama", {**LLAMA, "num_hidden_layers": 4}, 320, 528, False, "q5_k_m", {"Q8_0": 3, "F32": 9, "Q5_1": 23, "F16": 4}),
    ("llama", {**LLAMA, "num_hidden_layers": 4}, 320, 528, False, "q2_k", {"Q8_0": 1, "F32": 9, "Q4_0": 25, "F16": 4}),
]


def shapes(layers: int, hidden: int, inner: int, *, tied: bool) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"token_embd.weight": (300, hidden), "output_norm.weight": (hidden,)}
    found |= {} if tied else {"output.weight": (300, hidden)}
    for i in range(layers):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"):
            found[f"blk.{i}.{part}.weight"] = (hidden, hidden)
        found[f"blk.{i}.ffn_down.weight"] = (hidden, inner)
        found |= {f"blk.{i}.{part}.weight": (hidden,) for part in ("attn_norm", "ffn_norm")}
    return found


@pytest.mark.parametrize(("arch", "config", "hidden", "inner", "tied", "variant", "counts"), GOLDEN)
def test_types_are_those_llama_cpp_chooses(
    arch: str, config: dict[str, Any], hidden: int, inner: int, tied: bool, variant: str, counts: dict[str, int]
) -> None:
    asked = shapes(config["num_hidden_layers"], hidden, inner, tied=tied)
    chosen = recipe.choose(asked.items(), recipe.VARIANTS[variant], config, arch)
    kinds = [choice.kind.name for choice in chosen.values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == counts


def test_what_was_packed_otherwise_is_told() -> None:
    chosen = recipe.choose(shapes(2, 576, 1536, tied=True).items(), recipe.VARIANTS["q4_k_m"], {**LLAMA, "num_hidden_layers": 2}, "llama")
    words = recipe.told(chosen)
    assert "Q4_K became Q5_0" in words
    assert "llama.cpp does the same" in words
    assert recipe.told(recipe.choose(shapes(2, 256, 512, tied=True).items(), recipe.VARIANTS["q4_k_m"], LLAMA, "llama")) == ""
