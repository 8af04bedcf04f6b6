"""Owns the tokenizer of a GGUF file as the files that transformers and LoRALab read.

Invariant: the ids are llama.cpp's for the same text (tests/models/test_gguf_folder.py and benchmarks/gguf_tokens.py compare them).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from loralab.models.gguf import splitting
from loralab.models.gguf.families import refusal
from loralab.models.gguf.header import Header

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\u2581"  # how sentencepiece writes a space
_ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


def write(header: Header, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json, chat_template.jinja and generation_config.json."""
    (folder / "tokenizer.json").write_text(json.dumps(described(header), ensure_ascii=False), "utf-8")
    named = {f"{role}_token": token for role in _ROLES if (token := special(header, role))}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **named}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1, ensure_ascii=False), "utf-8")
    template = header.values.get("tokenizer.chat_template")
    if isinstance(template, str) and template.strip():
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    ends = [header.values.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    found = {"eos_token_id": list(dict.fromkeys(e for e in ends if e is not None)), "bos_token_id": header.values.get(_key("bos"))}
    (folder / "generation_config.json").write_text(json.dumps({k: v for k, v in found.items() if v not in (None, [])}), "utf-8")


def described(header: Header) -> dict[str, Any]:
    """The tokenizer.json. Raises UserError for a kind of tokenizer that is not known."""
    model, tokens = header.values.get("tokenizer.ggml.model"), header.values.get("tokenizer.ggml.tokens")
    if model not in ("gpt2", "llama") or not isinstance(tokens, list) or not tokens:
        raise refusal(f"its kind of tokenizer ({model or 'none'}) is not one that LoRALab knows")
    kinds = header.values.get("tokenizer.ggml.token_type") or [_NORMAL] * len(tokens)
    made = _byte_level(header, tokens, kinds) if model == "gpt2" else _sentencepiece(header, tokens, kinds)
    added = [_added(i, token, kinds[i]) for i, token in enumerate(tokens) if kinds[i] in (_CONTROL, _USER, _UNKNOWN)]
    found = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, **made}
    try:
        Tokenizer.from_str(json.dumps(found))
    except Exception as error:  # the library raises nothing narrower
        raise refusal(f"its tokenizer cannot be read ({error})") from error
    return found


def special(header: Header, role: str) -> str:
    """The token that has a role, or an empty string."""
    number, tokens = header.values.get(_key(role)), header.values.get("tokenizer.ggml.tokens") or []
    return str(tokens[number]) if isinstance(number, int) and 0 <= number < len(tokens) else ""


def _key(role: str) -> str:
    return f"tokenizer.ggml.{_ROLES[role]}_token_id"


def _added(number: int, token: str, kind: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": token, **flags, "special": kind != _USER}


def _vocabulary(tokens: list[str], kinds: list[int]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens) if kinds[i] != _UNUSED}


def _byte_level(header: Header, tokens: list[str], kinds: list[int]) -> dict[str, Any]:
    name = str(header.values.get("tokenizer.ggml.pre", "default"))
    split, merges = splitting.pre_tokenizer(name), header.values.get("tokenizer.ggml.merges")
    if split is None or not isinstance(merges, list):
        raise refusal(f"its way of splitting words ({name}) is not one that LoRALab knows")
    model = {"type": "BPE", "vocab": _vocabulary(tokens, kinds), "merges": merges, "ignore_merges": name in splitting.WHOLE_FIRST}
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    begin = _begins(header, usual=name in splitting.BEGIN_FIRST)
    frame = _frame(header) if begin else level
    return {"normalizer": None, "pre_tokenizer": split, "post_processor": frame, "decoder": level, "model": model}


def _sentencepiece(header: Header, tokens: list[str], kinds: list[int]) -> dict[str, Any]:
    scores = header.values.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise refusal("its tokenizer is not whole")
    vocabulary = _vocabulary(tokens, kinds)
    spaced = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prefixed = bool(header.values.get("tokenizer.ggml.add_space_prefix", True))
    steps = [{"type": "Prepend", "prepend": SPACE}, spaced]
    back: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    back += [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefixed else []
    unknown = special(header, "unk") or next((tokens[i] for i, kind in enumerate(kinds) if kind == _UNKNOWN), None)
    mergeable = {token for token, i in vocabulary.items() if kinds[i] == _NORMAL}
    model = {
        "type": "BPE",
        "unk_token": unknown,
        "fuse_unk": True,
        "byte_fallback": True,
        "vocab": vocabulary,
        "merges": _merges(mergeable, {token: scores[i] for token, i in vocabulary.items()}),
    }
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps} if prefixed else spaced,
        "pre_tokenizer": None,
        "post_processor": _frame(header) if _begins(header, usual=True) else None,
        "decoder": {"type": "Sequence", "decoders": back},
        "model": model,
    }


def _merges(tokens: set[str], scores: dict[str, float]) -> list[list[str]]:
    """The merges behind scores: the pair whose whole has the highest score is joined first."""
    found = [
        (-scores[token], i, token[:i], token[i:])
        for token in tokens
        for i in range(1, len(token))
        if token[:i] in tokens and token[i:] in tokens and scores[token] > -1e5  # lower: never joined from parts
    ]
    return [[left, right] for *_, left, right in sorted(found)]


def _begins(header: Header, *, usual: bool) -> bool:
    return bool(header.values.get("tokenizer.ggml.add_bos_token", usual)) and bool(special(header, "bos"))


def _frame(header: Header) -> dict[str, Any]:
    """A beginning-of-text before every text."""
    token, number = special(header, "bos"), header.values[_key("bos")]
    begin = {"SpecialToken": {"id": token, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in (("A", 0), ("B", 1)))
    known = {token: {"id": token, "ids": [number], "tokens": [token]}}
    return {"type": "TemplateProcessing", "single": [begin, first], "pair": [begin, first, second], "special_tokens": known}
