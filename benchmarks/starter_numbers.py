"""The starter's held-out numbers for its card: bits per byte on documents kept out of its pretraining, and whether it ends its own turn.

    python -m benchmarks.starter_numbers ../shared/data/pretrain/simple_english.jsonl.xz chat.jsonl [--model data/starter/text]

The documents are the ones `loralab.sessions.corpus.is_heldout` keeps aside; the chats are those the full-tuning run held out (same split).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import torch

from loralab.core.paths import STARTER
from loralab.datasets.loading import load_examples
from loralab.datasets.profile import split
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.base_model import load_base
from loralab.serve.generate import Sampling, generate
from loralab.sessions.corpus import documents, is_heldout
from loralab.sessions.pretrain import token_bytes

ROW = 512  # tokens of context per row, as in pretraining; the first token of a row is not counted
SHARE = 0.01
CHATS, LONGEST_QUESTION, LONGEST_ANSWER = 100, 80, 200


@torch.no_grad()
def bits_per_byte(model: torch.nn.Module, encoder: TextEncoder, corpus: Path) -> tuple[float, int, int]:
    """(bits per byte, bytes, documents) over the documents held out of pretraining, in rows of ROW tokens."""
    sizes = token_bytes(encoder.tokenizer)
    nats, total, count = 0.0, 0, 0
    for text in documents(corpus):
        if not is_heldout(text, SHARE):
            continue
        count += 1
        ids = torch.tensor(encoder.tokenizer.encode(text, add_special_tokens=False).ids)
        for row in ids.split(ROW):
            if len(row) > 1:
                logits = model(row[None]).logits[0, :-1].float()
                nats += torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum").item()
                total += int(sizes[row[1:]].sum())
    return nats / math.log(2) / total, total, count


def own_ends(model: torch.nn.Module, encoder: TextEncoder, chats: Path) -> tuple[int, int, list[dict[str, str]]]:
    """(answers the model ended itself, answers, some of them) over short held-out chats."""
    examples, _ = load_examples(chats, None)
    _, heldout = split(examples, 0.1, 0)
    short = [e for e in heldout if len(e.messages) == 2 and len(e.messages[0].content) <= LONGEST_QUESTION][:CHATS]
    ended, shown = 0, []
    for example in short:
        writing = generate(model, encoder, list(example.messages[:1]), Sampling(max_new_tokens=LONGEST_ANSWER, repetition_penalty=1.1))
        pieces: list[str] = []
        while True:
            try:
                pieces.append(next(writing))
            except StopIteration as stop:
                ended += stop.value.reason == "stop"
                break
        shown.append({"asked": example.messages[0].content, "answered": "".join(pieces)})
    return ended, len(short), shown[:: max(1, len(shown) // 12)]


def main() -> None:
    """Print the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("chats", type=Path)
    parser.add_argument("--model", type=Path, default=STARTER)
    chosen = parser.parse_args()
    model, encoder = load_base(chosen.model, "fp32", torch.device("cpu")), TextEncoder(chosen.model)
    ended, asked, shown = own_ends(model, encoder, chosen.chats)
    per_byte, size, count = bits_per_byte(model, encoder, chosen.corpus)
    found = {
        "bits_per_byte": round(per_byte, 4),
        "heldout_bytes": size,
        "heldout_documents": count,
        "ended_own_turn": ended,
        "chats": asked,
    }
    sys.stdout.write(json.dumps({**found, "samples": shown}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
