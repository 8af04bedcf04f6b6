"""Answers that a file keeps from being learned: read by every family's model, learned by none."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.records import Example, Message
from loralab.datasets.profile import content_id
from loralab.models.tokenize import TextEncoder
from tests.models.test_encode import FAMILIES, MORE, TOLD, folder_of


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TextEncoder]:
    root: Path = tmp_path_factory.mktemp("tokenizers")
    return {family: TextEncoder(folder_of(root / family, family)) for family in FAMILIES}


def told(encoder: TextEncoder, messages: list[Message], learn_from: str = "replies") -> tuple[str, str]:
    """(what is read, what is learned) as the tokens say it."""
    row = encoder.encode(Example(row=1, messages=tuple(messages)), 1000, learn_from)
    learned = [token for token, is_learned in zip(row.ids, row.learned, strict=True) if is_learned]
    return encoder.tokenizer.decode(row.ids, skip_special_tokens=False), encoder.tokenizer.decode(learned, skip_special_tokens=False)


def unlearned(messages: list[Message], place: int) -> list[Message]:
    return [m.model_copy(update={"learn": at != place}) for at, m in enumerate(messages)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("learn_from", ["replies", "everything"])
def test_an_answer_not_to_be_learned_is_read_only(encoders: dict[str, TextEncoder], family: str, learn_from: str) -> None:
    whole, all_learned = told(encoders[family], TOLD, learn_from)
    for place, kept in ((2, "the sea is blue"), (4, "it is green")):
        read, learned = told(encoders[family], unlearned(TOLD, place), learn_from)
        assert read == whole
        assert kept in learned
        assert TOLD[place].content in all_learned
        assert TOLD[place].content not in learned
        assert ("what is the colour" in learned) == (learn_from == "everything")


@pytest.mark.parametrize("family", FAMILIES)
def test_where_no_answer_is_to_be_learned_nothing_is(encoders: dict[str, TextEncoder], family: str) -> None:
    for learn_from in ("replies", "everything"):
        nothing = [m.model_copy(update={"learn": False}) for m in MORE]
        assert told(encoders[family], nothing, learn_from)[1] == ""


def test_ids_of_old_data_stay_and_what_is_learned_is_part_of_them() -> None:
    plain = [Example(row=1, messages=tuple(MORE))]
    assert content_id(plain) == "787d0906b8ecc790"  # as every earlier version wrote it
    assert content_id([Example(row=1, messages=tuple(unlearned(MORE, 1)))]) != content_id(plain)
    assert content_id([plain[0].model_copy(update={"rejected": tuple(MORE)})]) != content_id(plain)
