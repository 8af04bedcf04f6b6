"""Shapes, roles, splits and profiles: what is recognised, what is asked, and that the app and the worker see the same rows."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile, Example
from loralab.datasets.images.door import profile_pictures
from loralab.datasets.loading import load_examples
from loralab.datasets.profile import profile_dataset, quantiles, remembered_roles
from loralab.datasets.samples import sample, samples
from tests.support import tiny


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def turns(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in example.messages]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny._tokenizer(folder, 256)
    return folder


# ---- shapes ----------------------------------------------------------------------------------------------------------------

Q, A = "How are you?", "Fine, thanks."
SHAPES = [
    ("messages", {"messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A}], "topic": "x"}, True),
    ("sharegpt", {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]}, True),
    ("instruction", {"instruction": Q, "input": "", "output": A, "text": "all of it again"}, True),
    ("prompt_completion", {"prompt": Q, "completion": A}, True),
    ("question_answer", {"question": Q, "answer": A, "category": "smalltalk"}, True),
    ("question_answer", {"Question": Q, "Answer": A}, True),
    ("prompt_completion", {"input": Q, "output": A}, True),
    ("prompt_completion", {"code": Q, "docstring": A}, True),
    ("question_answer", {"問題": Q, "答案": A}, True),
    ("prompt_completion", {"title": Q, "author": "Poe", "poem": A}, False),
    ("prompt_completion", {"name": Q, "description": A}, False),
]


@pytest.mark.parametrize(("shape", "row", "certain"), SHAPES)
def test_shapes_are_recognised_and_doubt_is_told(tmp_path: Path, shape: str, row: dict[str, Any], certain: bool) -> None:
    examples, loaded = load_examples(write(tmp_path / "a.jsonl", [row] * 3))
    assert (loaded.shape, loaded.certain) == (shape, certain)
    assert turns(examples[0]) == [("user", Q), ("assistant", A)]


def test_reasoning_goes_before_the_answer_between_think_marks(tmp_path: Path) -> None:
    row = {"Question": "2+2?", "Complex_CoT": "Two and two.\nSo four.", "Response": "4"}
    examples, loaded = load_examples(write(tmp_path / "o1.jsonl", [row] * 2))
    assert loaded.shape == "reasoning"
    assert loaded.certain
    assert turns(examples[0]) == [("user", "2+2?"), ("assistant", "<think>\nTwo and two.\nSo four.\n</think>\n\n4")]


def test_input_follows_the_instruction_and_system_leads(tmp_path: Path) -> None:
    row = {"system": "Be brief.", "instruction": "Translate.", "input": "Haus", "output": "house"}
    examples, _ = load_examples(write(tmp_path / "alpaca.jsonl", [row]))
    assert turns(examples[0]) == [("system", "Be brief."), ("user", "Translate.\n\nHaus"), ("assistant", "house")]


def test_sharegpt_with_a_system_turn_and_many_turns(tmp_path: Path) -> None:
    talk = [("system", "Be kind."), ("human", "a"), ("gpt", "b"), ("human", "c"), ("gpt", "d"), ("human", "left hanging")]
    row = {"conversations": [{"from": who, "value": what} for who, what in talk]}
    examples, _ = load_examples(write(tmp_path / "s.jsonl", [row]))
    assert [role for role, _ in turns(examples[0])] == ["system", "user", "assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        ([], "holds no conversation"),
        ([{"role": "user", "content": "only a question"}], "no answer"),
        ([{"role": "assistant", "content": "only an answer"}], "no question"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": None}], "Turn 2 of the conversation is empty"),
        ([{"role": "wizard", "content": "a"}, {"role": "assistant", "content": "b"}], "wizard"),
    ],
)
def test_conversations_that_teach_nothing_are_left_out_with_the_reason(tmp_path: Path, talk: list[Any], reason: str) -> None:
    good = {"messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]}
    examples, loaded = load_examples(write(tmp_path / "m.jsonl", [good, {"messages": talk}, good]))
    assert len(examples) == 2
    assert loaded.n_read == 3
    assert loaded.left_out[0].row == 2
    assert reason in loaded.left_out[0].reason


def test_seed_tasks_give_one_example_per_instance(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "instruction": "Double it.", "instances": [{"input": "2", "output": "4"}, {"input": "3", "output": "6"}]},
        {"id": 2, "instruction": "Say hi.", "instances": [{"input": "", "output": "Hi!"}]},
        {"id": 3, "instruction": "Nothing.", "instances": []},
    ]
    examples, loaded = load_examples(write(tmp_path / "seed.jsonl", rows))
    assert [turns(e)[0][1] for e in examples] == ["Double it.\n\n2", "Double it.\n\n3", "Say hi."]
    assert loaded.n_read == 4
    assert loaded.left_out[0].row == 3


def test_classes_are_answers_and_labels(tmp_path: Path) -> None:
    rows = [{"text": f"note number {i}", "label": ["good", "bad"][i % 2]} for i in range(20)]
    examples, loaded = load_examples(write(tmp_path / "c.jsonl", rows))
    assert loaded.shape == "label"
    assert loaded.certain
    assert examples[1].label == "bad"
    assert turns(examples[1]) == [("user", "note number 1"), ("assistant", "bad")]


def test_a_label_column_that_never_repeats_is_no_class(tmp_path: Path) -> None:
    rows = [{"text": f"note number {i} is written here", "topic": f"unique topic {i}"} for i in range(30)]
    _, loaded = load_examples(write(tmp_path / "c.jsonl", rows))
    assert loaded.shape != "label"


def test_long_rows_of_plain_text_are_cut_into_passages_and_counted(tmp_path: Path) -> None:
    rows = [{"title": "A", "text": "A sentence of some length. " * 200}, {"title": "B", "text": "short"}, {"title": "C", "text": ""}]
    examples, loaded = load_examples(write(tmp_path / "t.jsonl", rows), {"text": "text"})
    assert len(examples) > 4
    assert {e.row for e in examples} == {1, 2}
    assert len(examples) + len(loaded.left_out) == loaded.n_read


# ---- roles -----------------------------------------------------------------------------------------------------------------

PAIRS = [{"col_x": f"the first text number {i}", "col_y": f"another longer text, number {i}, to learn", "id": i} for i in range(12)]


def test_statistics_guess_but_ask(tmp_path: Path) -> None:
    _, loaded = load_examples(write(tmp_path / "x.jsonl", PAIRS))
    assert loaded.roles == {"prompt": "col_x", "answer": "col_y"}
    assert not loaded.certain


def test_roles_a_person_gives_win_and_are_remembered_for_files_with_these_columns(tmp_path: Path, tokenizer: Path) -> None:
    home = tmp_path / "home"
    roles = {"prompt": "col_y", "answer": "col_x"}
    asked = profile_dataset(write(tmp_path / "x.jsonl", PAIRS), tokenizer, home=home)
    told = profile_dataset(tmp_path / "x.jsonl", tokenizer, roles=roles, home=home)
    again = profile_dataset(write(tmp_path / "y.jsonl", PAIRS[:6]), tokenizer, home=home)
    assert not asked.certain
    assert (told.roles, told.certain) == (again.roles, again.certain) == (roles, True)
    assert remembered_roles(home, ["id", "col_y", "col_x"]) == roles
    assert json.loads((home / "datasets" / "roles.json").read_text())


@pytest.mark.parametrize(
    ("roles", "code"),
    [
        ({"prompt": "nowhere", "answer": "col_y"}, "no_such_column"),
        ({"prompt": "col_x"}, "roles_incomplete"),
        ({"wizard": "col_x"}, "unknown_role"),
    ],
)
def test_roles_that_do_not_fit_are_refused(tmp_path: Path, roles: dict[str, str], code: str) -> None:
    with pytest.raises(UserError) as refused:
        load_examples(write(tmp_path / "x.jsonl", PAIRS), roles)
    assert refused.value.problem.code == code


def test_a_text_to_be_sorted_may_be_called_text_or_prompt(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"a": f"text {i}", "b": "yes"} for i in range(4)])
    as_text, _ = load_examples(path, {"text": "a", "label": "b"})
    as_prompt, _ = load_examples(path, {"prompt": "a", "label": "b"})
    assert as_text == as_prompt
    assert as_text[0].label == "yes"


# ---- profile ---------------------------------------------------------------------------------------------------------------


def test_a_profile_shows_examples_exactly_as_the_model_sees_them(tmp_path: Path, tokenizer: Path) -> None:
    rows = [{"question": f"What is number {i}?", "answer": f"It is {i}."} for i in range(30)] + [{"question": "Empty?", "answer": ""}]
    profile = profile_dataset(write(tmp_path / "qa.jsonl", rows), tokenizer)
    assert (profile.n_read, profile.n_kept, len(profile.left_out)) == (31, 30, 1)
    assert (profile.n_train, profile.n_heldout) == (22, 8)
    assert len(profile.previews) == 10
    first = profile.previews[0]
    learned = "".join(text for text, is_learned in first.pieces if is_learned)
    assert learned == "It is 0.<|im_end|>"
    assert 0 < first.learned < first.cost
    assert "What is number 0?" in "".join(text for text, is_learned in first.pieces if not is_learned)
    assert profile.tokens["p50"] <= profile.tokens["max"] <= profile.tokens["total"]
    assert DatasetProfile.model_validate_json(profile.model_dump_json()) == profile
    everything = profile_dataset(tmp_path / "qa.jsonl", tokenizer, learn_from="everything")
    assert everything.tokens["learned"] > profile.tokens["learned"]


def test_the_id_depends_on_the_examples_alone(tmp_path: Path, tokenizer: Path) -> None:
    rows = [{"question": f"What is {i}?", "answer": f"It is {i}."} for i in range(9)]
    (tmp_path / "b.csv").write_text("answer,question\n" + "".join(f"{row['answer']},{row['question']}\n" for row in rows))
    ids = [profile_dataset(path, tokenizer).id for path in (write(tmp_path / "a.jsonl", rows), tmp_path / "b.csv")]
    other = profile_dataset(write(tmp_path / "c.jsonl", rows[:-1]), tokenizer).id
    assert ids[0] == ids[1] != other


def test_the_worker_sees_the_rows_that_were_profiled_in_a_mixed_folder(tmp_path: Path, tokenizer: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    write(folder / "a.jsonl", [{"question": f"q{i}", "answer": f"a{i}"} for i in range(9)])
    write(folder / "b.jsonl", [{"question": f"x{i}", "answer": f"y{i}", "reasoning": f"because {i}"} for i in range(4)])
    (folder / "c.txt").write_text("Some prose.\n\nMore prose.")
    profile = profile_dataset(folder, tokenizer)
    examples, loaded = load_examples(folder, profile.roles)
    assert profile.n_kept == len(examples)
    assert profile.n_read == loaded.n_read
    assert profile.n_kept + len(profile.left_out) == profile.n_read
    shown = {"".join(text for text, _ in preview.pieces) for preview in profile.previews}
    assert any("".join(m.content for m in e.messages) and e.messages[-1].content in text for e in examples if e.messages for text in shown)


def test_quantiles_are_lengths_that_occur() -> None:
    assert quantiles([7]) == {"p50": 7, "p90": 7, "p95": 7, "p99": 7, "max": 7}
    assert quantiles(range(1, 101)) == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}


@pytest.mark.worker
def test_sixteen_thousand_rows_are_profiled_in_seconds(tmp_path: Path, tokenizer: Path) -> None:
    rows = [{"question": f"What about thing {i}?", "answer": f"Thing number {i} is as good as any other. " * 3} for i in range(16_000)]
    begun = time.process_time()
    profile = profile_dataset(write(tmp_path / "big.jsonl", rows), tokenizer)
    assert profile.n_kept == 16_000
    assert time.process_time() - begun < 60  # seconds of processor time; a few on a free machine


# ---- bundled data sets -----------------------------------------------------------------------------------------------------


def test_bundled_data_sets_are_complete_short_and_recognised(tokenizer: Path) -> None:
    found = [one for one in samples() if one.task == "text"]
    assert {s.name for s in found} == {"customer_messages", "table_bookings", "health_texts", "security_alerts", "plain_words"}
    for entry in found:
        examples, loaded = load_examples(Path(entry.path))
        assert (loaded.certain, loaded.left_out) == (True, ()), entry.name
        assert 120 <= len(examples) == entry.rows <= 1000, entry.name
        assert Path(entry.path).stat().st_size < 400_000
        assert entry.licence
        assert entry.credit
        assert entry.goal in ("answer", "sort", "extract", "write")
    named = re.findall(r"^\| (\S+)", (paths.SAMPLES / "README.md").read_text(), flags=re.MULTILINE)
    assert {Path(entry.path).name for entry in found} <= set(named)


def test_the_bundled_pictures_are_as_their_card_says(tmp_path: Path) -> None:
    entry = sample("little_pictures")
    profile = profile_pictures(Path(entry.path), tmp_path)
    assert (profile.task, profile.n_kept, profile.left_out) == (entry.task, entry.rows, ())
    assert set(profile.labels.values()) == {entry.rows // 4}
    assert {name: profile.tokens[name] for name in entry.tokens} == entry.tokens
    assert not [finding for finding in profile.findings if finding.severity == "error"]
    assert Path(entry.path).stat().st_size < 2_000_000


def test_the_bundled_pictures_to_draw_like_are_as_their_card_says(tmp_path: Path) -> None:
    entry = sample("ink_and_candy")
    profile = profile_pictures(Path(entry.path), tmp_path)
    assert (profile.task, profile.n_kept, profile.n_heldout, profile.left_out) == (entry.task, entry.rows, entry.n_heldout, ())
    assert {name: profile.tokens[name] for name in entry.tokens} == entry.tokens
    assert not profile.findings
    assert Path(entry.path).stat().st_size < 300_000


def test_customer_messages_have_ten_even_classes(tokenizer: Path) -> None:
    profile = profile_dataset(Path(sample("customer_messages").path), tokenizer)
    assert profile.shape == "label"
    assert len(profile.labels) == 10
    assert set(profile.labels.values()) == {60}


def test_an_unknown_sample_is_named_with_those_there_are() -> None:
    with pytest.raises(UserError, match="plain_words"):
        sample("nothing")
