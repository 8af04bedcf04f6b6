"""Owns the guide in an ONNX folder: a program of a few lines that runs as it is, with this model's own words in it.

Invariant: what is printed here is run by the tests.
"""

from __future__ import annotations

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


def answer(question, limit=200):
    """The model's likeliest answer, token by token; what it has read is kept in `cache`."""
    ids = tokenizer.encode(BEFORE + question + AFTER, add_special_tokens=False).ids
    cache = {{n: np.zeros((1, i.shape[1], 0, i.shape[3]), TYPES[i.type]) for n, i in inputs.items() if n.startswith("past")}}
    said, seen = [], 0
    while len(said) < limit:
        feed = {{"input_ids": np.array([ids], np.int64), "position_ids": np.arange(seen, seen + len(ids))[None], **cache}}
        logits, *kept = session.run(None, {{name: feed[name] for name in inputs}})
        cache = {{name.replace("present", "past_key_values"): value for name, value in zip(outputs[1:], kept)}}
        seen += len(ids)
        ids = [int(logits[0, -1].argmax())]
        if ids[0] in STOP:
            break
        said += ids
    return tokenizer.decode(said)


print(answer("{question}"))
'''
QUESTION = "What can you do?"


def lines(encoder: TextEncoder, variant: str) -> tuple[str, ...]:
    """The part of the card about using the folder."""
    return (
        "Everything is in this folder; `model.onnx` (the graph) and `model.onnx.data` (the numbers) belong together.",
        "",
        "```sh",
        "pip install onnxruntime tokenizers",
        "```",
        "",
        "Then, with this folder as the current one:",
        "",
        "```python",
        program(encoder).rstrip("\n"),
        "```",
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
