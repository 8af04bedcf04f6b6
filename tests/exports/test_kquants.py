"""Numbers packed in plain torch: the same blocks as ggml writes, the same types as llama.cpp chooses."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
import pytest
import torch

from loralab.core.errors import UserError
from loralab.exports.gguf import kquants, packing, recipe
from loralab.runtimes.llama import parent, quantizer
from loralab.runtimes.llama.child import QUANTIZER

pytestmark = pytest.mark.worker

Q = gguf.GGMLQuantizationType
KINDS = ["Q4_K", "Q5_K", "Q6_K"]


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


def unpacked(raw: Any, kind: str) -> Any:
    return gguf.quants.dequantize(np.ascontiguousarray(raw), Q[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_those_of_ggml(kind: str) -> None:
    x = matrix()
    ours = kquants.pack(x, kind).numpy()
    raw = quantizer.Quantizer().quantize(parent.packing_library(), kind, x.shape[1], x.numpy().tobytes())
    theirs = np.frombuffer(raw, np.uint8).reshape(ours.shape)
    assert (ours == theirs).mean() > 0.97  # the rest are ties that sums in another order decide otherwise
    errors = [np.sqrt(np.square(unpacked(packed, kind) - x.numpy()).mean(1)) for packed in (ours, theirs)]
    assert errors[0].mean() < 1.005 * errors[1].mean()
    assert (errors[0] <= 1.1 * errors[1] + 1e-7).all(), "no single row is worse than ggml's"


@pytest.mark.parametrize(("kind", "bound"), [("Q4_K", 0.082), ("Q5_K", 0.042), ("Q6_K", 0.021)])
def test_the_error_is_that_of_the_bits(kind: str, bound: float) -> None:
    torch.manual_seed(1)
    x = torch.randn(32, 512)
    assert np.sqrt(np.square(unpacked(kquants.pack(x, kind).numpy(), kind) - x.numpy()).mean()) < bound


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_constants_and_tiny_numbers_stay_finite(kind: str) -> None:
    x = torch.zeros(4, 256)
    x[1], x[2], x[3] = 0.25, -0.25, 1e-20
    back = unpacked(kquants.pack(x, kind).numpy(), kind)
    assert np.isfinite(back).all()
    assert not back[0].any()
    assert np.abs(back - x.numpy()).max() < 0.01


def test_a_row_that_is_no_multiple_of_256_is_not_packed() -> None:
    with pytest.raises(ValueError, match="multiple"):
        kquants.pack(torch.zeros(2, 200), "Q4_K")


def test_long_matrices_are_packed_in_parts_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = matrix(16, 512)
    whole = kquants.pack(x, "Q4_K")
    monkeypatch.setattr(kquants, "CHUNK", 3)
    monkeypatch.setattr(packing, "ROWS", 5)
    assert torch.equal(whole, kquants.pack(x, "Q4_K"))
    assert np.array_equal(packing.packed(x, Q.Q4_K, None), whole.numpy())


def test_numbers_that_do_not_fit_are_told() -> None:
    with pytest.raises(UserError, match="BF16"):
        packing.packed(torch.full((2, 32), 1e5), Q.F16, None)
    packing.packed(torch.full((2, 32), 1e5), Q.BF16, None)
    with pytest.raises(UserError, match="not finite"):
        packing.packed(torch.full((2, 32), torch.nan), Q.Q8_0, None)


def test_ggml_packs_in_a_child_what_it_packs() -> None:
    library = parent.packing_library()
    assert library, "the tests bring xllamacpp, which offers it here"
    child = parent.Child(QUANTIZER)

    def foreign(kind: str, columns: int, raw: bytes) -> bytes:
        return child.ask("quantize", raw, library=library, type_name=kind, columns=columns)[1]

    try:
        x = matrix(8, 512)
        for kind, size in ((Q.Q2_K, 84), (Q.Q3_K, 110), (Q.Q4_K, 144), (Q.Q5_K, 176), (Q.Q6_K, 210)):
            assert packing.packed(x, kind, foreign).shape == (8, 2 * size)
        theirs = quantizer.Quantizer().quantize(library, "Q4_K", 512, x.numpy().tobytes())
        assert packing.packed(x, Q.Q4_K, foreign).tobytes() == theirs
    finally:
        child.close()
    with pytest.raises(RuntimeError, match="needs llama"):
        packing.packed(x, Q.Q2_K, None)


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
