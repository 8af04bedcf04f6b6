"""How GGUF files compare with torch: `python -m benchmarks.gguf FOLDER`. Two tables in Markdown: families in fp32, and one model of 100
million weights in each variant with time, size and agreement. Needs llama.cpp for Python (xllamacpp).
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from tests.support import gguf_models

MIDDLE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "intermediate_size": 2048,
    "vocab_size": 32000,
}


def families(place: Path) -> None:
    """Every family once, fp32 file and fp32 cache."""
    sys.stdout.write(
        "| family | logits, largest difference | mean | same likeliest token | texts split differently |\n|---|--:|--:|--:|--:|\n"
    )
    for name in gguf_models.FAMILIES:
        model, encoder, _ = gguf_models.written(gguf_models.model_folder(place / name, name), place / "m.gguf")
        facts = gguf_models.compared(place / "m.gguf", model, encoder)
        numbers = f"{facts['max_logit_difference']:.1e} | {facts['mean_logit_difference']:.1e} | {facts['top1_agreement']:.0%}"
        sys.stdout.write(f"| {name} | {numbers} | {len(facts['texts_differ'])} |\n")


def variants(place: Path) -> None:
    """One larger model in every variant we write ourselves; seconds are of the writing alone."""
    folder = gguf_models.model_folder(place / "middle", "llama", **MIDDLE)
    sys.stdout.write("\n| variant | seconds | MB | divergence (nats) | same likeliest token |\n|---|--:|--:|--:|--:|\n")
    for name in ("f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"):
        begun = time.monotonic()
        model, encoder, _ = gguf_models.written(folder, place / "m.gguf", name)
        spent, size = time.monotonic() - begun, (place / "m.gguf").stat().st_size
        facts = gguf_models.compared(place / "m.gguf", model, encoder, name)
        sys.stdout.write(f"| {name} | {spent:.1f} | {size / 1e6:.0f} | {facts['divergence']:.1e} | {facts['top1_agreement']:.0%} |\n")
        sys.stdout.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(f"\nPeak of this process: {peak / 1e9:.2f} GB.\n")


if __name__ == "__main__":
    families(Path(sys.argv[1]))
    variants(Path(sys.argv[1]))
