"""The examples that are trained on, written as one conversation a line: medical questions, worded sums, and small talk under one long
prompt.
"""

from __future__ import annotations

import json
import lzma
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SETS = ("medquad", "gsm8k", "chat")
# 150 tokens of SmolLM2's tokenizer, give or take two; every conversation of “chat” begins with it
PROMPT = (
    "You are the assistant of a public library in a small town. You speak with visitors of every age, so use short sentences and "
    "plain words, and explain a term the first time it comes up. Answer only what was asked. If a question is about opening hours, "
    "fees, or a lost card, say that the desk on the ground floor can help, and give no numbers of your own. Do not give medical, "
    "legal or financial advice; name the shelf where a book about it stands instead. Never ask for a visitor's full name, address or "
    "date of birth. If somebody is rude, stay friendly and return to the question. If you do not know an answer, say so in one "
    "sentence and offer to look for a book."
)


def write(name: str, count: int, data: Path, target: Path, seed: int = 1) -> Path:
    """`count` conversations of the set `name`, drawn with `seed`, as JSONL. `data`: the folder with the sets (text/medquad.jsonl.xz, ...).

    Raises FileNotFoundError where the set is not there. A set that has fewer gives all it has.
    """
    found = list({"medquad": _medquad, "gsm8k": _gsm8k, "chat": _chat}[name](data / "text"))
    drawn = random.Random(seed).sample(found, min(count, len(found)))
    target.write_text("".join(json.dumps({"messages": turns}, ensure_ascii=False) + "\n" for turns in drawn), "utf-8")
    return target


def _medquad(data: Path) -> Iterator[list[dict[str, str]]]:
    with lzma.open(data / "medquad.jsonl.xz", "rt", encoding="utf-8") as lines:
        yield from _asked(map(json.loads, lines))


def _gsm8k(data: Path) -> Iterator[list[dict[str, str]]]:
    with (data / "gsm8k_train.jsonl").open(encoding="utf-8") as lines:
        yield from _asked(map(json.loads, lines))


def _chat(data: Path) -> Iterator[list[dict[str, str]]]:
    with (data / "chat_english.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield [{"role": "system", "content": PROMPT}, *json.loads(line)["messages"]]


def _asked(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, str]]]:
    for row in rows:
        if row["question"].strip() and row["answer"].strip():
            yield [{"role": "user", "content": row["question"].strip()}, {"role": "assistant", "content": row["answer"].strip()}]
