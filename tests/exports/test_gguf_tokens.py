"""Tokenizers in llama.cpp: the same ids on every text and conversation, by the same rule."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import LabError
from loralab.exports.gguf import proof, tokens, writer
from loralab.exports.parity import reference
from loralab.models.gguf import splitting
from loralab.models.tokenize import TextEncoder
from tests.support import gguf_models, tiny

pytestmark = pytest.mark.worker


@pytest.mark.parametrize("kind", ["prepend", "metaspace", "bare"])
def test_sentencepiece_tokenizers_split_the_same(tmp_path: Path, kind: str) -> None:
    encoder = TextEncoder(gguf_models.sentencepiece(tmp_path / "base", kind))
    vocabulary = tokens.read(encoder, encoder.tokenizer.get_vocab_size() + 5)
    assert (vocabulary.model, vocabulary.add_bos, vocabulary.space_prefix) == ("llama", True, kind != "bare")
    assert vocabulary.kinds[-5:] == (5, 5, 5, 5, 5)
    proof._only_tokens(vocabulary, tmp_path / "m.gguf")
    with gguf_models.running(tmp_path / "m.gguf") as runtime:
        texts = reference.TEXTS + reference.ODD
        differ = [text for text in texts if runtime.tokenize(text, added=False) != reference.plain_ids(encoder, text)]
        assert set(differ) <= (set(reference.ODD) if kind == "metaspace" else set())
        assert runtime.tokenize("a b") == encoder.text_ids("a b")
        assert [runtime.chat_ids(chat) for chat in reference.CHATS] == [encoder.prompt_ids(chat) for chat in reference.CHATS]


def test_a_beginning_the_template_does_not_write_is_not_added(tmp_path: Path) -> None:
    folder = gguf_models.sentencepiece(tmp_path / "base")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("{{ bos_token }}", ""))
    encoder = TextEncoder(folder)
    vocabulary = tokens.read(encoder, encoder.tokenizer.get_vocab_size())
    assert vocabulary.add_bos is False
    proof._only_tokens(vocabulary, tmp_path / "m.gguf")
    with gguf_models.running(tmp_path / "m.gguf") as runtime:
        assert runtime.chat_ids(reference.CHATS[2]) == encoder.prompt_ids(reference.CHATS[2])


def test_training_marks_leave_the_template_and_unnamed_tokens_stay_empty(tmp_path: Path) -> None:
    folder = gguf_models.model_folder(tmp_path / "base")
    (folder / "chat_template.jinja").write_text("{{ bos_token }}" + tiny.TEMPLATE)
    encoder = TextEncoder(folder)
    made = tokens.read(encoder, encoder.tokenizer.get_vocab_size())
    assert "generation" not in made.template.replace("add_generation_prompt", "")
    assert made.template.startswith("{%- set bos_token = '' -%}")
    assert made.specials == {"eos": 3, "padding": 1}
    proof._only_tokens(made, tmp_path / "m.gguf")
    with gguf_models.running(tmp_path / "m.gguf") as runtime:
        assert [runtime.chat_ids(chat) for chat in reference.CHATS] == [encoder.prompt_ids(chat) for chat in reference.CHATS]


def test_word_splittings_are_recognised_by_their_rule() -> None:
    def rule(*steps: dict[str, Any], **model: Any) -> dict[str, Any]:
        return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}, "model": {"merges": ["a b"], **model}}

    def split(pattern: str) -> dict[str, Any]:
        return {"type": "Split", "pattern": {"Regex": pattern}}

    own, bare = {"type": "ByteLevel", "use_regex": True}, {"type": "ByteLevel", "use_regex": False}
    single = next(iter(tokens._SINGLE_DIGITS))
    assert tokens.recognised(rule(own)) == "gpt-2"
    assert tokens.recognised(rule({"type": "Digits", "individual_digits": True}, own)) == "smollm"
    assert tokens.recognised(rule({"type": "Punctuation"}, own, {"type": "Digits"}, split("[0-9][0-9][0-9]"))) == "falcon"
    assert tokens.recognised(rule(split(splitting._MODERN % "{1,3}"), bare, ignore_merges=True)) == "llama-bpe"
    assert tokens.recognised(rule(split(splitting._MODERN % "{1,3}"), bare)) == "smaug-bpe"
    assert tokens.recognised(rule(split(splitting._MODERN % ""), bare)) == "qwen2"
    assert tokens.recognised(rule(split(single), bare)) == "gpt-2"
    assert tokens.recognised(rule(split(single), bare, merges=["1 2"])) == ""
    assert tokens.recognised(rule(split("something else"), bare)) == ""
    assert tokens.recognised(rule({**own, "add_prefix_space": True})) == ""


def test_a_name_cannot_make_llama_cpp_take_the_tokenizer_for_another() -> None:
    for name in ("my-phi-3-chat", "PHI3", "jina tests", "phi-phi-3", "modern-bert"):
        assert not re.search("phi-?3|jina|modern-bert", writer.safe_name(name).lower())
    assert writer.safe_name("letters") == "letters"
    assert "phi-3" in writer.safe_name("letters", strips=True)


def test_a_mark_that_has_no_row_in_the_model_is_left_out(tmp_path: Path) -> None:
    """Gemma 3 has one for pictures, in models that read text only; an ordinary token without a row is another model's tokenizer."""
    folder = gguf_models.sentencepiece(tmp_path / "base", "bare")
    found = json.loads((folder / "tokenizer.json").read_text())
    size = len(found["model"]["vocab"])
    found["added_tokens"].append(found["added_tokens"][0] | {"id": size, "content": "<image_soft_token>"})
    (folder / "tokenizer.json").write_text(json.dumps(found))
    encoder = TextEncoder(folder)
    assert len(tokens.read(encoder, size).tokens) == size
    assert tokens.read(encoder, size + 1).tokens[-1] == "<image_soft_token>"
    with pytest.raises(LabError, match="more tokens than the model has rows"):
        tokens.read(encoder, size - 1)
