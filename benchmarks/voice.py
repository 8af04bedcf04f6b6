"""How soon the advisor's language model answers: seconds for a choice among the rules' answers, and to the first word of its own.

Run: `python -m benchmarks.voice FOLDER [--threads N] [--model FILE]`. Builds a random model of Qwen3-1.7B's shape as Q4_K_M with our own
writer (layers alike, so that packing takes seconds) or takes FILE, asks it about a run with every row there may be, and prints a row per
runtime: seconds, and processor seconds of the child over its threads, about what a quiet machine needs.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from advisor.assistant import prompts
from advisor.assistant.choosing import LABELS
from advisor.assistant.evidence import EvidencePack
from advisor.words.intents import QUESTIONS
from loralab.core.paths import STARTER
from loralab.runtimes.llama.parent import BACKENDS
from loralab.runtimes.speech import local_model
from loralab.runtimes.speech.local_model import LocalModel

SHAPE = {
    "hidden_size": 2048,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 6144,
    "vocab_size": 151_936,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
WHAT = (
    "held-out loss before training",
    "held-out loss after training",
    "share by which the held-out loss fell",
    "updates made",
    "learning rate",
    "examples learned from",
    "time of training",
    "updates planned",
)
WORDS = 40  # tokens written


def build(path: Path) -> None:
    """A random model of that shape, as Q4_K_M: one layer's numbers, written for every layer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from loralab.exports.gguf import recipe, tokens, writer
    from loralab.models.tokenize import TextEncoder
    from loralab.runtimes.llama import parent, quantizer

    torch.manual_seed(7)
    config = Qwen3Config(**{**SHAPE, "bos_token_id": 0, "eos_token_id": 3, "pad_token_id": 1})
    with torch.device("meta"):
        model = Qwen3ForCausalLM(config)
    kept: dict[Any, torch.nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            made = kept.setdefault(tuple(parameter.shape), torch.nn.Parameter(torch.randn(parameter.shape) * 0.02, requires_grad=False))
            setattr(module, name, made)
    packed, ready = writer.packed, {}

    def once(values: Any, kind: Any, foreign: Any) -> Any:
        key = (tuple(values.shape), kind)
        if key not in ready:
            ready[key] = packed(values, kind, foreign)
        return ready[key]

    writer.packed = once
    vocabulary = tokens.read(TextEncoder(STARTER), config.vocab_size)

    def ggml(kind: str, columns: int, raw: bytes) -> bytes:
        return quantizer.Quantizer().quantize(parent.packing_library(), kind, columns, raw)

    writer.write(path, model, vocabulary, recipe.VARIANTS["q4_k_m"], writer.Label("random 1.7B"), foreign=ggml)


def pack() -> EvidencePack:
    """A run's evidence with every row there may be."""
    from advisor.diagnosis.findings import Evidence

    rows = tuple(Evidence(what=what, value=1.5 + n) for n, what in enumerate(WHAT))
    return EvidencePack(state="finished", verdict="better", rows=rows)


def timed(model: LocalModel, do: Callable[[], object]) -> str:
    """Seconds that something takes, and processor seconds of the child over its threads."""
    child = psutil.Process(model._child.pid)  # noqa: SLF001  # type: ignore[union-attr]
    begun, used = time.monotonic(), sum(child.cpu_times()[:2])
    do()
    return f"{time.monotonic() - begun:.1f} s (quiet: {(sum(child.cpu_times()[:2]) - used) / model._threads:.1f})"  # noqa: SLF001


def measured(path: Path, runtime: str) -> str:
    """A row: loading, a choice among all the rules' answers, the first word, and all words."""
    model = LocalModel(path, runtime, patience=600)
    titles = [*QUESTIONS.values(), prompts.NONE]
    asked = prompts.choice("Why did it stop and what should I do next?", LABELS, titles)
    try:
        begun = time.monotonic()
        messages = prompts.fitting(pack(), "Why did it stop and what should I do next?", model.count)
        loaded = f"{path.stat().st_size / 1e9:.2f} GB, {model._threads} threads, loaded in {time.monotonic() - begun:.1f} s"  # noqa: SLF001
        chosen = timed(model, lambda: model.weigh(asked, LABELS[: len(titles)]))
        first = timed(model, lambda: next(iter(model.speak(messages, WORDS))))
        whole = timed(model, lambda: list(model.speak(messages, WORDS)))
        tokens = f"{model.count(asked)} and {model.count(messages)} tokens"
        row = f"{runtime}: {loaded}; one order of a choice {chosen}; first word {first}; {WORDS} words {whole}; {tokens}"
    except Exception as error:  # noqa: BLE001  (a runtime that does not do it is a row, too)
        row = f"{runtime}: {error}"
    finally:
        model.close()
    return row


def main() -> None:
    """Build the model where it is not there yet, and measure each runtime."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model", type=Path, help="a GGUF file instead of the random one")
    asked = parser.parse_args()
    path = asked.model or asked.folder / "random-1.7b-q4_k_m.gguf"
    if not path.is_file():
        build(path)
    if asked.threads:
        local_model.cores = lambda *, busy: asked.threads
    for runtime in filter(importlib.util.find_spec, BACKENDS):
        sys.stdout.write(f"{measured(path, runtime)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
