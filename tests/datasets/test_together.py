"""Files that belong together: a guess, nothing lost uncounted; others stay apart. Data sets as the Hub lays them out."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from loralab.datasets.dataset import Loaded
from loralab.datasets.loading import load_examples

IDS = ("0123456789abcdef" * 2, "fedcba9876543210" * 2)
CLASSES = {"_type": "ClassLabel", "names": ["angry", "happy", "sad"]}
FEATURES = {"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": CLASSES}}}


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def packed(folder: Path) -> Path:
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return folder.with_suffix(".zip")


def said(examples: Any) -> list[tuple[str, ...]]:
    return [tuple(message.content for message in example.messages) for example in examples]


def adds_up(examples: Any, loaded: Loaded) -> bool:
    return loaded.n_read == len(examples) + len(loaded.left_out) + loaded.more_left_out


QUESTIONS = {f"{word} does part {i} cost?.txt": f"Part {i} costs {i} euros.\n\nIt is sold in pairs." for i, word in enumerate(["What"] * 6)}


@pytest.mark.parametrize("pack", [False, True])
def test_answers_in_files_called_after_their_questions(tmp_path: Path, pack: bool) -> None:
    folder = put(tmp_path / "answers", QUESTIONS | {"Where_can_I_park.txt": "Behind the house."})
    examples, loaded = load_examples(packed(folder) if pack else folder)
    assert said(examples)[0] == ("What does part 0 cost?", "Part 0 costs 0 euros.\n\nIt is sold in pairs.")
    assert said(examples)[-1] == ("Where can I park", "Behind the house.")
    assert not loaded.certain
    assert adds_up(examples, loaded)
    again, sure = load_examples(folder, loaded.roles)
    assert said(again) == said(examples)
    assert sure.certain


def test_texts_called_anything_stay_texts(tmp_path: Path) -> None:
    folder = put(tmp_path / "stories", {f"The house by lake {i}.txt": f"Once there was a house {i}." for i in range(8)})
    examples, loaded = load_examples(folder)
    assert all(example.text for example in examples)
    assert loaded.certain


def halves(folder: Path, answered: range) -> Path:
    asks = "id,question,topic\n" + "".join(f"{i},What is {i}?,numbers\n" for i in range(20))
    answers = "id,answer\n" + "".join(f"{i},It is the number {i}.\n" for i in reversed(answered))
    return put(folder, {"questions.csv": asks, "answers.csv": answers})


def test_questions_and_answers_in_two_files_are_joined_by_their_number(tmp_path: Path) -> None:
    examples, loaded = load_examples(halves(tmp_path / "faq", range(3, 22)))
    assert len(examples) == 17
    assert said(examples)[0] == ("What is 3?", "It is the number 3.")
    assert not loaded.certain
    assert adds_up(examples, loaded)
    assert sorted((lost.source, lost.row) for lost in loaded.left_out) == [
        *(("answers.csv", row) for row in (2, 3)),
        *(("questions.csv", row) for row in (2, 3, 4)),
    ]
    assert "No row of answers.csv has the “id” of this one." in {lost.reason for lost in loaded.left_out}
    assert any("answers.csv" in part.about for part in loaded.parts)


def test_two_files_whose_numbers_do_not_meet_are_not_joined(tmp_path: Path) -> None:
    _, loaded = load_examples(halves(tmp_path / "faq", range(100, 120)))
    assert "answer" not in loaded.columns or "question" not in loaded.columns


def test_an_exported_table_has_its_pages_and_is_read_once(tmp_path: Path) -> None:
    rows = "Name,Tags\n" + "".join(f"How to mend part {i},repair\n" for i in range(6))
    pages = {
        f"Help {IDS[0]}/How to mend part {i} {IDS[1]}.md": f"# How to mend part {i}\n\nTags: repair\n\nTake screw {i} out first.\n"
        for i in range(5)
    }
    tables = {f"Help {IDS[0]}.csv": rows.replace("How to mend part 5,repair\n", ""), f"Help {IDS[0]}_all.csv": rows}
    examples, loaded = load_examples(packed(put(tmp_path / "export", pages | tables)))
    assert ("How to mend part 3", "Take screw 3 out first.") in said(examples)
    assert len(examples) == 5
    assert adds_up(examples, loaded)
    assert not loaded.certain
    assert {lost.source: lost.reason for lost in loaded.left_out}[f"Help {IDS[0]}.csv"] == "The same table is there as a whole."


def labelled() -> pa.Table:
    rows = {"text": [f"I feel like day {i}." for i in range(40)], "label": [i % 3 if i else -1 for i in range(40)]}
    return pa.table(rows).replace_schema_metadata({"huggingface": json.dumps(FEATURES)})


@pytest.mark.parametrize("kind", ["hub", "disk"])
def test_a_data_set_of_the_hub_has_the_names_of_its_classes(tmp_path: Path, kind: str) -> None:
    folder = put(tmp_path / "moods", {"README.md": "---\nlicense: mit\n---\n# Moods", "dataset_info.json": json.dumps(FEATURES["info"])})
    if kind == "hub":
        (folder / "data").mkdir()
        parquet.write_table(labelled(), folder / "data" / "train-00000-of-00001.parquet")
    else:
        put(folder, {"state.json": json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train"})})
        with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file, pa.ipc.new_stream(file, labelled().schema) as writer:
            writer.write_table(labelled())
    examples, loaded = load_examples(folder)
    assert {example.label for example in examples} == {"angry", "happy", "sad"}
    assert len(examples) == 39  # one has no class
    assert adds_up(examples, loaded)
    assert {lost.source for lost in loaded.left_out} >= {"README.md", "dataset_info.json"}


def test_numbers_without_names_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    parquet.write_table(labelled().replace_schema_metadata({}), path)
    assert {example.label for example in load_examples(path)[0]} == {"-1", "0", "1", "2"}


def test_a_damaged_arrow_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "data.arrow"
    path.write_bytes(b"\xff\xff\xff\xff" + b"junk" * 50)
    with pytest.raises(Exception, match="not an Arrow file"):
        load_examples(path)
