"""Owns the measurement of how soon the advisor's language model speaks: seconds to its first word, cold and with the run read already.

Run: `python -m benchmarks.voice FOLDER [--threads N] [--model FILE]`. Builds a random model of Qwen3-1.7B's shape as Q4_K_M with our own
writer (layers alike, so that packing takes seconds) or takes FILE, asks it about a run with every row there may be, and prints a row per
runtime: seconds, and tokens that were read, which do not depend on what else the computer does.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from advisor.assistant import prompts
from advisor.assistant.evidence import Pack, Row
from advisor.assistant.runtime import local_model
from advisor.assistant.runtime.local_model import LocalModel
from loralab.core.paths import STARTER
from loralab.runtimes.llama.parent import BACKENDS

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
WORDS = 40  # tokens written for tokens/s


def build(path: Path) -> None:
    """A random model of that shape, as Q4_K_M: one layer's numbers, written for every layer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from loralab.exports.gguf import recipe, tokens, writer
    from loralab.models.tokenize import TextEncoder

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
    writer.write(path, model, vocabulary, recipe.VARIANTS["q4_k_m"], writer.Label("random 1.7B"))


def pack() -> Pack:
    """A run's evidence with every row there may be."""
    from advisor.diagnosis.findings import Evidence

    rows = tuple(Row(name=f"E{n}", evidence=Evidence(what=what, value=1.5 + n)) for n, what in enumerate(WHAT, 1))
    return Pack(run="r", state="finished", verdict="better", rows=rows)


def first_word(model: LocalModel, messages: Any) -> tuple[float, float, int, int]:
    """Seconds to the first token; processor seconds of the child until then, over its threads: about what a quiet machine needs; tokens
    read for it; and tokens until there is a letter to show, which for a random model may be many.
    """
    with model._working() as child:  # noqa: SLF001
        process = psutil.Process(child.pid)
        begun, used = time.monotonic(), sum(process.cpu_times()[:2])
        child.ask("begin", ids=child.ask("chat_ids", messages=list(messages))[0], limit=WORDS)
        piece, tokens = child.ask("more")[0], 1
        first, worked = time.monotonic() - begun, sum(process.cpu_times()[:2]) - used
        while piece == "":
            piece, tokens = child.ask("more")[0], tokens + 1
        read = child.ask("evaluated")[0]
        child.ask("stop")
    return first, worked / model._threads, read, tokens  # noqa: SLF001


def measured(path: Path, runtime: str) -> str:
    """A row: cold, the next question, and the first question after the run was read ahead."""
    model = LocalModel(path, runtime, patience=600)
    try:
        begun = time.monotonic()
        messages = prompts.fitting(pack(), "Why did it stop and what should I do next?", model.count)
        loaded = time.monotonic() - begun
        about = f"{path.stat().st_size / 1e9:.2f} GB, {model._threads} threads, loaded in {loaded:.1f} s"  # noqa: SLF001
        cold = _told(model, messages)
        warm = _told(model, prompts.narration(pack(), "Did it get better than it was before?"))
        model.close()
        begun = time.monotonic()
        one, other = prompts.narration(pack(), prompts.STORY), prompts.narration(pack(), "?")
        read = f"{model.read(one, other)} tokens in {time.monotonic() - begun:.1f} s with loading"
        ahead = _told(model, messages)
        return f"{runtime}: {about}; cold {cold}; next question {warm}; read ahead {read}, then {ahead}; load {os.getloadavg()[0]:.1f}"
    except Exception as error:  # noqa: BLE001  (a runtime that does not do it is a row, too)
        return f"{runtime}: {error}"
    finally:
        model.close()


def _told(model: LocalModel, messages: Any) -> str:
    seconds, quiet, read, until = first_word(model, messages)
    each = f"{1000 * quiet / max(1, read):.0f} ms of processor each"
    return f"{seconds:.1f} s (quiet: {quiet:.1f}), {read} of {model.count(messages)} tokens read ({each}), a letter at token {until}"


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
