"""Owns which number type each tensor gets in each variant.

Invariant: the same types as llama.cpp's own quantizer chooses (llama-quant.cpp).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import gguf

from loralab.exports.gguf.families import Settings, heads, layers

Q = gguf.GGMLQuantizationType
FILE = gguf.LlamaFileType
K_QUANTS = (Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K)  # packed by ggml itself, where it can be called
BLOCK = 256  # numbers that share a scale in the k-quants; a row is a multiple of it or is packed otherwise


@dataclass(frozen=True)
class Variant:
    """One way to pack the numbers."""

    name: str
    words: str
    kind: gguf.GGMLQuantizationType  # of most matrices
    file_type: gguf.LlamaFileType
    bits: float  # per weight, about, for the estimate before


VARIANTS: dict[str, Variant] = {
    v.name: v
    for v in (
        Variant("q4_k_m", "small and nearly as good; what most people take", Q.Q4_K, FILE.MOSTLY_Q4_K_M, 4.9),
        Variant("q5_k_m", "a little larger and closer to the original", Q.Q5_K, FILE.MOSTLY_Q5_K_M, 5.7),
        Variant("q6_k", "hardly to be told from the original", Q.Q6_K, FILE.MOSTLY_Q6_K, 6.6),
        Variant("q8_0", "half the size of f16, as good as the original", Q.Q8_0, FILE.MOSTLY_Q8_0, 8.5),
        Variant("q2_k", "the smallest; noticeably worse", Q.Q2_K, FILE.MOSTLY_Q2_K, 3.4),
        Variant("f16", "sixteen bits, as good as exact", Q.F16, FILE.MOSTLY_F16, 16.1),
        Variant("bf16", "sixteen bits, exactly as most models are trained", Q.BF16, FILE.MOSTLY_BF16, 16.1),
        Variant("f32", "exact, four bytes a weight; for checking", Q.F32, FILE.ALL_F32, 32.0),
    )
}
DEFAULT = "q4_k_m"
_FALLBACK = {Q.Q2_K: Q.Q4_0, Q.Q3_K: Q.Q4_0, Q.Q4_K: Q.Q5_0, Q.Q5_K: Q.Q5_1, Q.Q6_K: Q.Q8_0}
_WHOLE = ("position_embd.weight",)  # looked up, never multiplied with: left in fp32


@dataclass(frozen=True)
class Choice:
    """The type of one tensor, and the one it would have had if its rows were a multiple of 256 (or of 32)."""

    kind: gguf.GGMLQuantizationType
    wanted: gguf.GGMLQuantizationType


def choose(shapes: Iterable[tuple[str, tuple[int, ...]]], variant: Variant, config: Settings, arch: str) -> dict[str, Choice]:
    """Types by tensor name. `shapes` are (name, [out, in] or [n])."""
    known = dict(shapes)
    tied = "output.weight" not in known
    found: dict[str, Choice] = {}
    for name, shape in known.items():
        if len(shape) < 2 or name.endswith("_norm.weight") or name in _WHOLE:
            found[name] = Choice(Q.F32, Q.F32)
            continue
        wanted = _wanted(name, shape[-1], variant, config, arch, tied=tied)
        found[name] = Choice(_fitting(wanted, shape[-1]), wanted)
    return found


def _fitting(wanted: gguf.GGMLQuantizationType, columns: int) -> gguf.GGMLQuantizationType:
    if columns % gguf.GGML_QUANT_SIZES[wanted][0] == 0:
        return wanted
    second = _FALLBACK.get(wanted, wanted)
    return second if columns % gguf.GGML_QUANT_SIZES[second][0] == 0 else Q.F16


def _wanted(name: str, columns: int, variant: Variant, config: Settings, arch: str, *, tied: bool) -> gguf.GGMLQuantizationType:
    kind = variant.kind
    if kind in (Q.F32, Q.F16, Q.BF16):
        return kind
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        whole = columns % gguf.GGML_QUANT_SIZES[kind][0] == 0
        return Q.Q8_0 if kind == Q.Q8_0 or arch == "falcon" or not whole else Q.Q6_K
    part = name.split(".")[2] if name.startswith("blk.") else ""
    block, blocks = (int(name.split(".")[1]) if part else 0), layers(config)
    if kind == Q.Q2_K:
        return _smallest(part, config, arch)
    return _better(part, block, blocks, kind, arch) if kind in (Q.Q4_K, Q.Q5_K) else kind


def _better(part: str, block: int, blocks: int, kind: gguf.GGMLQuantizationType, arch: str) -> gguf.GGMLQuantizationType:
    """Values and the feed-forward's way out suffer most: some of them get more bits."""
    more = _more_bits(block, blocks)
    if part in ("attn_v", "attn_qkv"):
        seventy = arch in ("llama", "qwen2") and blocks == 80  # models of 70 billion share values eight times over
        return Q.Q6_K if more else Q.Q5_K if seventy else kind
    if part == "ffn_down" and arch == "falcon" and kind == Q.Q4_K:
        return Q.Q6_K if block < blocks // 16 else Q.Q5_K if more else Q.Q4_K
    return Q.Q6_K if part == "ffn_down" and more else kind


def _smallest(part: str, config: Settings, arch: str) -> gguf.GGMLQuantizationType:
    queries, keys = heads(config)
    if part in ("attn_v", "attn_qkv"):
        return Q.Q4_K if queries // keys >= 4 else Q.Q3_K
    if part == "ffn_down" or (part == "attn_output" and arch != "falcon"):
        return Q.Q3_K
    return Q.Q2_K


def _more_bits(block: int, blocks: int) -> bool:
    """First and last eighth, and every third in between."""
    return block < blocks // 8 or block >= 7 * blocks // 8 or (block - blocks // 8) % 3 == 2


def told(choices: dict[str, Choice]) -> str:
    """In words what was packed otherwise than asked, because its rows have an odd length. Empty when nothing was."""
    odd = [choice for choice in choices.values() if choice.kind != choice.wanted]
    if not odd:
        return ""
    pairs = sorted({f"{c.wanted.name} became {c.kind.name}" for c in odd})
    return (
        f"{len(odd)} of {len(choices)} tensors have rows that this type cannot take and were packed a little larger "
        f"({', '.join(pairs)}); llama.cpp does the same, and the file is larger than its name suggests."
    )
