"""What a file says beside its words: used, or counted and told; a preference teaches only what was chosen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import Offered, UserError
from loralab.core.paths import DATA
from loralab.core.records import DatasetProfile, Example
from loralab.datasets.dataset import Loaded, split
from loralab.datasets.fixes import _written  # pyright: ignore[reportPrivateUsage]
from loralab.datasets.loading import load_examples
from loralab.datasets.profile import profile_dataset
from loralab.models.tokenize import TextEncoder

CASES = Path(__file__).parent / "cases"
STARTER = DATA / "starter" / "text"


def read(case: str, roles: dict[str, str] | None = None) -> tuple[Sequence[Example], Loaded]:
    examples, loaded = load_examples(CASES / case, roles)
    assert len(examples) + len(loaded.left_out) == loaded.n_read
    return examples, loaded


def uses(loaded: Loaded | DatasetProfile) -> dict[str, tuple[str, int]]:
    return {use.name: (use.used_for, use.rows) for use in loaded.fields}


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def learned(examples: Sequence[Example]) -> str:
    encoder = TextEncoder(STARTER)
    return "".join(text for e in examples for text, is_learned in encoder.pieces(e) if is_learned)


@pytest.mark.parametrize("case", ["turn_weights/weight0.jsonl", "turn_weights/train_flag.jsonl"])
def test_answers_of_no_weight_are_read_and_not_learned(case: str) -> None:
    examples, loaded = read(case)
    assert len(examples) == 60
    assert uses(loaded)["answers marked as not to be learned"] == ("read, and not learned", 60)
    assert "WRONG" not in learned(examples)
    assert all("WRONG: nobody knows." in [m.content for m in e.messages] for e in examples)
    profile = profile_dataset(CASES / case, STARTER)
    shown = [piece for preview in profile.previews for piece in preview.pieces]
    assert any("WRONG" in text for text, is_learned in shown if not is_learned)


def test_where_nothing_is_to_be_learned_the_row_is_left_out_and_a_last_one_is_cut_off(tmp_path: Path) -> None:
    asked, answer = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}
    rows = [{"messages": [asked, {**answer, "weight": 0}]}, {"messages": [asked, answer, asked, {**answer, "weight": 0.0}]}] * 9
    examples, loaded = load_examples(written(tmp_path / "a.jsonl", rows))
    assert {lost.reason for lost in loaded.left_out} == {"The file says of every answer in it that it is not to be learned."}
    assert (len(examples), len(loaded.left_out)) == (9, 9)
    assert {len(e.messages) for e in examples} == {2}
    assert uses(loaded)["turns after the last answer to learn"] == ("", 9)


def test_thoughts_in_a_turn_stand_before_the_answer() -> None:
    examples, loaded = read("reasoning_field/reasoning_content.jsonl")
    assert uses(loaded)["thoughts before an answer"] == ("learned before the answer", 60)
    assert examples[0].messages[-1].content.startswith("<think>\nThe person asks about case 0.")
    assert examples[0].messages[-1].content.endswith("</think>\n\nOn Monday the ferry in Arlesford opens at 6:00 and closes at 12:30.")


@pytest.mark.parametrize("case", ["pref_msgs_rejected_first", "pref_ll", "pref_str"])
def test_of_a_preference_only_the_chosen_is_learned(case: str) -> None:
    examples, loaded = read(f"preference_pairs/{case}.jsonl")
    assert (len(examples), loaded.shape, loaded.certain) == (60, "preference", True)
    assert all([m.role for m in e.messages] == ["user", "assistant"] for e in examples)
    assert "Go away" not in "".join(m.content for e in examples for m in e.messages)
    assert all(e.rejected[-1].content.startswith("Go away") and e.rejected[:-1] == e.messages[:-1] for e in examples)
    assert uses(loaded)["rejected"][1] == 60
    assert "preferences" in {finding.code for finding in profile_dataset(CASES / f"preference_pairs/{case}.jsonl", STARTER).findings}


@pytest.mark.parametrize(
    ("good", "bad"), [("chosen", "rejected"), ("winner", "loser"), ("good_answer", "bad_answer"), ("response", "rejected_response")]
)
def test_preferences_under_other_names(tmp_path: Path, good: str, bad: str) -> None:
    rows = [{bad: f"No, never, not {at}.", "question": f"May I have {at}?", good: f"Yes, take {at}."} for at in range(20)]
    examples, _ = load_examples(written(tmp_path / "a.jsonl", rows))
    assert [m.content for m in examples[3].messages] == ["May I have 3?", "Yes, take 3."]
    assert examples[3].rejected[-1].content == "No, never, not 3."


def test_written_conversations_and_judged_answers(tmp_path: Path) -> None:
    said = "\n\nHuman: May I have {at}?\n\nAssistant: "
    rows = [{"rejected": said.format(at=at) + "No.", "chosen": said.format(at=at) + f"Take {at}."} for at in range(20)]
    examples, _ = load_examples(written(tmp_path / "a.jsonl", rows))
    assert [m.content for m in examples[3].messages] == ["May I have 3?", "Take 3."]
    assert examples[3].rejected[-1].content == "No."
    judged = [{"prompt": f"May I have {at}?", "completion": f"Answer {at}.", "label": at % 2 == 0} for at in range(20)]
    examples, loaded = load_examples(written(tmp_path / "b.jsonl", judged))
    assert [e.row for e in examples] == list(range(1, 20, 2))
    assert loaded.left_out[0].reason == "The column “label” says that this answer is not wanted."


@pytest.mark.parametrize("name", ["rejected", "loser", "bad"])
def test_what_was_rejected_is_never_learned_for_want_of_anything_else(tmp_path: Path, name: str) -> None:
    rows = [
        {name: f"Go away, you number {at}, and do not come back.", "note": f"Said to guest number {at} at the door."} for at in range(20)
    ]
    _, loaded = load_examples(written(tmp_path / "a.jsonl", rows))
    assert name not in loaded.roles.values()
    with pytest.raises(UserError):
        load_examples(written(tmp_path / "b.jsonl", [{name: row[name]} for row in rows]))


def test_pictures_are_told_and_not_learned_unless_somebody_says_so(tmp_path: Path) -> None:
    with pytest.raises(Offered, match="about pictures") as refused:
        read("image_parts/llava.jsonl")
    assert refused.value.roles == {"pictures": "image", "messages": "conversations"}
    shown = [{"type": "text", "text": "Where is this?"}, {"type": "image_url", "image_url": {"url": "a.jpg"}}]
    rows = [{"messages": [{"role": "user", "content": shown}, {"role": "assistant", "content": f"In town {at}."}]} for at in range(12)]
    within = written(tmp_path / "b.jsonl", rows)  # no column of its own for them
    with pytest.raises(Offered) as refused:
        load_examples(within)
    examples, loaded = load_examples(within, refused.value.roles)
    assert (len(examples), loaded.fields[0].used_for) == (12, "the conversation")
    rows = [json.loads(line) for line in (CASES / "image_parts" / "llava.jsonl").read_text("utf-8").splitlines()]
    talk = [{"from": "human", "value": "Hello, who are you?"}, {"from": "gpt", "value": "A model."}]
    mixed = written(tmp_path / "a.jsonl", [*rows[:10], *({"conversations": talk} for _ in range(30))])
    profile = profile_dataset(mixed, STARTER)
    assert (profile.n_read, profile.n_kept, len(profile.left_out)) == (40, 30, 10)
    assert uses(profile)["pictures"] == ("", 10)
    assert "pictures_unused" in {finding.code for finding in profile.findings}
    examples, loaded = read("image_parts/llava.jsonl", {"messages": "conversations", "pictures": "image"})
    assert (len(examples), loaded.left_out) == (60, ())
    assert examples[0].messages[0].content == "Which town is this?"


def test_calls_of_tools_are_kept_or_left_out_with_the_true_reason() -> None:
    examples, loaded = read("tool_turns/tools_last.jsonl")
    assert all(e.messages[-1].calls[0].name == "opening_hours" for e in examples)
    assert uses(loaded)["tool calls"][1] == 60
    profile = profile_dataset(CASES / "tool_turns" / "tools_openai.jsonl", STARTER)  # the starter knows no tools
    assert (profile.n_read, profile.n_kept) == (60, 30)
    assert {lost.reason for lost in profile.left_out} == {"It calls a tool, and this model’s way of writing a chat knows no tools."}
    assert uses(profile)["tool calls"] == ("", 30)
    assert "tools_unused" in {finding.code for finding in profile.findings}


@pytest.mark.parametrize("case", ["turn_weights/weight0", "tool_turns/tools_last", "preference_pairs/pref_ll", "misc_reading/split_col"])
def test_what_a_fix_writes_says_all_that_was_read(tmp_path: Path, case: str) -> None:
    examples, _ = read(f"{case}.jsonl")
    again, loaded = load_examples(written(tmp_path / "fixed.jsonl", list(_written(examples, CASES / case, "deduplicate"))))
    assert (loaded.left_out, loaded.certain) == ((), True)
    for before, after in zip(examples, again, strict=True):
        assert (after.messages, after.rejected, after.held_out) == (before.messages, before.rejected, before.held_out)


def test_rows_marked_as_test_are_held_out_and_it_is_told() -> None:
    examples, loaded = read("misc_reading/split_col.jsonl")
    marked = {e.row for e in examples if e.held_out}
    assert {e.row for e in split(examples)[1]} >= marked
    assert uses(loaded)["split"] == ("which rows are kept aside to test on", 60)
    profile = profile_dataset(CASES / "misc_reading" / "split_col.jsonl", STARTER)
    assert profile.aside.startswith(f"The file marks {len(marked)} of 60 examples to test with")


def test_a_column_of_text_that_nobody_uses_is_told_and_one_of_numbers_is_not(tmp_path: Path) -> None:
    rows = [{"question": f"Is {at} even?", "answer": "yes" if at % 2 else "no", "id": at} for at in range(40)]
    quiet = profile_dataset(written(tmp_path / "a.jsonl", rows), STARTER)
    assert "unused_column" not in {finding.code for finding in quiet.findings}
    telling = [{**row, "why": f"Because {at} divided by two leaves a rest of {at % 2}."} for at, row in enumerate(rows)]
    profile = profile_dataset(written(tmp_path / "b.jsonl", telling), STARTER)
    (found,) = [finding for finding in profile.findings if finding.code == "unused_column"]
    assert "“why”" in found.what
    assert uses(profile)["why"] == ("", 40)
    assert uses(profile)["id"] == ("", 40)
