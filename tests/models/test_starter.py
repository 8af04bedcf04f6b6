"""The starter keeps what its card and the exports rely on."""

from __future__ import annotations

import json

import pytest
from safetensors import safe_open
from transformers import AutoTokenizer

from loralab.core.paths import STARTER
from loralab.core.records import Example, Message
from loralab.models.tokenize import TextEncoder

pytestmark = pytest.mark.worker

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello, who are you?"},
    {"role": "assistant", "content": "A small model."},
    {"role": "user", "content": "  And  now? "},
    {"role": "assistant", "content": "Still small."},
]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(STARTER)


def test_it_is_small_and_every_weight_row_suits_k_quants():
    assert sum(f.stat().st_size for f in STARTER.iterdir()) < 60e6
    with safe_open(STARTER / "model.safetensors", "pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118  (not a dict)
    assert 8e6 <= sum(a * b for a, b in (s for s in shapes if len(s) == 2)) <= 40e6
    assert all(shape[-1] % 256 == 0 for shape in shapes)
    assert json.loads((STARTER / "config.json").read_text("utf-8"))["max_position_embeddings"] >= 1024


def test_padding_end_of_turn_and_end_of_text_are_three_tokens_of_their_own():
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    ids = {tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|endoftext|>")}
    assert len(ids) == 3
    assert 8000 <= len(tokenizer) <= 16384


def test_the_template_marks_what_the_assistant_says_the_end_of_its_turn_included(encoder):
    theirs = AutoTokenizer.from_pretrained(STARTER).apply_chat_template(TALK, return_dict=True, return_assistant_tokens_mask=True)
    ours = encoder.encode(Example(row=1, messages=tuple(Message.model_validate(turn) for turn in TALK)), 512)
    assert ours.ids == theirs["input_ids"]
    assert [int(learned) for learned in ours.learned] == theirs["assistant_masks"]
    learned = "".join(text for text, is_learned in ours.pieces if is_learned)
    assert learned == "A small model.<|im_end|>Still small.<|im_end|>"


def test_its_card_says_where_it_comes_from_and_what_it_cannot_do():
    card = (STARTER / "README.md").read_text("utf-8")
    for word in ("bits per byte", "OpenStax", "Pratham Books", "African Storybook", "MedQuAD", "cannot"):
        assert word in card
