"""Owns the tests of wishes: words that look alike and mean other things, and what a person is told about the examples."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from advisor.cli import plans
from advisor.proposals import wording
from advisor.proposals.describe import MEANS, SPEAKS_MANY, describe
from advisor.proposals.tongues import language, without
from advisor.proposals.wishes import SIGNS, scores, tidy, understand
from loralab.core.errors import UserError
from loralab.lab import Lab
from ui.advisor.wish import OTHER, choices


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
        # none of these says what it wants with a word of the table of signs, and none is among the wishes that were learned from
        ("my tenants ring me about the boiler at midnight, somebody else should pick up", "answer"),
        ("a specialist for dragon boats you can ask", "answer"),
        ("Gesangsverein: lustige Vierzeiler", "write"),
        ("what was in my mails, in a nutshell", "summarise"),
        ("alle Artikelnummern und Preise aus den Katalogen", "extract"),
        ("COBOL nach Java", "code"),
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
        ("our German mails, answered in English", "English"),
        ("reply to our Polish suppliers", ""),
        ("the mails are in Italian, I need the gist in German", "German"),
        ("summarise German articles", ""),
        ("museum guide, Dutch in, Arabic out", "Arabic"),
        ("een nieuwsbrief in het Frans", "French"),
        ("posts em inglês", "English"),
        ("traduire vers l'allemand", "German"),
        ("dallo spagnolo all'italiano", "Italian"),
        ("Texte aus dem Englischen übersetzen", ""),
        ("slogans for our Greek restaurant", ""),
        ("Makros, ich sage auf Deutsch was passieren soll", ""),
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
        ("welche Orte kommen im Brief vor", ""),
        ("risposte brevi per il centralino", "short"),
        ("contos longos", "long"),
        ("SQL queries from a sentence", ""),
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


def test_what_is_read_is_not_what_is_written_but_is_what_texts_are_in():
    assert language("read dutch invoices", "extract") == "Dutch"
    assert language("spam, messages are in french", "sort") == "French"
    assert language("polish my texts", "translate") == language("", "answer") == ""
    assert without("from german to polish", "LANG") == "from LANG to LANG"
    assert without("polish my texts", "LANG") == "polish my texts"


@pytest.mark.parametrize(
    ("text", "task"), [("the boss only has a minute for each file", "summarise"), ("dragon boat racing expert", "answer")]
)
def test_what_it_misreads_it_is_not_sure_of(text: str, task: str):
    wish = understand(text)
    assert not wish.sure
    assert task in wish.likely


def test_where_it_is_not_sure_it_says_what_else_it_could_be(lab: Lab):
    vague = describe(lab, "make it good")
    assert not vague.wish.sure
    assert vague.wish.likely[0] == vague.wish.task
    assert len(set(vague.wish.likely)) == 3
    assert vague.words.startswith("Perhaps it shall")
    assert all(MEANS[task] in vague.words for task in vague.wish.likely[1:])
    clear = describe(lab, "sort mails into billing and other")
    assert clear.wish.sure
    assert clear.wish.likely == ("sort",)
    assert clear.words.startswith("It shall sort")
    assert "guess" not in clear.words


def test_a_person_has_the_last_word_about_the_kind_of_task(lab: Lab):
    for task, kind in MEANS.items():
        found = describe(lab, "make it good", kind=task)
        assert (found.wish.task, found.wish.sure) == (task, True)
        assert found.columns == describe(lab, "sort mails into billing and other", kind=task).columns
        assert kind not in found.words


def test_every_list_of_kinds_leads_to_all_of_them():
    assert [kind for _, kind in choices(("write", "answer"))] == ["write", "answer", OTHER]
    assert [kind for _, kind in choices(tuple(MEANS))] == list(MEANS)


def test_the_terminal_names_the_other_kinds_and_takes_one(home, capsys):
    plans.describe("make it good", home=home)
    assert capsys.readouterr().out.count("--kind ") == 2
    plans.describe("make it good", kind="sort", json=True, home=home)
    assert json.loads(capsys.readouterr().out)["columns"] == ["text", "label"]
    with pytest.raises(UserError, match="no kind of task “nonsense”"):
        plans.describe("make it good", kind="nonsense", home=home)


def test_without_the_weights_the_table_of_signs_decides(tmp_path):
    bare = wording.weights(len(SIGNS), tmp_path / "none.npz")
    for text, task in {"translate this": "translate", "summarise it": "summarise"}.items():
        shares = bare.shares(tidy(text), scores(tidy(text)))
        assert list(SIGNS)[int(shares.argmax())] == task
    assert not understand("").sure
    assert np.isfinite(wording.weights(len(SIGNS)).shares("", [0.0] * len(SIGNS))).all()


def test_a_wish_is_read_in_five_milliseconds_from_a_small_file():
    understand("warm")
    begun = time.process_time()
    for _ in range(20):
        understand("please " + "sort the mails of our members and tell me which of them are urgent " * 3)
    assert (time.process_time() - begun) / 20 < 0.005
    assert wording.FILE.stat().st_size < 300_000
