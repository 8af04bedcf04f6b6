"""Owns the tests of wishes: words that look alike and mean other things, and what a person is told about the examples."""

from __future__ import annotations

import pytest

from advisor.proposals.describe import SPEAKS_MANY, describe
from advisor.proposals.wishes import understand
from loralab.lab import Lab


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("some sort of poem about the sea", "write"),
        ("read resumes and give me the name, phone and last job", "extract"),
        ("recipes with shellfish in the style of my mother", "write"),
        ("turn customer questions into SQL", "code"),
        ("make letters from the authorities easier to read", "translate"),
        ("slogans for my shop", "write"),
        ("decide which colleague a letter belongs to", "sort"),
        ("Zusammenfassung von Berichten", "summarise"),
    ],
)
def test_words_that_look_like_another_kind_do_not_mislead(text: str, task: str):
    assert understand(text).task == task


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("summarise English articles in German", "German"),
        ("translate to German from English", "German"),
        ("answer in french", "French"),
        ("traduire de l'anglais vers le français", "French"),
        ("polish my texts", ""),
        ("write shell commands from plain English", ""),
    ],
)
def test_the_language_it_writes_is_told_from_the_one_it_reads(text: str, language: str):
    assert understand(text).language == language


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("summarise long reports", ""),
        ("long stories about dragons", "long"),
        ("answer in two sentences", "short"),
        ("answers are in a word file", ""),
        ("Antworten in drei Sätzen", "short"),
    ],
)
def test_what_is_long_is_what_it_writes(text: str, length: str):
    assert understand(text).length == length


def test_what_it_takes_is_said_in_the_words_of_the_task(lab: Lab):
    french = describe(lab, "translate menus into French")
    assert french.words.startswith("It shall translate into French, with the model")
    assert "French" in french.sample["translation"]
    sorting = describe(lab, "sort German reviews into good and bad")
    assert "Texts in German, as it will get them later." in sorting.needs
    poems = describe(lab, "short poems").needs
    assert any("column “text”" in need for need in poems)
    assert "Short texts throughout: it writes as long as the examples do." in poems


@pytest.mark.parametrize(
    ("wish", "written"),
    [
        ("Fasse lange E-Mails in drei Sätzen zusammen", "German"),
        ("Trier les messages des clients en facture, livraison ou autre", "French"),
        ("resumir las actas de las reuniones", "Spanish"),
        ("answer like our support team, in German, short", ""),
        ("write poems like my grandmother", ""),
    ],
)
def test_who_asks_in_a_language_gets_a_model_that_speaks_it(lab, wish, written):
    found = describe(lab, wish)
    assert found.wish.written == written
    if written or found.wish.language:
        assert found.proposal.plan["base_model"].startswith(SPEAKS_MANY)


def test_a_model_that_never_saw_a_conversation_is_not_taken_for_answers(lab):
    templates = {entry.name: entry.template for entry in lab.models()}
    for wish in ("answer questions about our shop", "sort mails into billing and other", "summarise reports"):
        assert templates[describe(lab, wish).proposal.plan["base_model"]] != "none"
