"""Owns the tests of conversations that were written down as text: which are taken apart, into what, and which stay texts."""

from __future__ import annotations

import pytest

from loralab.datasets.conversations.transcripts import turns

ALPACA = "Below is an instruction.\n\n### Instruction:\nAdd them.\n\n### Input:\n1 and 2\n\n### Response:\n3"
HEADERS = "<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>"
CHATML = "<|im_start|>{}\n{}<|im_end|>\n"
FORMS = {
    "User: Hello\nAssistant: Hi.\nUser: Bye\nAssistant: See you.": "user: Hello | assistant: Hi. | user: Bye | assistant: See you.",
    "Q: What is it?\nA: A cat.\nIt is black.": "user: What is it? | assistant: A cat.\nIt is black.",
    "### Human: Hello ### Not a mark\n### Assistant: Hi": "user: Hello ### Not a mark | assistant: Hi",
    ALPACA: "system: Below is an instruction. | user: Add them.\n\n1 and 2 | assistant: 3",
    CHATML.format("system", "Be kind.")
    + CHATML.format("user", "Hello")
    + CHATML.format("assistant", "Hi"): "system: Be kind. | user: Hello | assistant: Hi",
    "<|begin_of_text|>" + HEADERS.format("user", "Hello") + HEADERS.format("assistant", "Hi"): "user: Hello | assistant: Hi",
    "<start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nHi<end_of_turn>": "user: Hello | assistant: Hi",
    "<s>[INST] Hello [/INST] Hi </s><s>[INST] Bye [/INST] See you </s>": "user: Hello | assistant: Hi | user: Bye | assistant: See you",
    "[INST] Name [1] [/INST] See [this](url).": "user: Name [1] | assistant: See [this](url).",
    "User: Is <s>old</s> gone?\nAssistant: Yes.": "user: Is <s>old</s> gone? | assistant: Yes.",
    "Frage: Wie alt?\nAntwort: Zehn Jahre.": "user: Wie alt? | assistant: Zehn Jahre.",
}
TEXTS = (
    "",
    "A plain text about cats.",
    "ROMEO: Is the day so young?\nBENVOLIO: But new struck nine.",
    "Question: what now?",  # nobody answers
    "User: Hello\nAssistant:",  # says nothing
    "Assistant: Hello\nUser: Hi",  # begins with an answer and ends with a question
    "User: one\nAssistant: two\nUser: three",
    "He wrote [INST] in the margin, [INST] twice.",
    "[/INST] Hi [INST] Hello",
    "Said before. [INST] Hello [/INST] Hi",
    "Input: 5 V\nTolerance: 1 %",
)


@pytest.mark.parametrize("text", FORMS)
def test_a_conversation_is_taken_apart(text: str) -> None:
    assert " | ".join(f"{message.role}: {message.content}" for message in turns(text)) == FORMS[text]


@pytest.mark.parametrize("text", TEXTS)
def test_any_other_text_stays_one(text: str) -> None:
    assert turns(text) == ()


MANY = 200_000
HOSTILE = ("[INST]" * MANY, "[/INST]" * MANY + "[INST]" * MANY, "User:" + "</s>" * MANY + "\nBot:" + " " * MANY, "a:\n" * MANY)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_read_to_its_end(text: str) -> None:
    """A look from every mark to the end of the text would take minutes."""
    assert turns(text) == ()
