"""Owns which parts and which models an ONNX export works with. No onnx and no torch: the app asks, too.

Invariant: a model family is listed only if exports of it were compared with PyTorch (benchmarks/onnx.py does so).
"""

from __future__ import annotations

from typing import Any

FAMILIES = frozenset(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2", "falcon", "gpt_neox"))
POSITIONS = frozenset(("default", "linear", "llama3", "longrope"))  # ways of stretching positions that were compared, too


def unfit(config: dict[str, Any]) -> str:
    """Why a model of this config.json cannot become ONNX, as the end of a sentence; empty when it can."""
    kind = str(config.get("model_type", ""))
    if kind not in FAMILIES:
        return f"LoRALab cannot write this kind of model ({(config.get('architectures') or [kind or 'unknown'])[0]}) as ONNX"
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    each = [part for part in rope.values() if isinstance(part, dict)] or [rope]  # Gemma 3 has one for each kind of layer
    odd = {str(part.get("rope_type") or part.get("type") or "default") for part in each} - POSITIONS
    return f"its way of stretching positions ({', '.join(sorted(odd))}) is not one LoRALab writes as ONNX" if odd else ""
