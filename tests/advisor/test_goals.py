"""What a line of words is read as, that nothing is guessed, and the plan and examples that a goal gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from advisor.cli import commands
from advisor.proposals.describe import Goal, describe
from advisor.proposals.keywords import WORDS, understand
from advisor.proposals.kinds import KINDS, LENGTHS
from loralab.cli import app
from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.planning import estimate
from loralab.tasks import parse_plan


@pytest.fixture
def lab(home: Path) -> Lab:
    return Lab(home)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("answer like our support team, in German, short", "answer"),
        ("a chatbot for our shop", "answer"),
        ("sort incoming mails into billing, tech and other", "sort"),
        ("Is it SPAM?", "sort"),
        ("turn invoices into JSON", "extract"),
        ("find names and dates in contracts", "extract"),
        ("summarize meeting notes in bullet points", "summarise"),
        ("translate our manuals from English to French", "translate"),
        ("simplify letters from the authorities", "translate"),
        ("write SQL from questions", "code"),
        ("write poems like Emily Dickinson", "write"),
        ("write like my grandmother", "write"),
    ],
)
def test_plain_words_name_a_kind(text: str, kind: str):
    assert understand(text).kind == kind


@pytest.mark.parametrize(
    "text",
    ["", "asdf qwer", "make it good", "answerphone", "codeine", "my assortment of labour", "grade essays from A to F", "write minutes"],
)
def test_words_that_name_no_kind_are_asked_about(text: str):
    found = understand(text)
    assert found.kind is None
    assert found.ask == tuple(KINDS)
    assert found.words


def test_words_that_name_several_kinds_are_asked_about_with_those_only():
    found = understand("translate and summarise our reports")
    assert found.kind is None
    assert found.ask == ("summarise", "translate")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("make pictures of cats", "Pictures: not yet. Text: yes."),
        ("sort photos of birds", "Pictures: not yet. Text: yes."),
        ("a video of my dog", "Videos: not yet. Text: yes."),
        ("read books with my voice", "Sound: not yet. Text: yes."),
        ("predict stock prices", "a language model cannot"),
        ("tomorrow's weather", "a language model cannot"),
    ],
)
def test_what_is_not_possible_is_said_plainly_and_nothing_is_picked(text: str, sentence: str):
    found = understand(text)
    assert found.kind is None
    assert sentence in found.words


def test_the_words_that_a_kind_is_offered_with_are_not_taken_for_another():
    assert WORDS.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        assert name in (understand(kind.means).kind, *understand(kind.means).ask)


@pytest.mark.parametrize("kind", KINDS)
def test_a_goal_gives_a_complete_plan_and_the_examples_it_takes(lab: Lab, kind: str):
    found = describe(lab, Goal.model_validate({"kind": kind, "language": "German", "length": "short", "text": f"do {kind}"}), "starter")
    assert parse_plan(found.proposal.plan).title == f"do {kind}"
    assert found.proposal.plan["learn_from"] == KINDS[found.goal.kind].learn_from
    assert set(found.sample) == set(found.columns)
    assert any(f"{found.rows:,}" in need for need in found.needs)
    assert any("German" in need for need in (*found.needs, found.words))
    assert "knows hardly any German" in found.words


def test_the_model_is_one_that_fits_and_speaks_the_language(lab: Lab):
    found = describe(lab, Goal(kind="answer", language="German"))
    entry = lab.catalog.entry(found.proposal.plan["base_model"])
    assert entry is not None
    assert "de" in entry.languages
    assert estimate.fits(found.proposal.footprint, lab.machine())
    assert not [p for p in found.proposal.problems if p.severity == "error" and p.code != "not_downloaded"]


def test_what_is_not_chosen_is_as_in_the_examples(lab: Lab):
    found = describe(lab, Goal(kind="answer"))
    said = " ".join((found.words, *found.needs))
    assert " in English" not in said
    assert "Short" not in said
    assert found.goal.known_as == KINDS["answer"].means
    templates = {entry.name: entry.template for entry in lab.models()}
    assert templates[found.proposal.plan["base_model"]] != "none", "a model that never saw a conversation does not answer"


def test_longer_answers_take_longer_examples(lab: Lab):
    longest = [describe(lab, Goal(kind="answer", length=length), "starter").proposal.plan["max_length"] for length in LENGTHS]
    usual, short, long = longest
    assert short < usual < long


def test_on_the_command_line_a_sentence_gives_a_plan_and_a_vague_one_the_question(home: Path):
    commands.register(app.app)
    run = CliRunner().invoke
    asked = ["describe", "answer like our support team", "--language", "German", "--length", "short", "--model", "starter", "--json"]
    done = run(app.app, [*asked, "--home", str(home)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["goal"]["kind"], found["goal"]["language"], found["goal"]["length"]) == ("answer", "German", "short")
    assert run(app.app, ["describe", "--kind", "sort", "--model", "starter", "--home", str(home)]).exit_code == 0
    vague = run(app.app, ["describe", "asdf qwer", "--home", str(home)])
    assert isinstance(vague.exception, UserError)
    assert "--kind" in vague.exception.problem.todo
