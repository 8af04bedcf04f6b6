"""Owns the proof every GGUF export runs: the file in llama.cpp against what was trained, on token ids, conversations and logits.

Invariant: what is compared is the finished file; what was not compared is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np

from loralab.encode import TextEncoder
from loralab.errors import LabError, Unavailable
from loralab.exports._gguf.tokens import OTHERS, Vocabulary
from loralab.exports._gguf.writer import safe_name
from loralab.exports._llama.parent import MISSING, LlamaCpp, backend
from loralab.exports._runtime import Runtime

PROBE = 48  # tokens of the prompt on which logits are compared
ANSWER = 16  # tokens of the greedy answers compared
# Texts on which tokenizers part: spaces, digits, cases, scripts, line ends, and marks next to words as prose, code and JSON have them.
TEXTS = (
    "Hello world", "hello", "trailing ", "a  1", "a   b    c", "\n", "\n\n1. One\n2. Two\n", "\r\nline\r\n", "\ttab\t\ttabs",
    "Don't DON'T we'll WE'LL I'm I'M they've", "1234567890", "3.14159 1,000,000 12:30", "x=1;y+=22//3",
    "def f(x):\n    return x**2\n",
    "UPPER lower MiXeD", "naïve café über Straße", "中文字符 日本語 한국어", "Привет, мир", "مرحبا بالعالم", "नमस्ते",
    "🙂🙃 👩\u200d👩\u200d👧",
    "<html><b>bold</b></html>", "https://example.org/a?b=c&d=%20", "...!!!???---", "C:\\path\\file.txt /usr/bin", "end.\n\n\nStart",
    "word\n \n  word", "#tag @name 50% $5",
    "(see above), [here] and {there}: 'quoted', \"double\"; `tick` -- or/and so_on.",
    '{"name": "Ann", "ages": [1, 2, {"of": null}], "text": "It is (not) so!\\n"}',
    "The answer is:\n\n```python\nfor i in range(10):\n    print(f\"{i}\")\n```\n\n- first (1)\n- second (2)\n\n**Note:** that's all.\n",
    "import os\nfrom pathlib import Path\n\n\nclass A(B):\n    def get(self, key=None):\n        return self._x[key], 'a' + \"b\"\n",
)  # fmt: skip
# On these llama.cpp differs from some tokenizers by its nature: spaces in front, "</s>" inside a text, letters written in two ways.
ODD = (" leading", "  two leading", "[INST] <s> </s> <|x|>", "e\u0301 a\u0308", "€ £ ½ ² Ⅷ ™", "a\u00a0b\u200bc")
CHATS: tuple[tuple[dict[str, str], ...], ...] = (
    ({"role": "user", "content": "Why is the sky blue?"},),
    ({"role": "user", "content": "  Say it:\n\n1. twice\n2. loud  "},),
    ({"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello! How can I help?"}, {"role": "user", "content": "Sing."}),
    ({"role": "system", "content": "Be short."}, {"role": "user", "content": "What is 12 x 12?"}),
)
FEW = 1  # of the plain texts that may differ, and is then told: a rare script; more is a wrong tokenizer
FAR = {"f32": 0.05, "f16": 0.2, "bf16": 0.5}  # logits further apart than this are no rounding
DIVERGED = 2.0  # nats between the answers of a quantised model and the original: it says something else


def probe_ids(encoder: TextEncoder, vocabulary: int) -> list[int]:
    """The prompt whose logits are compared: a conversation, filled up with other texts."""
    ids = encoder.prompt_ids(CHATS[2])
    for text in TEXTS:
        ids += encoder.tokenizer.encode(text, add_special_tokens=False).ids
    return [i for i in ids if i < vocabulary][:PROBE]


def log_softmax(logits: Any) -> Any:
    """In fp64, over the last axis."""
    values = np.asarray(logits, np.float64)
    values = values - values.max(-1, keepdims=True)
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


@dataclass(frozen=True)
class Wanted:
    """What base plus adapter say: logits [len(ids), vocabulary] on a prompt, and the likeliest answer to a question, with its end."""

    ids: list[int]
    logits: Any
    answer: list[int]


def wanted_of(model: Any, encoder: TextEncoder) -> Wanted:
    """Asked of the model in torch, in evaluation mode on the CPU."""
    import torch

    ids = probe_ids(encoder, model.config.vocab_size)
    asked = encoder.prompt_ids(CHATS[0])
    answer: list[int] = []
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].float().numpy()
        while len(answer) < ANSWER and not encoder.stop_ids & set(answer):
            answer.append(int(model(input_ids=torch.tensor([asked + answer])).logits[0, -1].argmax()))
    return Wanted(ids, logits, answer)


def prove(runtime: Runtime, encoder: TextEncoder, wanted: Wanted, kind: str) -> dict[str, Any]:
    """Numbers of the comparison. Raises LabError when the file does not do what was trained."""
    facts = {"checked_with": runtime.name} | _tokens(runtime, encoder) | _logits(runtime, wanted.ids, wanted.logits)
    answer = runtime.generate(encoder.prompt_ids(CHATS[0]), ANSWER)
    same = next((i for i, (a, b) in enumerate(zip(answer, wanted.answer, strict=False)) if a != b), min(len(answer), len(wanted.answer)))
    facts |= {"answer_tokens": len(wanted.answer), "answer_tokens_equal": same, "answers_equal": answer == wanted.answer}
    why = _wrong(facts, kind)
    if why:
        raise LabError(f"The file does not answer as the model does: {why}.", "Take the adapter or the merged model.", code="gguf_differs")
    return facts


def _tokens(runtime: Runtime, encoder: TextEncoder) -> dict[str, Any]:
    differ = [text for text in TEXTS + ODD if runtime.tokenize(text, added=False) != plain_ids(encoder, text)]
    chats = sum(runtime.chat_ids(chat) == encoder.prompt_ids(chat) for chat in CHATS)
    return {"texts": len(TEXTS + ODD), "texts_differ": differ, "chats": len(CHATS), "chats_equal": chats}


def plain_ids(encoder: TextEncoder, text: str) -> list[int]:
    """Token ids of a text, nothing put around it."""
    return encoder.tokenizer.encode(text, add_special_tokens=False).ids


def _logits(runtime: Runtime, ids: Sequence[int], wanted: Any) -> dict[str, Any]:
    there, here = runtime.logits(ids).astype(np.float64), log_softmax(wanted)
    size = min(there.shape[1], here.shape[1])
    there, here = there[:, :size], here[:, :size]
    gap = np.abs(there - here)
    return {
        "tokens_compared": len(ids),
        "max_logit_difference": float(gap.max()),
        "mean_logit_difference": float(gap.mean()),
        "top1_agreement": float((there.argmax(-1) == here.argmax(-1)).mean()),
        "divergence": float((np.exp(here) * (here - there)).sum(-1).mean()),
    }


def _wrong(facts: dict[str, Any], kind: str) -> str:
    if len(set(facts["texts_differ"]) - set(ODD)) > FEW:
        return f"it splits {len(facts['texts_differ'])} of {facts['texts']} texts into other tokens"
    if facts["chats_equal"] < facts["chats"]:
        return f"it writes {facts['chats'] - facts['chats_equal']} of {facts['chats']} conversations down differently"
    if not facts["max_logit_difference"] <= FAR.get(kind, np.inf) or not facts["divergence"] <= DIVERGED:
        return f"its numbers are off by up to {facts['max_logit_difference']:.2g}"
    return ""


# ---- a word splitting that was not recognised ------------------------------------------------------------------------------


def settled(vocabulary: Vocabulary, encoder: TextEncoder) -> Vocabulary:
    """The vocabulary with a name for its word splitting; one that was not recognised is found by trying.

    Raises Unavailable when it must be tried and llama.cpp is not installed, LabError when nothing fits.
    """
    if vocabulary.pre:
        return vocabulary
    if not backend():
        raise Unavailable("This model's tokenizer has to be tried out in llama.cpp, which is not installed.", MISSING, code="no_llama_cpp")
    with TemporaryDirectory() as folder:
        tried = {name: _differing(vocabulary.named(name), encoder, Path(folder) / "tokens.gguf") for name in OTHERS}
    best = min(tried, key=lambda name: tried[name])
    if tried[best] <= FEW:
        return vocabulary.named(best)
    what = "llama.cpp splits texts into other tokens than this model's tokenizer does, whatever it is told."
    raise LabError(what, "Take the adapter or the merged model instead.", code="tokens_differ")


def _differing(vocabulary: Vocabulary, encoder: TextEncoder, path: Path) -> int:
    """On how many texts a model with only this tokenizer splits differently; all of them when llama.cpp will not load it."""
    _only_tokens(replace(vocabulary, template=""), path)
    try:
        with closing(LlamaCpp(path, context=64)) as runtime:
            return sum(runtime.tokenize(text, added=False) != plain_ids(encoder, text) for text in TEXTS)
    except LabError:
        return len(TEXTS)


def _only_tokens(vocabulary: Vocabulary, path: Path) -> None:
    """The smallest model there can be around a tokenizer."""
    width = 32
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(safe_name("tokens", strips=vocabulary.strips))
    for add, value in (
        (writer.add_context_length, 64), (writer.add_embedding_length, width), (writer.add_block_count, 1),
        (writer.add_feed_forward_length, width), (writer.add_head_count, 1), (writer.add_head_count_kv, 1),
        (writer.add_rope_dimension_count, width),
    ):  # fmt: skip
        add(value)
    writer.add_layer_norm_rms_eps(1e-6)
    vocabulary.write(writer)
    square = np.zeros((width, width), np.float32)
    writer.add_tensor("token_embd.weight", np.zeros((len(vocabulary.tokens), width), np.float16))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
