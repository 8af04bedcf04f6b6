"""The nouns: frozen, exact, and a Plan that lists every setting once with all a form needs."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.records import Artifact, Example, Message, Score
from loralab.tasks import parse_plan, tasks
from loralab.tasks.text import TextPlan

ISSUE_FIELDS = (
    "base_model task rank alpha dropout targets precision max_length micro_batch effective_batch learning_rate schedule warmup epochs "
    "max_steps weight_decay max_grad_norm learn_from seed engine"
)


def test_a_record_cannot_be_changed_and_takes_no_unknown_field():
    artifact = Artifact(kind="adapter", path="there")
    with pytest.raises(ValidationError):
        artifact.path = "elsewhere"
    with pytest.raises(ValidationError):
        Artifact.model_validate({"kind": "adapter", "path": "there", "colour": "red"})


def test_numbers_that_are_not_finite_survive_json():
    score = Score(name="loss", before=math.inf, after=math.nan, n=1)
    back = Score.model_validate_json(score.model_dump_json())
    assert back.before == math.inf
    assert math.isnan(back.after)


def test_an_example_comes_back_from_json_as_it_was():
    example = Example(row=3, source="a.csv", messages=(Message(role="user", content="Łódź 🙂\n"), Message(role="assistant", content="")))
    assert Example.model_validate_json(example.model_dump_json()) == example


@pytest.mark.parametrize("kind", sorted(tasks()))
def test_every_setting_has_a_sentence_a_label_and_a_group(kind):
    for name, field in tasks()[kind].plan.model_fields.items():
        about = field.json_schema_extra
        if name != "task":  # the kind is fixed by its class
            assert field.description, name
            assert field.description.endswith("."), name
            assert isinstance(about, dict)
            assert about.get("group"), name
            assert about.get("label"), name


def test_the_text_plan_has_the_names_scripts_rely_on():
    assert set(ISSUE_FIELDS.split()) <= set(tasks()["text"].plan.model_fields)


def test_a_plan_of_texts_becomes_typed_and_goes_round():
    plan = parse_plan({"task": "text", "epochs": "2.5", "rank": "8", "use_dora": "true"})
    assert isinstance(plan, TextPlan)
    assert (plan.epochs, plan.rank, plan.use_dora) == (2.5, 8, True)
    assert parse_plan(plan.model_dump()) == plan


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rank": 0}, "rank"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"precision": "fp8"}, "precision"),
        ({"lernrate": 1}, "no setting called “lernrate”"),
        ({"task": "knitting"}, "knitting"),
    ],
)
def test_a_wrong_setting_is_named_in_words(values, words):
    with pytest.raises(UserError, match=words):
        parse_plan(values)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no umask")
def test_what_is_written_at_once_may_be_read_as_any_other_file_and_a_token_by_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "card.md", "a card")
        write_atomic(tmp_path / "token.json", "a token", private=True)
        (tmp_path / "other").write_text("as the system makes it")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
    assert modes == {"card.md": 0o640, "token.json": 0o600, "other": 0o640}
