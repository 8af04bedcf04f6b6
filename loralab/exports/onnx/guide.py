"""Owns the guide in an ONNX folder: a program of a few lines that runs as it is, with this model's own words in it.

Invariant: what is printed here is run by the tests.
"""

from __future__ import annotations

import re

from loralab.models.tokenize import TextEncoder

_MARK = "\u2063question\u2063"  # invisible separators: no template writes them

PROGRAM = '''\
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BEFORE, AFTER = {before}, {after}  # how this model's conversations are written down
STOP = {stop}  # {names}: the end of an answer
TYPES = {{"tensor(float)": np.float32, "tensor(float16)": np.float16}}

session = onnxruntime.InferenceSession("model.onnx")  # model.onnx.data has to lie beside it
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.no_truncation()
tokenizer.no_padding()
inputs = {{i.name: i for i in session.get_inputs()}}
outputs = [o.name for o in session.get_outputs()]


def answers(questions, limit=200):
    """The model's likeliest answers to several questions at once, token by token; what it has read is kept in `cache`."""
    rows = [tokenizer.encode(BEFORE + question + AFTER, add_special_tokens=False).ids for question in questions]
    gaps = [max(map(len, rows)) - len(row) for row in rows]  # shorter rows are filled up in front, and that is masked
    ids = np.array([[0] * gap + row for gap, row in zip(gaps, rows)], np.int64)
    mask = np.array([[0] * gap + [1] * len(row) for gap, row in zip(gaps, rows)], np.int64)
    cache = {{n: np.zeros((len(rows), i.shape[1], 0, i.shape[3]), TYPES[i.type]) for n, i in inputs.items() if n.startswith("past")}}
    said, going = [[] for _ in rows], set(range(len(rows)))
    for _ in range(limit):
        places = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        feed = {{"input_ids": ids, "attention_mask": mask, "position_ids": places, **cache}}
        logits, *kept = session.run(None, {{name: feed[name] for name in inputs}})
        cache = {{name.replace("present", "past_key_values"): value for name, value in zip(outputs[1:], kept)}}
        ids = logits[:, -1].argmax(-1).astype(np.int64)[:, None]
        mask = np.concatenate([mask, np.ones_like(ids)], 1)
        going -= {{row for row in going if int(ids[row, 0]) in STOP}}
        if not going:
            break
        for row in going:
            said[row].append(int(ids[row, 0]))
    return [tokenizer.decode(row) for row in said]


print(*answers(["{question}"]), sep="\\n")
'''
QUESTION = "What can you do?"


def lines(encoder: TextEncoder, variant: str) -> tuple[str, ...]:
    """The part of the card about using the folder."""
    written = program(encoder).rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", written)), default=0))  # a template may hold some, too
    return (
        "Everything is in this folder; `model.onnx` (the graph) and `model.onnx.data` (the numbers) belong together.",
        "",
        "In Python, with the packages `onnxruntime` and `tokenizers` and with this folder as the current one:",
        "",
        f"{fence}python",
        written,
        fence,
        "",
        "Several turns: `chat_template.jinja` is the whole template; `transformers` writes conversations down with it",
        '(`AutoTokenizer.from_pretrained(".").apply_chat_template`). The cache\'s names are those other programs for ONNX',
        "language models use: `past_key_values.0.key` goes in, `present.0.key` comes out.",
        "",
        *_WORDS[variant],
    )


_WORDS = {
    "int8": ("Eight-bit weights: about a quarter of the size. They are not faster: on most processors fp32 is as quick or quicker.",),
    "uint8": ("Eight-bit weights: about a quarter of the size. They are not faster: on most processors fp32 is as quick or quicker.",),
    "fp16": ("Half precision is meant for graphics cards (onnxruntime-gpu, DirectML); a processor computes it more slowly than fp32.",),
    "fp32": ("Full precision: what was trained, number for number.",),
}


def program(encoder: TextEncoder, question: str = QUESTION) -> str:
    """The program, for this model. A template that does not write a question down as it is gets one with nothing around it."""
    before, found, after = encoder.prompt_text([{"role": "user", "content": _MARK}]).partition(_MARK)
    stops = sorted(encoder.stop_ids)
    names = ", ".join(str(encoder.tokenizer.id_to_token(i)) for i in stops) or "none is known"
    before, after = (before, after) if found else ("", "")
    stop = "{" + ", ".join(map(str, stops)) + "}" if stops else "set()"
    return PROGRAM.format(before=_quoted(before), after=_quoted(after), stop=stop, names=names, question=question)


def _quoted(text: str) -> str:
    """As Python, in double quotes where that needs no escaping."""
    plain = repr(text)
    return plain if '"' in plain or "\\'" in plain else f'"{plain[1:-1]}"'
