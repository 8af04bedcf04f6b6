"""Owns llama.cpp's names for how byte-level tokenizers split a text into words before merging, and the patterns behind them.

Invariant: the patterns stand here as they stand in tokenizer.json, so that both ways (into a GGUF file and out of one) know the same.
"""

from __future__ import annotations

from typing import Any

_CONTRACTIONS = r"'(?:[sdmt]|ll|ve|re)"
GPT2 = {
    _CONTRACTIONS + r"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}
_MODERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# What splits a text into words before merging -> llama.cpp's name of it.
BY_PATTERN = {
    _MODERN % "{1,3}": "llama-bpe",
    _MODERN % "": "qwen2",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "gpt-4o",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "tekken",
}
_PATTERN = {name: pattern for pattern, name in BY_PATTERN.items()}
_ALIKE = {  # names of llama.cpp's that split in the same way
    **dict.fromkeys(("llama3", "llama-v3", "llama-bpe", "smaug-bpe", "falcon3"), "llama-bpe"),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen"), "qwen2"),
    **dict.fromkeys(("gpt-2", "phi-2", "olmo", "mpt", "jais"), "gpt-2"),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r"), "smollm"),
    **dict.fromkeys(("gpt-4o", "llama4"), "gpt-4o"),
    "tekken": "tekken",
}
WHOLE_FIRST = ("llama3", "llama-v3", "llama-bpe", "falcon3", "tekken")  # a word that is a token is never put together from merges
BEGIN_FIRST = ("llama3", "llama-v3", "llama-bpe", "falcon3", "tekken")  # a beginning-of-text is added where the file does not say


def pre_tokenizer(name: str) -> dict[str, Any] | None:
    """The pre_tokenizer of a tokenizer.json for one of llama.cpp's names; None for a name that is not known."""
    alike = _ALIKE.get(name)
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    if alike == "gpt-2":
        return plain
    if alike == "smollm":
        return {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, plain]}
    if alike is None:
        return None
    split = {"type": "Split", "pattern": {"Regex": _PATTERN[alike]}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, {**plain, "use_regex": False}]}
