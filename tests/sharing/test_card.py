"""The head of a card: what the Hub would not take is found before it is asked, and the licence allows no more than the base's does."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from loralab.reports.card import Origin
from loralab.sharing.hub.card import Front, licence_of


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_model": "/srv/models/base", "base_model_relation": "adapter"},
        {"license": "do-as-you-like"},
        {"license": "other"},
        {"language": ["English"]},
        {"pipeline_tag": "mind-reading"},
        {"library_name": "loralab"},
        {"base_model": "owner/name"},
        {"made_up": 1},
    ],
)
def test_a_head_the_hub_would_not_take_is_found_here(wrong):
    good = {"library_name": "peft", "pipeline_tag": "text-generation", "tags": ["lora"], "license": "mit", "language": ["en"]}
    assert Front.model_validate(good).text().startswith("---\n")
    with pytest.raises(ValidationError):
        Front.model_validate(good | wrong)


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("Apache-2.0", ("apache-2.0", "")),
        ("Llama 3.2 Community", ("llama3.2", "")),
        ("Gemma", ("gemma", "")),
        ("Our Own Terms", ("other", "our-own-terms")),
        ("", ("", "")),
    ],
)
def test_the_licence_is_the_bases(licence, expected):
    assert licence_of(Origin(name="b", licence=licence), "") == expected


def test_terms_of_the_examples_that_bind_are_said(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    assert licence_of(Origin(name="b", licence="MIT"), str(tmp_path))[0] == "other"
