"""Cards of models: what they cannot do is said, what is recommended can be done here, and asking again costs next to nothing."""

from __future__ import annotations

import time

import pytest

from loralab.core.records import DatasetProfile, Example, Message
from loralab.datasets.language import language_of, need_of
from loralab.lab import Lab
from loralab.models.catalog import Catalog, catalogue, hub_entry
from loralab.models.suitability import LANGUAGES, cannot, languages_words
from loralab.planning.choices import QUICK_MIN, ModelChoice, choices, larger

GERMAN = "Vielen Dank für Ihre Nachricht. Wir haben Ihre Bestellung heute verschickt, und sie kommt in zwei bis drei Tagen bei Ihnen an."
ENGLISH = "Thank you for your message. We have sent your order today, and it will be with you in two or three days."


def example(question, answer):
    """A question with its answer; plain text without a question."""
    if not question:
        return Example(row=1, text=answer)
    return Example(row=1, messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


def profile(**changes):
    told = {"p50": 60, "p90": 90, "p95": 100, "p99": 120, "max": 150, "total": 12_000, "learned": 6_000}
    known = {"id": "x", "name": "x.csv", "path": "/x.csv", "shape": "question_answer", "n_read": 200, "n_kept": 200, "n_train": 180}
    return DatasetProfile(**{**known, "n_heldout": 20, "tokens": told, "language": "en", "need": "answer", **changes})


@pytest.mark.parametrize(
    ("text", "code"), [(GERMAN, "de"), (ENGLISH, "en"), ("Bonjour, nous avons bien reçu votre commande ce matin.", "fr")]
)
def test_the_language_of_examples_is_found(text, code):
    assert language_of([example(f"Frage {i}?", text) for i in range(8)]) == code


def test_no_language_is_claimed_where_there_is_none():
    assert language_of([example(f"a{i}", "4711") for i in range(50)]) == ""
    assert language_of([example(f"a{i}", f"{i:03}{i * 7919 % 1000003:06x}8b592907bfa65") for i in range(50)]) == "", "ids are no language"
    assert language_of([example("q", GERMAN if i % 2 else ENGLISH) for i in range(20)]) == ""


@pytest.mark.parametrize(
    ("examples", "need"),
    [
        ([example(f"text {i}", ["spam", "ham"][i % 2]) for i in range(30)], "sort"),
        ([example(f"text {i}", f"{i} guests, Monday") for i in range(30)], "note"),
        ([example(f"text {i}", f"{ENGLISH} {i}") for i in range(30)], "answer"),
        ([example("", f"{ENGLISH} {i}") for i in range(30)], "write"),
        ([], ""),
    ],
)
def test_what_examples_ask_of_a_model(examples, need):
    assert need_of(examples) == need


@pytest.mark.parametrize(
    ("model", "language", "need", "typical", "codes"),
    [
        ("starter", "en", "sort", 30, []),
        ("starter", "de", "answer", 30, ["wrong_language", "wrong_kind"]),
        ("smollm2-135m", "de", "answer", 30, ["wrong_language"]),
        ("smollm2-135m", "en", "chat", 30, []),
        ("smollm2-135m", "", "", 0, []),
        ("starter", "en", "note", 30, []),
        ("gpt2", "en", "answer", 1500, ["wrong_kind", "too_long"]),
        ("qwen3-0.6b", "de", "chat", 3000, []),
    ],
)
def test_what_a_model_cannot_do_is_said_and_nothing_else(model, language, need, typical, codes):
    entry = hub_entry(model)
    assert entry is not None
    found = cannot(entry, language, need, typical)
    assert [problem.code for problem in found] == codes
    assert all(entry.title in problem.what for problem in found)


def test_every_card_says_what_it_is_good_for_in_known_languages():
    known = {"sort", "answer", "write", "chat", "code", "think"}
    for entry in catalogue():
        assert entry.good_for, entry.name
        assert set(entry.good_for) <= known
        assert set(entry.languages) <= LANGUAGES.keys(), entry.name
    assert languages_words(("en",)) == "English"
    assert languages_words(("en", "de")) == "English and German"
    assert languages_words(tuple(LANGUAGES)).endswith(" more")


def card(name, parameters, **more):
    return ModelChoice(name=name, title=name, words="", parameters=parameters, good_for=("answer",), fits=True, minutes=10.0, **more)


def test_german_examples_are_given_a_model_that_knows_german(home):
    cards = Lab(home).model_choices(profile(language="de"))
    assert cards[0].recommended
    assert cards[0].able
    assert "de" in cards[0].languages
    starter = next(c for c in cards if c.name == "starter")
    assert any("German" in words for words in starter.cannot)
    assert not starter.recommended
    assert {c.name for c in cards} == {e.name for e in catalogue()}
    assert sum(c.recommended for c in cards) == 3


def test_sorting_begins_with_the_smallest_and_goes_on_with_what_is_at_hand(home):
    lab = Lab(home)
    cards = lab.model_choices(profile(need="sort"))
    assert [c.name for c in cards[:2]] == ["starter", "smollm2-135m"]
    better = lab.better_model(profile(need="sort"), "starter")
    assert better is not None
    assert better.name == "smollm2-135m"
    assert lab.better_model(profile(need="sort"), "llama-3-8b") is None


def test_without_examples_cards_promise_no_minutes(home):
    cards = Lab(home).model_choices()
    assert {c.minutes for c in cards} == {None}
    assert cards[0].name == "starter"


def test_what_does_not_fit_or_takes_an_account_is_never_recommended(home, monkeypatch):
    from loralab.planning import estimate

    monkeypatch.setattr(estimate, "fits", lambda needs, machine, share=1.0: needs.memory_bytes < 1_500_000_000)
    cards = Lab(home).model_choices(profile())
    assert all(c.fits and not c.gated for c in cards if c.recommended)
    assert not next(c for c in cards if c.name == "mistral-7b").fits


@pytest.mark.parametrize(("minutes", "first"), [(QUICK_MIN, "qwen3-1.7b"), (QUICK_MIN + 1, "smollm2-135m")])
def test_the_largest_that_is_quick_comes_first_else_what_is_at_hand(home, minutes, first):
    entries = [e for e in catalogue() if e.name in {"smollm2-135m", "smollm2-360m", "qwen3-1.7b"}]
    checks = [Catalog(home).check(entry.name) for entry in entries]
    cards = choices(checks, profile(), lambda check: (True, 60 * minutes))
    assert cards[0].name == first


def test_what_to_try_next_is_larger_able_and_free():
    small, large = card("small", 10), card("large", 1000)
    assert larger([small, large], "small") == large
    assert larger([small, large], "large") is None
    assert larger([small, large.model_copy(update={"cannot": ("no",)})], "small") is None
    assert larger([small, large.model_copy(update={"gated": True})], "small") is None


def test_asking_again_costs_next_to_nothing_and_other_examples_are_other_cards(home):
    lab = Lab(home)
    first = lab.model_choices(profile())
    began = time.perf_counter()
    for _ in range(20):
        assert lab.model_choices(profile()) is first
    assert time.perf_counter() - began < 2.0
    assert lab.model_choices(profile(id="y", n_train=20)) is not first
    assert lab.model_choices(profile(), {"epochs": 1.0}) is not first
