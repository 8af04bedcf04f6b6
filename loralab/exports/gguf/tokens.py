"""Owns how a tokenizer becomes llama.cpp's: tokens, kinds, merges or scores, special tokens, the chat template. No torch.

Invariants: what counts is the tokenizer that training used (encode.py), not what a library rebuilds from it; whether a beginning-of-text
is added is always written down; a template is embedded so that it renders as it did in training.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

import gguf

from loralab.core.errors import UserError
from loralab.models.gguf import splitting
from loralab.models.tokenize import TextEncoder

Kind = gguf.TokenType
SPACE = "\u2581"  # how sentencepiece writes a space
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# GPT-2's words, but digits one by one: GPT-2's own splitting gives the same where no merge joins a digit with anything.
_SINGLE_DIGITS = {pattern.replace(r" ?\p{N}+", r"\p{N}") for pattern in splitting.GPT2}
OTHERS = ("gpt-2", "llama-bpe", "smaug-bpe", "qwen2", "smollm", "starcoder", "falcon", "default", "tekken", "gpt-4o", "deepseek-coder")


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer in llama.cpp's terms. `pre` is its name of the word splitting; empty where that was not recognised."""

    model: str  # gpt2 (byte-level merges) or llama (sentencepiece)
    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    pre: str = ""
    space_prefix: bool | None = None
    specials: dict[str, int] = field(default_factory=dict)
    add_bos: bool = False
    template: str = ""
    strips: bool = False  # special tokens swallow the white space after them (Phi-3)

    def named(self, pre: str) -> Vocabulary:
        """The same with another name for its word splitting."""
        return replace(self, pre=pre)

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Put it into a GGUF file's header."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre or "default")
        writer.add_token_list(list(self.tokens))
        writer.add_token_types(list(self.kinds))
        if self.merges:
            writer.add_token_merges(list(self.merges))
        if self.scores:
            writer.add_token_scores(list(self.scores))
        if self.space_prefix is not None:
            writer.add_add_space_prefix(self.space_prefix)
        for name, number in self.specials.items():
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", number)
        writer.add_add_bos_token(self.add_bos)
        writer.add_add_eos_token(False)
        if self.template:
            writer.add_chat_template(self.template)


def read(encoder: TextEncoder, size: int) -> Vocabulary:
    """The tokenizer of a model with `size` rows in its embedding. Raises UserError when llama.cpp has nothing like it."""
    found = json.loads((encoder.folder / "tokenizer.json").read_text("utf-8"))
    model = found["model"]
    if model.get("type", "BPE") != "BPE" or not isinstance(model.get("merges"), list):
        raise _unknown(f"its kind of tokenizer ({model.get('type')}) is not one LoRALab writes as GGUF")
    if max(model["vocab"].values(), default=0) >= size:
        raise _unknown("its tokenizer has more tokens than the model has rows for")
    byte_level = _pieces(found.get("pre_tokenizer"), "ByteLevel")
    made = _byte_level(found, size) if byte_level else _sentencepiece(found, size)
    made = replace(made, specials=_specials(encoder), **_beginning(encoder))
    ids = [a for a in found.get("added_tokens", []) if a.get("special")]
    strips = any(a.get("rstrip") for a in ids) and {"</s>", "<unk>", "<s>", "<|endoftext|>"} <= set(made.tokens)
    return replace(made, template=_template(encoder), strips=strips)


# ---- tokens ----------------------------------------------------------------------------------------------------------------


def _table(found: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Tokens and kinds by id; rows of the embedding that no token uses are marked unused, marks without a row are left out."""
    tokens, kinds = [f"[PAD{i}]" for i in range(size)], [int(Kind.UNUSED)] * size
    for token, number in found["model"]["vocab"].items():
        tokens[number], kinds[number] = token, int(Kind.NORMAL)
    for added in found.get("added_tokens", []):
        if added["id"] >= size:  # Gemma 3's mark for a picture, in models that read text only
            continue
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = int(Kind.CONTROL if added.get("special") else Kind.USER_DEFINED)
    return tokens, kinds


def _joined(merges: list[Any]) -> list[str]:
    return [m if isinstance(m, str) else " ".join(m) for m in merges]


def _byte_level(found: dict[str, Any], size: int) -> Vocabulary:
    tokens, kinds = _table(found, size)
    merges = _joined(found["model"]["merges"])
    pre = recognised(found)
    return Vocabulary("gpt2", tuple(tokens), tuple(kinds), merges=tuple(merges), pre=pre)


def _sentencepiece(found: dict[str, Any], size: int) -> Vocabulary:
    """Scores are minus the rank of the merge that makes a token: the highest score is merged first, as the lowest rank is."""
    if not found["model"].get("byte_fallback"):
        raise _unknown("its tokenizer is neither byte-level nor of the sentencepiece kind")
    tokens, kinds = _table(found, size)
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(_joined(found["model"]["merges"])):
        ranks.setdefault(merge.replace(" ", "", 1), rank)
    unknown = found["model"].get("unk_token")
    for i, token in enumerate(tokens):
        if kinds[i] == Kind.NORMAL and _BYTE.fullmatch(token):
            kinds[i] = int(Kind.BYTE)
        elif token == unknown:
            kinds[i] = int(Kind.UNKNOWN)
        elif kinds[i] == Kind.USER_DEFINED:
            tokens[i] = token.replace(SPACE, " ")
    scores = [-float(ranks[token]) if token in ranks else -1e6 for token in tokens]
    return Vocabulary("llama", tuple(tokens), tuple(kinds), scores=tuple(scores), pre="default", space_prefix=_prefixed(found))


def _prefixed(found: dict[str, Any]) -> bool:
    """Whether a space is put in front of a text."""
    written = json.dumps([found.get("normalizer"), found.get("pre_tokenizer")])
    scheme = _pieces(found.get("pre_tokenizer"), "Metaspace")
    if scheme:
        return scheme[0].get("prepend_scheme", "always") != "never" and scheme[0].get("add_prefix_space", True)
    return '"Prepend"' in written


# ---- how a text is split into words ----------------------------------------------------------------------------------------


def _pieces(step: dict[str, Any] | None, kind: str = "") -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer in order, of one kind where named."""
    if not step:
        return []
    inner = step.get("pretokenizers") if step.get("type") == "Sequence" else [step]
    return [s for s in inner or [] if not kind or s.get("type") == kind]


def recognised(found: dict[str, Any]) -> str:
    """llama.cpp's name for the word splitting of a byte-level tokenizer.json; empty when it has none we know."""
    steps = _pieces(found.get("pre_tokenizer"))
    kinds = [s["type"] for s in steps]
    byte_level = _pieces(found.get("pre_tokenizer"), "ByteLevel")[-1]
    if byte_level.get("add_prefix_space"):
        return ""
    own = byte_level.get("use_regex", True)  # ByteLevel splits as GPT-2 does, unless told not to
    if kinds == ["Split", "ByteLevel"] and not own:
        return _by_pattern(steps[0]["pattern"].get("Regex", ""), found["model"])
    if kinds == ["Digits", "ByteLevel"] and own and steps[0].get("individual_digits"):
        return "smollm"
    thirds = any(s["type"] == "Split" and s["pattern"].get("Regex") == "[0-9][0-9][0-9]" for s in steps)
    if kinds[:2] == ["Punctuation", "ByteLevel"] and own and thirds:
        return "falcon"
    return "gpt-2" if kinds == ["ByteLevel"] and own else ""


def _by_pattern(pattern: str, model: dict[str, Any]) -> str:
    if pattern in splitting.GPT2 or (pattern in _SINGLE_DIGITS and _digits_stay_apart(model["merges"])):
        return "gpt-2"
    name = splitting.BY_PATTERN.get(pattern, "")
    return "smaug-bpe" if name == "llama-bpe" and not model.get("ignore_merges") else name


def _digits_stay_apart(merges: list[Any]) -> bool:
    return not any(any(ch.isdigit() for ch in merge) for merge in _joined(merges))


# ---- special tokens and the template ---------------------------------------------------------------------------------------


def _specials(encoder: TextEncoder) -> dict[str, int]:
    """Ids llama.cpp is told by role. It stops at eos, eot and eom, so every token that ended an answer in training gets one of them."""
    lookup = encoder.tokenizer.token_to_id
    found = {name: lookup(encoder.special(f"{name}_token")) for name in ("bos", "eos") if encoder.special(f"{name}_token")}
    unknown, padding = encoder.special("unk_token"), encoder.special("pad_token")
    found |= {"unknown": lookup(unknown) if unknown else None, "padding": lookup(padding) if padding else None}
    ends = [found["eos"]] if found.get("eos") is not None else []
    ends += sorted(encoder.stop_ids - set(ends))
    roles = dict(zip(("eos", "eot", "eom"), ends, strict=False))
    return {name: number for name, number in (found | roles).items() if number is not None}


def _beginning(encoder: TextEncoder) -> dict[str, Any]:
    """Whether llama.cpp puts a beginning-of-text first. It does so for conversations too, so there the template has the say."""
    bare, full = (encoder.tokenizer.encode("a", add_special_tokens=add).ids for add in (False, True))
    bos = encoder.tokenizer.token_to_id(encoder.special("bos_token")) if encoder.special("bos_token") else None
    if full not in (bare, [bos, *bare]):
        raise _unknown("its tokenizer frames texts in a way llama.cpp does not")
    conversation = encoder.prompt_ids([{"role": "user", "content": "a"}])
    return {"add_bos": full != bare and conversation[:1] == [bos]}


def _template(encoder: TextEncoder) -> str:
    """The chat template without the marks that only training needs; the white space around a mark is treated as it was."""
    text = re.sub(r"\{%(-?)\s*generation\s*(-?)%\}", r"{%\1 if true \2%}", encoder.template_text)
    text = re.sub(r"\{%(-?)\s*endgeneration\s*(-?)%\}", r"{%\1 endif \2%}", text)
    named = [name for name in ("bos_token", "eos_token") if not encoder.special(name) and re.search(rf"\b{name}\b", text)]
    return "".join(f"{{%- set {name} = '' -%}}" for name in named) + text  # llama.cpp would put some other token in its place


def _unknown(reason: str) -> UserError:
    todo = "Take the adapter or the whole merged model instead."
    return UserError(f"This model cannot become a GGUF file: {reason}.", todo, code="no_gguf_for_this")
