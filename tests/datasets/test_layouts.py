"""Rows as programs lay them out in one document, and columns that are one: everything in a file is a row or left out by name."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import LabError, Offered, UserError
from loralab.datasets.loading import load_examples
from loralab.datasets.readers import read_path
from loralab.datasets.tables.tidy import tidy
from tests.datasets.test_kinds_of_files import CASES, PLAIN, QA, openai, read, table

ROWS = [{"question": asked, "answer": told} for asked, told in QA]
TALKS = [openai(asked, told) for asked, told in QA]


def crossed(names: Callable[[int], str]) -> dict[str, dict[str, str]]:
    return {column: {names(at): row[column] for at, row in enumerate(ROWS)} for column in ROWS[0]}


LAYOUTS: dict[str, Any] = {
    "records": ROWS,
    "columns": crossed(str),
    "columns of a part of a table": crossed(lambda at: str(at + 400)),
    "columns by names of rows": crossed(lambda at: f"row {at}"),
    "index": {str(at): row for at, row in enumerate(ROWS)},
    "index by names of rows": {f"faq_{at}": row for at, row in enumerate(ROWS)},
    "split": {"columns": ["question", "answer"], "index": list(range(12)), "data": [list(row.values()) for row in ROWS]},
    "split without an index": {"columns": ["question", "answer"], "data": [list(row.values()) for row in ROWS]},
    "table": {"schema": {"fields": [{"name": "question"}], "pandas_version": "1.4.0"}, "data": ROWS},
    "values with names": [["question", "answer"], *([row["question"], row["answer"]] for row in ROWS)],
    "lists side by side": {column: [row[column] for row in ROWS] for column in ROWS[0]},
    "under a name": {"version": 1, "faqs": ROWS},
    "rows of the Hub": {"features": [], "rows": [{"row_idx": at, "row": row, "truncated_cells": []} for at, row in enumerate(ROWS)]},
    "messages in columns": {"messages": {str(at): talk for at, talk in enumerate(TALKS)}},
    "messages in a split": {"columns": ["messages"], "data": [[talk] for talk in TALKS]},
    "talks under names": {f"talk_{at}": talk for at, talk in enumerate(TALKS)},
    "a list of talks": TALKS,
    "deep under names": {"status": "ok", "result": {"items": ROWS}},
    "each in an object": [{"inputs": {"question": asked}, "outputs": {"answer": told, "score": 1}} for asked, told in QA],
    "splits": {"train": ROWS[:8], "test": ROWS[8:]},
    "splits of talks": {"train": TALKS[:8], "validation": TALKS[8:]},
    "splits in columns": {"train": {column: [row[column] for row in ROWS] for column in ROWS[0]}, "test": []},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_rows(tmp_path: Path, layout: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LAYOUTS[layout]), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert (examples, loaded.certain, loaded.left_out) == (PLAIN, True, ())


@pytest.mark.parametrize("file", ["index_orient.json", "math_columns.json", "math_split.json"])
def test_pandas_files_hold_sixty_rows(file: str) -> None:
    examples, loaded = read(CASES / "pandas_json" / file)
    assert (len(examples), loaded.left_out) == (60, ())


def test_questions_and_answers_without_names_are_asked_about(tmp_path: Path) -> None:
    for document in (dict(QA), [[asked, told, 0.5] for asked, told in QA]):
        (tmp_path / "a.json").write_text(json.dumps(document), "utf-8")
        examples, loaded = read(tmp_path / "a.json")
        assert (examples, loaded.certain) == (PLAIN, False)


def test_rows_say_which_split_they_are_of(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LAYOUTS["splits"]), "utf-8")
    examples, _ = load_examples(tmp_path / "a.json")
    assert [example.held_out for example in examples] == [False] * 8 + [True] * 4
    held = [example.held_out for example in load_examples(CASES / "misc_reading" / "splits.json")[0]]
    assert 0 < sum(held) < len(held) == 60


def test_a_list_of_another_kind_is_left_out_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"faqs": ROWS, "authors": [{"mail": "a@example.com"}] * 3}), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert examples == PLAIN
    assert Counter(lost.reason for lost in loaded.left_out) == {"It stands in the list “authors”, which is of another kind.": 3}


# ---- SQuAD, Label Studio, the Hub, intents ------------------------------------------------------------------------------------------


def test_squad_takes_the_first_answer_and_leaves_out_what_has_none(tmp_path: Path) -> None:
    def paragraph(asked: str, told: str) -> dict[str, Any]:
        good = {"id": "a", "question": asked, "answers": [{"text": told, "answer_start": 0}, {"text": "x", "answer_start": 9}]}
        no = {"id": "b", "question": "Why?", "answers": [], "plausible_answers": [{"text": "z"}], "is_impossible": True}
        return {"context": f"About: {told}", "qas": [good, no]}

    document = {"version": "v2.0", "data": [{"title": "T", "paragraphs": [paragraph(asked, told) for asked, told in QA]}]}
    (tmp_path / "a.json").write_text(json.dumps(document), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert examples == [[("user", f"{asked}\n\nAbout: {told}"), ("assistant", told)] for asked, told in QA]
    assert loaded.certain
    assert len(loaded.left_out) == 12
    assert loaded.left_out[0].reason == "Question 2 is left out: the file says that the text does not answer it."


def task(text: str, mark: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"text": text}, "annotations": [{"result": [mark] if mark else [], **more}]}


def test_label_studio_gives_choices_as_labels_and_what_was_written_as_answers(tmp_path: Path) -> None:
    def choice(at: int) -> dict[str, Any]:
        return {"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": [("good", "bad")[at % 2]]}}

    tasks = [task(asked, choice(at)) for at, (asked, _) in enumerate(QA)]
    tasks += [{"id": 9, "data": {"text": "later"}, "annotations": []}, task("never", choice(1), was_cancelled=True)]
    (tmp_path / "a.json").write_text(json.dumps(tasks), "utf-8")
    examples, loaded = load_examples(tmp_path / "a.json")
    assert [example.label for example in examples] == ["good", "bad"] * 6
    assert [lost.reason for lost in loaded.left_out] == ["Nobody has marked it.", "Whoever looked at it passed it over."]
    written = [task(asked, {"from_name": "said", "type": "textarea", "value": {"text": [told]}}) for asked, told in QA]
    (tmp_path / "b.json").write_text(json.dumps(written), "utf-8")
    assert read(tmp_path / "b.json")[0] == PLAIN
    span = {"from_name": "label", "type": "labels", "value": {"start": 0, "text": "When", "labels": ["X"]}}
    spans = [task(asked, span) for asked, _ in QA]
    (tmp_path / "c.json").write_text(json.dumps(spans), "utf-8")
    with pytest.raises(UserError, match="People marked places in it"):
        load_examples(tmp_path / "c.json")


def test_classes_of_the_hub_have_their_names_and_cut_rows_are_left_out(tmp_path: Path) -> None:
    feature = {"feature_idx": 1, "name": "label", "type": {"names": ["bad", "good"], "_type": "ClassLabel"}}
    rows = [{"row_idx": at, "row": {"text": asked, "label": at % 2}, "truncated_cells": []} for at, (asked, _) in enumerate(QA)]
    rows[4]["truncated_cells"] = ["text"]
    (tmp_path / "a.json").write_text(json.dumps({"features": [feature], "rows": rows}), "utf-8")
    examples, loaded = load_examples(tmp_path / "a.json")
    assert [example.label for example in examples][:3] == ["bad", "good", "bad"]
    assert [(lost.row, lost.reason) for lost in loaded.left_out] == [(5, "The Hub has cut off “text” in this row.")]


def test_intents_are_questions_with_answers_in_turn(tmp_path: Path) -> None:
    intents = [{"tag": f"t{at}", "patterns": [asked, f"{asked} Please."], "responses": [told]} for at, (asked, told) in enumerate(QA)]
    (tmp_path / "a.json").write_text(json.dumps({"intents": [*intents, {"tag": "none", "patterns": ["?"], "responses": []}]}), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert [example for at, example in enumerate(examples) if at % 2 == 0] == PLAIN
    assert [lost.reason for lost in loaded.left_out] == ["The intent “none” has no answers."]


# ---- columns and cells --------------------------------------------------------------------------------------------------------------


def test_names_that_differ_by_a_blank_or_capitals_are_one_column() -> None:
    examples, loaded = read(CASES / "misc_reading" / "mixed_keys.jsonl")
    assert (len(examples), loaded.certain, loaded.left_out) == (60, True, ())
    assert loaded.columns == ("instruction", "output")


def test_names_that_a_row_fills_both_of_stay_two_columns(tmp_path: Path) -> None:
    rows = [{"Answer": "A", "answer": told, "question": asked} for asked, told in QA]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    assert set(read(tmp_path / "a.json")[1].columns) == {"Answer", "answer", "question"}


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"": asked, "answer": told} for asked, told in QA]), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert (examples, loaded.columns, loaded.certain) == (PLAIN, ("column 1", "answer"), False)


def test_objects_of_texts_become_columns_and_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"translation": {"en": asked, "de": told}} for asked, told in QA]), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert (examples, loaded.certain) == (PLAIN, False)
    assert loaded.columns == ("translation.en", "translation.de")


def test_a_text_with_its_summary_is_asked_about(tmp_path: Path) -> None:
    for names in (("article", "highlights"), ("dialogue", "summary"), ("text", "answer")):
        rows = [dict(zip(names, pair, strict=True)) for pair in QA]
        (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
        examples, loaded = read(tmp_path / "a.json")
        assert (examples, loaded.certain) == (PLAIN, False)


def test_several_labels_are_one_answer_that_is_asked_about(tmp_path: Path) -> None:
    rows = [{"text": asked, "label": ["late", "rude"] if at % 3 else ["fine", "late"]} for at, (asked, _) in enumerate(QA)]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    examples, loaded = load_examples(tmp_path / "a.json")
    assert ([example.label for example in examples][:2], loaded.certain) == (["fine, late", "late, rude"], False)


@pytest.mark.parametrize("folder", ["xtuner_pairs", "messages_repr_csv", "alpaca_history"])
def test_the_cases_give_sixty_conversations(folder: str) -> None:
    for file in sorted((CASES / folder).iterdir()):
        examples, loaded = read(file)
        assert (file.name, len(examples), loaded.certain, loaded.left_out) == (file.name, 60, True, ())
        roles = [role for role, _ in examples[0] if role != "system"]
        assert roles == ["user", "assistant"] * (2 if folder == "alpaca_history" else 1)
        assert not any("{" in text or "[" in text for example in examples for _, text in example)
    if folder == "xtuner_pairs":
        assert read(CASES / folder / "vertex.jsonl")[0][0][0] == ("system", "You answer for the town office.")


# ---- anything at all ------------------------------------------------------------------------------------------------------------------

JUNK: tuple[Any, ...] = (
    *(None, "", 0, -1.5, True, [], {}, [[]], [{}], [None], [1, "a"], {"a": None}, {"text": []}, {"role": "user"}, {"from": {"a": 1}}),
    *("x", "[", '{"a": 1}', "[{'role': 'user'}]", {"parts": [{}]}, {"type": "image"}, [["a", "b"]]),
)
FIELDS = ("role", "content", "messages", "text", "ts", "mapping", "data", "rows", "qas", "annotations", "author")


def mutated(draw: random.Random, value: Any) -> Any:
    if draw.random() < 0.04:
        return draw.choice(JUNK)
    if isinstance(value, dict):
        kept = {name: mutated(draw, item) for name, item in value.items() if draw.random() > 0.03}
        return {**kept, draw.choice(FIELDS): draw.choice(JUNK)} if draw.random() < 0.05 else kept
    return [mutated(draw, item) for item in value if draw.random() > 0.03] if isinstance(value, list) else value


def outcome(path: Path) -> str:
    try:
        return f"{len(read(path)[0])} examples"
    except LabError as refused:
        return refused.problem.what


@pytest.mark.parametrize("seed", range(10))
def test_whatever_stands_in_a_document_is_a_row_or_left_out_or_refused_in_words(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    for layout in LAYOUTS.values():
        (tmp_path / "a.json").write_text(json.dumps(mutated(draw, layout)), "utf-8")
        assert outcome(tmp_path / "a.json")


# ---- data sets with shapes of their own ------------------------------------------------------------------------------------------


def node(role: str, text: str, *replies: dict[str, Any], **about: Any) -> dict[str, Any]:
    return {"message_id": text, "role": role, "text": text, "deleted": False, "replies": list(replies), **about}


def tree(asked: str, told: str) -> dict[str, Any]:
    """Its best answer stands second; it is thanked for, and nobody answers that."""
    best = node("assistant", told, node("prompter", "Thanks."), rank=0)
    gone = node("assistant", "Rude.", rank=-1, deleted=True)
    return {"message_tree_id": asked, "prompt": node("prompter", asked, node("assistant", "Worse.", rank=1), best, gone)}


def moss(asked: str, told: str) -> dict[str, Any]:
    said = {"Human": f"<|Human|>: {asked}<eoh>\n", "Inner Thoughts": "<|Inner Thoughts|>: None<eot>\n", "MOSS": f"<|MOSS|>: {told}<eom>\n"}
    return {"conversation_id": asked, "num_turns": 1, "chat": {"turn_1": said}}


def story(asked: str, told: str) -> dict[str, Any]:
    return {"story": "A story.", "questions": [{"input_text": asked, "turn_id": 1}], "answers": [{"input_text": told, "span_text": "A st"}]}


def hub_story(asked: str, told: str) -> dict[str, Any]:
    return {"story": "A story.", "questions": [asked], "answers": {"input_text": [told], "answer_start": [0], "answer_end": [4]}}


SHAPES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "trees": tree,
    "roots of trees": lambda asked, told: tree(asked, told)["prompt"],
    "MOSS": moss,
    "MOSS as text": lambda asked, told: {"num_turns": 1, "plain_text": f"[Human]: {asked}<eoh> [MOSS]: {told}<eoa> "},
    "CoQA": story,
    "CoQA of the Hub": hub_story,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_data_sets_with_shapes_of_their_own_are_conversations(tmp_path: Path, shape: str) -> None:
    rows = [SHAPES[shape](asked, told) for asked, told in QA]
    before = "A story.\n\n" if "CoQA" in shape else ""
    expected = [[("user", before + asked), ("assistant", told)] for asked, told in QA]
    for text in (json.dumps(rows), "\n".join(map(json.dumps, rows))):
        (tmp_path / "a.json").write_text(text, "utf-8")
        examples, loaded = read(tmp_path / "a.json")
        assert (examples, loaded.certain, loaded.left_out) == (expected, True, ())


def test_what_stands_on_other_branches_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([tree(asked, told) for asked, told in QA]), "utf-8")
    table = tidy(read_path(tmp_path / "a.json")[0])
    assert {row.values["messages on other branches"] for row in table.rows} == {2}
    _, loaded = read(tmp_path / "a.json")
    assert ("messages on other branches", "", len(QA)) in [(use.name, use.used_for, use.rows) for use in loaded.fields]


def test_a_story_whose_questions_lack_answers_is_left_out_by_name(tmp_path: Path) -> None:
    rows = [story(asked, told) for asked, told in QA]
    rows[3]["answers"] = []
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    _, loaded = read(tmp_path / "a.json")
    assert [lost.row for lost in loaded.left_out] == [4]


def flat(asked: str, told: str) -> list[dict[str, Any]]:
    """The same tree, a row for each message; two more hang below a message that is not there."""
    told_by = [("Worse.", "1", False), (told, "0.0", False), ("Rude.", "-1", True)]
    rows = [{"message_id": asked, "parent_id": "", "role": "prompter", "text": asked, "rank": "", "deleted": False}]
    rows += [
        {"message_id": f"{asked}{text}", "parent_id": asked, "role": "assistant", "text": text, "rank": rank, "deleted": gone}
        for text, rank, gone in told_by
    ]
    thanks = {"message_id": f"{asked}!", "parent_id": f"{asked}{told}", "role": "prompter", "text": "Thanks.", "rank": "", "deleted": False}
    return [*rows[::-1], thanks]  # an answer may stand before its question


def test_trees_that_are_a_row_for_each_message_are_conversations(tmp_path: Path) -> None:
    rows = [row for asked, told in QA for row in flat(asked, told)]
    lost = {"message_id": "x", "parent_id": "gone", "role": "assistant", "text": "To whom?", "rank": "", "deleted": False}
    (tmp_path / "a.csv").write_text(table([*rows, lost], str), "utf-8")
    examples, loaded = read(tmp_path / "a.csv")
    assert [turns[:2] for turns in examples] == PLAIN
    assert loaded.certain
    assert [(one.row, one.reason) for one in loaded.left_out] == [(62, "The message that this one answers is not in the file.")]
    assert next(use.rows for use in loaded.fields if use.name == "messages on other branches") == len(QA)


def test_a_refusal_offers_the_column_that_could_be_learned(tmp_path: Path) -> None:
    rows = [{"answer": {"score": {"of": n}}, "remark": f"Guest number {n} liked the soup and came again."} for n in range(12)]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    with pytest.raises(Offered, match="no text to learn from") as refused:
        load_examples(tmp_path / "a.json")
    assert "“remark”" in refused.value.offer
    examples, loaded = load_examples(tmp_path / "a.json", refused.value.roles)
    assert (examples[0].text, loaded.shape, loaded.certain) == (rows[0]["remark"], "text", True)
    (tmp_path / "a.json").write_text(json.dumps([{"answer": row["answer"], "n": at} for at, row in enumerate(rows)]), "utf-8")
    with pytest.raises(UserError) as plain:
        load_examples(tmp_path / "a.json")
    assert not isinstance(plain.value, Offered), "numbers are not offered"
