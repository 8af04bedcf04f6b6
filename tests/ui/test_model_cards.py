"""The cards of models, and what is said of a model that is not on the list: what they promise is what the lab says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.records import Footprint, Proposal
from loralab.lab import Lab, ModelChoice
from ui.tabs.plan.cards import cards_html, facts
from ui.tabs.plan.view import can_download, download_question, fetch_words, fit_html, model_html


def card(name: str, **more: object) -> ModelChoice:
    known = {"title": name.title(), "words": f"About {name}.", "parameters": 10, "good_for": ("sort", "answer"), "languages": ("en", "de")}
    return ModelChoice.model_validate({**known, "name": name, "licence": "MIT", "download_bytes": 93_000_000, "minutes": 12.0, **more})


def picks(html: str) -> list[tuple[str, str]]:
    return re.findall(r'data-pick="([^"]+)" aria-pressed="(\w+)"', html)


def test_the_recommended_and_the_chosen_one_are_shown_and_no_other() -> None:
    cards = [card("best", recommended=True, why="Best"), card("next", recommended=True, why="More"), card("mine"), card("other")]
    assert picks(cards_html(cards, "mine")) == [("best", "false"), ("next", "false"), ("mine", "true")]
    assert picks(cards_html(cards, "best")) == [("best", "true"), ("next", "false")]
    assert picks(cards_html(cards, "/a/folder")) == [("best", "false"), ("next", "false")]


def test_a_card_says_what_it_cannot_do_and_escapes_what_it_is_told() -> None:
    html = cards_html([card("mine", cannot=("Mine knows <no> German.",))], "mine")
    assert "Mine knows &lt;no&gt; German." in html


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "About 12 minutes for these examples"),
        ({"minutes": None}, "93 MB to fetch"),
        ({"here": True}, "On this computer"),
        ({"fits": False}, "Does not fit on this computer"),
        ({"gated": True}, "after a sign-in"),
        ({}, "Good for sorting and answers · English and German"),
    ],
)
def test_what_a_card_says(more: dict[str, object], words: str) -> None:
    said = facts(card("mine", **more))
    assert any(words in line for line in said)
    assert ("for these examples" in " ".join(said)) is (more.get("minutes", 1) is not None and more.get("fits") is not False)


def test_an_unknown_name_is_said_to_be_unknown_and_needs_no_zero_bytes(lab: Lab) -> None:
    check = lab.check_model("asdf/qwer")
    assert "does not know it" in model_html(check)
    assert can_download(check)
    assert fetch_words(check).startswith("Look for it")
    unknown = Footprint(memory_bytes=0, free_bytes=1, stage="unknown", words="What it needs is known once the model is here.")
    html = fit_html(Proposal(plan={}, reasons={}, footprint=unknown, problems=()), "needs 0 bytes")
    assert "0 bytes" not in html
    known = unknown.model_copy(update={"stage": "trace"})
    assert "needs 5" in fit_html(Proposal(plan={}, reasons={}, footprint=known, problems=()), "needs 5")


def test_words_for_a_model_of_the_list_that_is_not_here(lab: Lab) -> None:
    check = lab.check_model("smollm2-135m")
    assert fetch_words(check).startswith("Fetch")
    assert "93 MB" in model_html(check)


def test_a_model_in_one_file_that_is_dropped_lies_in_the_workspace_and_is_known(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "uploads" / "Mine.gguf"
    file.parent.mkdir()
    for name in ("Mine.gguf", "Mine-2.gguf"):
        file.write_bytes(b"GGUF" + bytes(60))
        assert lab.catalog.take_file(file) == lab.home / "models" / name
        assert not file.exists()
    assert "Mine.gguf" in lab.check_model(str(lab.home / "models" / "Mine.gguf")).words, (
        "what is wrong with it is said, as where it is typed"
    )
    file.write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match="is not a model in one file"):
        lab.catalog.take_file(file)
    assert file.exists()


def test_for_every_sample_there_are_cards(lab: Lab) -> None:
    for sample in lab.samples():
        profile = lab.profile(sample.path)
        assert "Good for " in cards_html(lab.model_choices(profile), sample.model), sample.name


def test_a_model_that_draws_is_fetched_by_its_name(lab: Lab) -> None:
    check = lab.check_model("stable-diffusion-1.5")
    assert fetch_words(check) == "Fetch this model …"
    assert "A download of 2.1 GB" in model_html(check)
    assert "huggingface.co/" in download_question(check)
    assert "2.1 GB" in download_question(check)
