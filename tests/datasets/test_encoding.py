"""Encodings are found, and the shape of a text survives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.passages import LIMIT, passages
from tests.support.files import load, said

# ---- encodings -------------------------------------------------------------------------------------------------------------

WESTERN = "question,answer\nOù est le café ?,Près de l'hôtel, à côté.\n".replace("l, à", "l à") + "Señor?,Mañana\nGrüße?,Schöne Grüße\n"
CHINESE = "問題,答案\n什麼是模型？,模型是一種會學習的程式。\n今天天氣如何？,今天天氣很好，適合出門。\n"
SIMPLIFIED = "问题,答案\n什么是模型？,模型是一种会学习的程序。\n今天天气如何？,今天天气很好，适合出门。\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((WESTERN, name) for name in ("utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        *((CHINESE, name) for name in ("utf-8", "big5", "utf-16", "utf-16-le", "utf-8-sig")),
        (SIMPLIFIED, "gb18030"),
        ("question,answer\n“Quoted” – dashed?,It’s fine…\nNaïve?,Only a little\n", "cp1252"),
    ],
)
def test_encodings_are_found_by_themselves(tmp_path: Path, text: str, encoding: str) -> None:
    examples, _ = load(tmp_path, "text.csv", text, encoding)
    assert [said(example) for example in examples] == [line.split(",") for line in text.split("\n")[1:-1]]


def test_a_long_russian_file_is_not_called_western() -> None:
    text = "Вопрос и ответ: как научить модель писать стихи? Нужно собрать примеры и начать обучение. " * 20
    assert decode(text.encode("cp1251")).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Où est passé l'été dernier ? À côté du château, près de la forêt où les élèves ont rêvé d'être sages. ", "cp1252"),
        ("Zażółć gęślą jaźń: wszystkie przykłady są krótkie, więc model szybko się uczy i pisze dłuższe wiersze. ", "cp1250"),
    ],
)
def test_french_and_polish_are_told_apart_when_there_is_enough_of_them(text: str, encoding: str) -> None:
    assert decode((text * 10).encode(encoding)).text == text * 10


def test_utf8_with_a_broken_byte_stays_utf8() -> None:
    decoded = decode("Größe, Straße, Käse, Öl, Übung. ".encode() * 20 + b"\xff ende")
    assert decoded.encoding == "utf-8"
    assert decoded.text.startswith("Größe")
    assert decoded.text.count("\ufffd") == 1


def test_line_breaks_and_indents_of_poems_survive(tmp_path: Path) -> None:
    poem = "Hear the sledges with the bells--\n      Silver bells!\n\nWhat a world"
    examples, loaded = load(tmp_path, "poems.jsonl", json.dumps({"title": "The Bells", "author": "Poe", "poem": "\n" + poem + "\n"}))
    assert said(examples[0]) == ["The Bells", poem]
    assert not loaded.certain
    examples, _ = load(tmp_path, "poems.csv", f'prompt,completion\r\nBells,"{poem}"\r\n'.replace("\n", "\r\n").replace("\r\r", "\r"))
    assert said(examples[0])[1] == poem


# ---- plain text ------------------------------------------------------------------------------------------------------------


def test_plain_text_becomes_passages_without_losing_a_word(tmp_path: Path) -> None:
    text = "\n\n".join(f"Paragraph {i}. " + "Some words follow here. " * (i % 90) for i in range(60))
    examples, loaded = load(tmp_path, "book.txt", text)
    assert loaded.shape == "text"
    assert loaded.certain
    assert " ".join(example.text for example in examples).split() == text.split()
    assert max(len(example.text) for example in examples) <= LIMIT


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab. \n!。字"), max_size=4000), st.integers(20, 300))
def test_passages_keep_all_words_and_the_limit(text: str, limit: int) -> None:
    cut = passages(text, limit)
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(0 < len(passage) <= limit and passage.strip() for passage in cut)
