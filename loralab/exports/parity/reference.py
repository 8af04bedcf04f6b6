"""Owns what was trained, asked for its opinion: the conversations, texts and held-out examples every export is compared on.

Invariant: it is asked of base plus adapter as the run left them, in torch, and of nothing that was written for the export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from loralab.core.errors import LabError
from loralab.datasets.dataset import split
from loralab.datasets.loading import load_examples
from loralab.exports import Source
from loralab.models.tokenize import TextEncoder

PROBE = 48  # tokens of the fixed prompt on which logits are compared
ANSWER = 16  # tokens of the greedy answers compared
ROWS, ROW = 6, 96  # held-out examples compared, and tokens of each
NUMBERS = 8_000_000  # logits asked for in all: a large vocabulary is compared on fewer tokens
# Texts on which tokenizers part: spaces, digits, cases, scripts, line ends, and marks next to words as prose, code and JSON have them.
TEXTS = (
    "Hello world",
    "hello",
    "trailing ",
    "a  1",
    "a   b    c",
    "\n",
    "\n\n1. One\n2. Two\n",
    "\r\nline\r\n",
    "\ttab\t\ttabs",
    "Don't DON'T we'll WE'LL I'm I'M they've",
    "1234567890",
    "3.14159 1,000,000 12:30",
    "x=1;y+=22//3",
    "def f(x):\n    return x**2\n",
    "UPPER lower MiXeD",
    "naïve café über Straße",
    "中文字符 日本語 한국어",
    "Привет, мир",
    "مرحبا بالعالم",
    "नमस्ते",
    "🙂🙃 👩\u200d👩\u200d👧",
    "<html><b>bold</b></html>",
    "https://example.org/a?b=c&d=%20",
    "...!!!???---",
    "C:\\path\\file.txt /usr/bin",
    "end.\n\n\nStart",
    "word\n \n  word",
    "#tag @name 50% $5",
    "(see above), [here] and {there}: 'quoted', \"double\"; `tick` -- or/and so_on.",
    '{"name": "Ann", "ages": [1, 2, {"of": null}], "text": "It is (not) so!\\n"}',
    'The answer is:\n\n```python\nfor i in range(10):\n    print(f"{i}")\n```\n\n- first (1)\n- second (2)\n\n**Note:** that\'s all.\n',
    "import os\nfrom pathlib import Path\n\n\nclass A(B):\n    def get(self, key=None):\n        return self._x[key], 'a' + \"b\"\n",
)
# On these llama.cpp differs from some tokenizers by its nature: spaces in front, "</s>" inside a text, letters written in two ways.
ODD = (" leading", "  two leading", "[INST] <s> </s> <|x|>", "e\u0301 a\u0308", "€ £ ½ ² Ⅷ ™", "a\u00a0b\u200bc")
CHATS: tuple[tuple[dict[str, str], ...], ...] = (
    ({"role": "user", "content": "Why is the sky blue?"},),
    ({"role": "user", "content": "  Say it:\n\n1. twice\n2. loud  "},),
    ({"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello! How can I help?"}, {"role": "user", "content": "Sing."}),
    ({"role": "system", "content": "Be short."}, {"role": "user", "content": "What is 12 x 12?"}),
)
Chat = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Row:
    """A text the model reads: ids, which of them it learned to write (all, where nobody said), logits [len(ids), vocabulary]."""

    ids: list[int]
    learned: list[bool]
    logits: Any


@dataclass(frozen=True)
class Own:
    """What the model in torch says with a file's own numbers in it: to the same prompt, examples and questions."""

    logits: Any
    rows: tuple[Any, ...] = ()  # logits of each held-out example
    answers: tuple[list[int], ...] = ()
    exact: bool = True  # computed in fp32


@dataclass(frozen=True)
class Wanted:
    """What base plus adapter say: on a fixed prompt, on held-out examples, and the likeliest answers, each with its end."""

    ids: list[int]
    logits: Any
    answers: tuple[tuple[list[int], list[int]], ...]  # prompt, answer
    rows: tuple[Row, ...] = ()
    chats: tuple[Chat, ...] = ()
    bare: Any = None  # logits of the base alone on the fixed prompt, where there is an adapter to switch off
    own: Own | None = None  # what a finished file's numbers say; None: not looked into

    @property
    def answer(self) -> list[int]:
        """The likeliest answer to the first fixed question."""
        return self.answers[0][1]

    @property
    def longest(self) -> int:
        """Tokens a runtime must be able to read at once."""
        read = [len(self.ids), *(len(row.ids) for row in self.rows), *(len(asked) for asked, _ in self.answers)]
        return max(read) + ANSWER + 16


@dataclass(frozen=True)
class Heldout:
    """Held-out examples as tokens, and their conversations up to where the answer begins."""

    rows: tuple[tuple[list[int], list[bool]], ...] = ()
    chats: tuple[Chat, ...] = ()


def heldout(source: Source, encoder: TextEncoder, vocabulary: int) -> Heldout:
    """Of the run's data, as the run split it; nothing where the data is gone, which is then told."""
    plan = source.plan
    if not plan.get("dataset"):
        return Heldout()
    try:
        examples, _ = load_examples(Path(str(plan.get("dataset") or "")), plan.get("roles") or None, plan.get("parts") or ())
    except (LabError, OSError):
        return Heldout()
    chosen = split(examples, float(plan.get("heldout_share", 0.1)), int(plan.get("seed", 0)), str(plan.get("heldout_by", "likeness")))[1][
        :ROWS
    ]
    room, rows = max(NUMBERS // vocabulary - PROBE, ROW), []
    for row in encoder.many(list(chosen), int(plan.get("max_length", 1024)), str(plan.get("learn_from", "replies"))):
        length = min(len(row.ids), ROW, room)
        if length > 1 and max(row.ids[:length]) < vocabulary:
            rows.append((row.ids[:length], row.learned[:length]))
            room -= length
    asked = [tuple({"role": m.role, "content": m.content} for m in example.messages) for example in chosen if example.messages]
    asked = [chat[:-1] if chat[-1]["role"] == "assistant" else chat for chat in asked]
    return Heldout(tuple(rows), tuple(chat for chat in asked if chat))


def speakable(encoder: TextEncoder, chats: Sequence[Chat]) -> tuple[Chat, ...]:
    """The conversations the template takes as they are; some refuse a system turn, and then nobody can send one."""

    def takes(chat: Chat) -> bool:
        names = {name: encoder.special(name) for name in ("bos_token", "eos_token", "pad_token")}
        try:
            encoder.template.render(messages=list(chat), add_generation_prompt=True, tools=None, documents=None, **names)
        except jinja2.TemplateError:
            return False
        return True

    return tuple(chat for chat in chats if takes(chat))


def probe_ids(encoder: TextEncoder, vocabulary: int) -> list[int]:
    """The prompt whose logits are compared: a conversation, filled up with other texts."""
    ids = encoder.prompt_ids(CHATS[2])
    for text in TEXTS:
        ids += plain_ids(encoder, text)
    return [i for i in ids if i < vocabulary][:PROBE]


def plain_ids(encoder: TextEncoder, text: str) -> list[int]:
    """Token ids of a text, nothing put around it."""
    return encoder.tokenizer.encode(text, add_special_tokens=False).ids


def turn_end(encoder: TextEncoder) -> int | None:
    """The token by which an answer ended in training; None where the template writes none."""
    asked = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    try:
        text = encoder.template.render(
            messages=asked,
            add_generation_prompt=False,
            tools=None,
            documents=None,
            **{name: encoder.special(name) for name in ("bos_token", "eos_token", "pad_token")},
        )
    except jinja2.TemplateError:
        return None
    after = encoder.tokenizer.encode(text.rpartition("b")[2], add_special_tokens=False).ids
    return next((i for i in after if i in encoder.stop_ids), None)


def log_softmax(logits: Any) -> Any:
    """In fp64, over the last axis."""
    values = np.asarray(logits, np.float64)
    values = values - values.max(-1, keepdims=True)
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


def wanted_of(model: Any, encoder: TextEncoder, held: Heldout | None = None) -> Wanted:
    """Asked of the model in torch, in evaluation mode on the CPU."""
    found = held or Heldout()
    ids = probe_ids(encoder, model.config.get_text_config().vocab_size)
    asked = [encoder.prompt_ids(chat) for chat in (CHATS[0], *found.chats[:1])]
    bare = None
    if hasattr(model, "disable_adapter"):
        with model.disable_adapter():
            bare = _logits(model, ids)
    return Wanted(
        ids,
        _logits(model, ids),
        tuple((prompt[-ROW:], _answer(model, prompt[-ROW:], encoder.stop_ids)) for prompt in asked),
        tuple(Row(row, learned, _logits(model, row)) for row, learned in found.rows),
        speakable(encoder, (*CHATS, *found.chats)),
        bare,
    )


def asked_again(model: Any, encoder: TextEncoder, wanted: Wanted) -> Own:
    """The same asked of a model that now holds a file's numbers."""
    answers = tuple(_answer(model, asked, encoder.stop_ids) for asked, _ in wanted.answers)
    exact = next(model.parameters()).dtype.itemsize == 4
    return Own(_logits(model, wanted.ids), tuple(_logits(model, row.ids) for row in wanted.rows), answers, exact)


def _logits(model: Any, ids: list[int]) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].float().numpy()


def _answer(model: Any, asked: list[int], stops: frozenset[int]) -> list[int]:
    answer: list[int] = []
    while len(answer) < ANSWER and not stops & set(answer):
        answer.append(int(_logits(model, asked + answer)[-1].argmax()))
    return answer
