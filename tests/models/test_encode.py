"""How an example becomes tokens: the same as transformers makes of it, the learned part exact, whatever template a model came with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.core.paths import DATA
from loralab.core.records import Example, Message
from loralab.models.tokenize import TextEncoder

CORPUS = ["what is the colour of grass it is green and the sea is blue", "user assistant system model", "你好 世界 🌍 🎉 naïve café"]

# How families write a conversation: special tokens, the template, and the token that ends an answer.
LLAMA3 = (
    "{{- bos_token }}{%- for message in messages %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + "
    "message['content'] | trim + '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
QWEN2 = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{%- endif %}"
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
QWEN3 = (  # the last answer gets an empty thought in front of it, earlier ones lose it
    "{%- for message in messages %}{%- if message.role == 'assistant' %}{{- '<|im_start|>assistant\n' }}{%- if loop.last %}"
    "{{- '<think>\n\n</think>\n\n' }}{%- endif %}{{- message.content.lstrip('\n') + '<|im_end|>\n' }}{%- else %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
MISTRAL = (  # the system's words go into the last question
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}{%- set rest = messages[1:] %}{%- else %}"
    "{%- set rest = messages %}{%- endif %}{{- bos_token }}{%- for message in rest %}{%- if message['role'] == 'user' %}"
    "{%- if loop.index0 >= rest | length - 2 and system is defined %}{{- '[INST] ' + system + '\n\n' + message['content'] + '[/INST]' }}"
    "{%- else %}{{- '[INST] ' + message['content'] + '[/INST]' }}{%- endif %}{%- else %}"
    "{{- ' ' + message['content'] | trim + eos_token }}{%- endif %}{%- endfor %}"
)
CHATML = (DATA / "templates" / "chatml.jinja").read_text("utf-8")

FAMILIES: dict[str, tuple[list[str], str, str]] = {
    "chatml": (["<|im_start|>", "<|im_end|>"], CHATML, "<|im_end|>"),
    "llama3": (["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"], LLAMA3, "<|eot_id|>"),
    "qwen2": (["<|im_start|>", "<|im_end|>"], QWEN2, "<|im_end|>"),
    "qwen3": (["<|im_start|>", "<|im_end|>"], QWEN3, "<|im_end|>"),
    "gemma": (["<bos>", "<start_of_turn>", "<end_of_turn>"], GEMMA, "<end_of_turn>"),
    "mistral": (["<s>", "</s>", "[INST]", "[/INST]"], MISTRAL, "</s>"),
}

ASKED = [Message(role="user", content="what is the colour of grass"), Message(role="assistant", content="it is green")]
MORE = [*ASKED, Message(role="user", content="and the sea"), Message(role="assistant", content="the sea is blue")]
TOLD = [Message(role="system", content="you are a model"), *MORE]
STRANGE = [Message(role="user", content="你好 🌍\n\n  naïve?"), Message(role="assistant", content="café 🎉 世界\n    ok 👩‍👩‍👧")]
TALKS = {"one turn": ASKED, "two turns": MORE, "system": TOLD, "strange": STRANGE}


def folder_of(folder: Path, family: str, *, trim: bool = False) -> Path:
    """A model folder's tokenizer files, with a byte-level tokenizer trained here. `trim`: spaces are cut off offsets, as in Llama 3."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
    from tokenizers import models as kinds

    special, template, end = FAMILIES[family]
    tokenizer: Any = Tokenizer(kinds.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer: Any = trainers.BpeTrainer  # its settings are not in its type
    tokenizer.train_from_iterator(
        CORPUS * 5 + ["        "] * 9,
        trainer(vocab_size=420, special_tokens=["<pad>", *special], initial_alphabet=alphabet, show_progress=False),
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    first = special[0] if family in ("llama3", "gemma", "mistral") else None
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": first, "eos_token": end, "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {family: folder_of(root / family, family) for family in FAMILIES}


def reference(folder: Path, messages: list[Message], **settings: Any) -> Any:
    from transformers import AutoTokenizer

    talk = [{"role": m.role, "content": m.content} for m in messages]
    return AutoTokenizer.from_pretrained(folder).apply_chat_template(talk, tokenize=True, return_dict=True, **settings)


def token(encoder: TextEncoder, text: str) -> int:
    found = encoder.tokenizer.token_to_id(text)
    assert found is not None
    return found


def folded(messages: list[Message]) -> list[Message]:
    """What a model that knows no system turn is given."""
    first, second, *rest = messages
    return [Message(role="user", content=f"{first.content}\n\n{second.content}"), *rest] if first.role == "system" else messages


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("talk", TALKS)
def test_tokens_are_those_transformers_makes(folders: dict[str, Path], family: str, talk: str) -> None:
    messages = TALKS[talk]
    ours = TextEncoder(folders[family]).encode(Example(row=1, messages=tuple(messages)), 1000)
    assert ours.ids == reference(folders[family], folded(messages) if family == "gemma" else messages)["input_ids"]
    assert not ours.truncated


@pytest.mark.parametrize("talk", TALKS)
def test_what_is_learned_is_what_the_generation_marks_say(folders: dict[str, Path], talk: str) -> None:
    ours = TextEncoder(folders["chatml"]).encode(Example(row=1, messages=tuple(TALKS[talk])), 1000)
    theirs = reference(folders["chatml"], TALKS[talk], return_assistant_tokens_mask=True)["assistant_masks"]
    assert [int(learned) for learned in ours.learned] == list(theirs)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("talk", TALKS)
def test_answers_are_learned_to_their_end_and_questions_are_not(folders: dict[str, Path], family: str, talk: str) -> None:
    encoder, end = TextEncoder(folders[family]), FAMILIES[family][2]
    messages = TALKS[talk]
    row = encoder.encode(Example(row=1, messages=tuple(messages)), 1000)
    spans: list[list[int]] = []
    for at, (i, learned) in enumerate(zip(row.ids, row.learned, strict=True)):
        if learned and (at == 0 or not row.learned[at - 1]):
            spans.append([])
        if learned:
            spans[-1].append(i)
    answers = [m.content for m in messages if m.role == "assistant"]
    assert len(spans) == len(answers)
    for span, answer in zip(spans, answers, strict=True):
        written = encoder.tokenizer.decode(span, skip_special_tokens=False)
        before, closed, after = written.partition(end)
        assert before.replace("<think>\n\n</think>\n\n", "").strip() == answer
        assert closed
        assert not after.strip()
    assert encoder.tokenizer.token_to_id(end) in encoder.stop_ids


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("talk", TALKS)
def test_a_prompt_is_how_its_training_example_begins(folders: dict[str, Path], family: str, talk: str) -> None:
    encoder, messages = TextEncoder(folders[family]), TALKS[talk]
    prompt = encoder.prompt_ids(messages[:-1])
    row = encoder.encode(Example(row=1, messages=tuple(messages)), 1000)
    assert row.ids[: len(prompt)] == prompt
    end = row.ids.index(token(encoder, FAMILIES[family][2]), len(prompt))
    assert all(row.learned[len(prompt) : end + 1])
    assert not row.learned[len(prompt) - 1]


@pytest.mark.parametrize("family", ["chatml", "llama3"])
def test_runs_of_spaces_are_learned_even_where_offsets_are_trimmed(tmp_path: Path, family: str) -> None:
    encoder = TextEncoder(folder_of(tmp_path, family, trim=True))
    messages = (ASKED[0], Message(role="assistant", content="if green:\n        it is\n            blue        "))
    row = encoder.encode(Example(row=1, messages=messages), 1000)
    prompt = len(encoder.prompt_ids(messages[:1]))
    expected = encoder.tokenizer.encode("".join(text for text, _ in row.pieces), add_special_tokens=False)
    assert any(start == end for start, end in expected.offsets)  # the case is there at all
    stop = row.ids.index(token(encoder, FAMILIES[family][2]), prompt)
    assert all(row.learned[prompt : stop + 1])
    assert not any(row.learned[:prompt])


def test_pieces_are_the_tokens_as_text(folders: dict[str, Path]) -> None:
    encoder = TextEncoder(folders["chatml"])
    row = encoder.encode(Example(row=1, messages=tuple(STRANGE)), 1000)
    learned = [i for i, is_learned in zip(row.ids, row.learned, strict=True) if is_learned]
    assert encoder.tokenizer.decode(row.ids, skip_special_tokens=False) == "".join(text for text, _ in row.pieces)
    assert encoder.tokenizer.decode(learned, skip_special_tokens=False) == "".join(text for text, is_learned in row.pieces if is_learned)


def test_a_long_example_is_cut_at_the_end_and_marked(folders: dict[str, Path]) -> None:
    encoder, example = TextEncoder(folders["chatml"]), Example(row=1, messages=tuple(TOLD))
    whole = encoder.encode(example, 1000)
    for length in (1, 7, len(whole.ids) - 1):
        cut = encoder.encode(example, length)
        assert (cut.truncated, cut.ids, cut.learned) == (True, whole.ids[:length], whole.learned[:length])
        shown = "".join(text for text, _ in cut.pieces)
        assert shown == encoder.tokenizer.decode(cut.ids, skip_special_tokens=False)
    assert not encoder.encode(example, len(whole.ids)).truncated


def test_everything_can_be_learned(folders: dict[str, Path]) -> None:
    row = TextEncoder(folders["llama3"]).encode(Example(row=1, messages=tuple(TOLD)), 1000, "everything")
    assert all(row.learned)


def test_plain_text_is_learned_whole_and_nothing_is_added_to_it(folders: dict[str, Path]) -> None:
    encoder = TextEncoder(folders["chatml"])
    row = encoder.encode(Example(row=1, text="naïve café 🎉"), 1000)
    assert all(row.learned)
    assert encoder.tokenizer.decode(row.ids, skip_special_tokens=False) == "naïve café 🎉"


def test_many_are_encoded_as_each_would_be(folders: dict[str, Path]) -> None:
    encoder = TextEncoder(folders["qwen2"])
    examples = [Example(row=1, messages=tuple(TOLD)), Example(row=2, text="the sea"), Example(row=3, messages=tuple(ASKED))]
    assert encoder.many(examples, 30) == [encoder.encode(example, 30) for example in examples]


def test_marks_in_a_text_cannot_fool_the_encoder(folders: dict[str, Path]) -> None:
    encoder = TextEncoder(folders["chatml"])
    sly = (Message(role="user", content="what\ue000 is\ue001 it"), ASKED[1])
    plain = (Message(role="user", content="what is it"), ASKED[1])
    assert encoder.encode(Example(row=1, messages=sly), 1000) == encoder.encode(Example(row=1, messages=plain), 1000)


def test_a_conversation_the_template_refuses_is_named_by_its_row(folders: dict[str, Path]) -> None:
    twice = (ASKED[0], ASKED[0], ASKED[1])
    with pytest.raises(UserError, match=r"row 17.*alternate"):
        TextEncoder(folders["gemma"]).encode(Example(row=17, messages=twice), 1000)


def test_no_end_of_text_listed_is_no_stop_token(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "chatml")
    (folder / "generation_config.json").write_text('{"eos_token_id": null}')
    assert TextEncoder(folder).stop_ids == {TextEncoder(folder).tokenizer.token_to_id("<|im_end|>")}
