"""Rows that a language model writes: what it is shown, what is kept, and what is never done with them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import LabError, UserError
from loralab.core.jobs import Writer
from loralab.core.records import Example, Message
from loralab.datasets.dataset import split
from loralab.datasets.synthesis.augment import AUGMENTATIONS, augmented
from loralab.datasets.synthesis.files import read_rows
from loralab.datasets.synthesis.rows import MadeRow, Passage, with_id
from loralab.datasets.synthesis.writers.forms import FORMS, Told, field
from loralab.datasets.synthesis.writers.loop import Progress, Wanted, cells, limit, usual_forms, write
from loralab.lab import Lab
from tests.support.rule_writer import RuleWriter, rule_writer

SAID = {
    "harbour": "The harbour lies behind the market and holds twenty boats.",
    "library": "The library opens at nine and closes at five.",
    "mill": "The mill grinds rye for the two bakers of the town.",
}


def rows(n: int = 20, held: int = 4) -> list[MadeRow]:
    asked = ("Where do the boats lie?", "When may I borrow books?", "Who grinds the rye?")
    made = [
        MadeRow(
            question=f"{asked[n % 3][:-1]}, house {n}?", answer=f"{list(SAID.values())[n % 3]} Ask at number {n}.", topic=list(SAID)[n % 3]
        )
        for n in range(n)
    ]
    return [with_id(one.model_copy(update={"split": "test" if place < held else "train"})) for place, one in enumerate(made)]


def written(seeds: list[MadeRow], wanted: Wanted, writer: RuleWriter, passages: list[Passage] = [], **more: Any) -> Progress:  # noqa: B006
    return write(seeds, passages, lambda prompt, _most: writer.answer(prompt), wanted, lambda *_: None, lambda: False, **more)


WANTED = Wanted(rows=12, forms=("more", "paraphrase"), writer="rule", licence="CC0-1.0")


def test_what_is_written_says_who_wrote_it_and_after_what() -> None:
    writer = RuleWriter()
    done = written(rows(), WANTED, writer)
    assert len(done.kept) == 12
    assert {(one.origin, one.writer, one.licence, one.split) for one in done.kept} == {("synthetic", "rule", "CC0-1.0", "train")}
    assert all(one.seeds and one.prompt_version for one in done.kept)
    assert done.calls == len(writer.prompts)
    assert done.tokens > 0


def test_a_held_out_row_is_never_shown() -> None:
    seeds, writer = rows(), RuleWriter()
    written(seeds, WANTED, writer)
    for one in seeds:
        assert any(one.question in prompt for prompt in writer.prompts) <= (one.split == "train")


def test_bad_answers_go_into_the_bin_with_their_gate() -> None:
    done = written(rows(), Wanted(rows=30, forms=("more",), writer="rule"), RuleWriter(wrong=3))
    assert {"refusals", "private"} <= {one.gate for one in done.binned}
    assert not any("sorry" in one.answer or "mailbox" in one.answer for one in done.kept)


def test_a_writer_that_is_not_strong_enough_is_told_so_and_left() -> None:
    done = write(rows(), [], lambda *_: "I'm sorry, but I can't help with that.", WANTED, lambda *_: None, lambda: False)
    assert not done.kept
    assert "not strong enough" in done.ended
    assert done.calls < 200


def test_there_are_no_more_than_four_written_rows_for_each_real_one() -> None:
    seeds = rows(8, held=4)
    assert limit(seeds, Wanted(rows=100, forms=("more",))) == 16
    done = written(seeds, Wanted(rows=100, forms=("more",), writer="rule"), RuleWriter())
    assert len(done.kept) == 16
    already = [*seeds, *(one.model_copy(update={"id": f"s{n}"}) for n, one in enumerate(done.kept))]
    assert limit(already, Wanted(rows=100, forms=("more",))) == 0


def test_what_was_written_before_a_stop_is_gone_on_with() -> None:
    first = written(rows(), Wanted(rows=5, forms=("more",), writer="rule"), RuleWriter())
    writer = RuleWriter(prompts=[""] * first.calls)
    done = written(rows(), WANTED, writer, before=Progress(kept=list(first.kept)))
    assert done.kept[:5] == first.kept
    assert len(done.kept) == 12


def test_a_thin_class_is_filled_up() -> None:
    seeds = [with_id(MadeRow(question=f"My parcel {n} is late", answer="late")) for n in range(12)]
    seeds += [with_id(MadeRow(question=f"My cup {n} is broken", answer="broken")) for n in range(3)]
    assert usual_forms(seeds, []) == ("balance", "negatives", "paraphrase")
    grid = {one.label: one.quota for one in cells(seeds, Wanted(rows=50, forms=("balance",)), 50)}
    assert grid == {"broken": 9}
    done = written(seeds, Wanted(rows=50, forms=("balance",), writer="rule"), RuleWriter())  # and ends when it is
    assert Counter(one.answer for one in done.kept) == {"broken": 9}


def test_a_question_to_a_passage_quotes_it_or_is_refused() -> None:
    passages = [Passage(id="p", source="town.txt", text=" ".join(SAID.values()))]
    wanted = Wanted(rows=3, forms=("from_passage",), writer="rule")
    (one, *_) = written(rows(), wanted, RuleWriter(), passages).kept
    assert one.evidence == SAID["harbour"]
    assert (one.source, one.passage_id) == ("town.txt", "p")

    def invents(prompt: str, _most: int) -> str:
        return "What is the mill?" if prompt.endswith("Question:") else "It was built by Napoleon in 1805."

    done = write(rows(), passages, invents, wanted, lambda *_: None, lambda: False)
    assert not done.kept
    assert {one.gate for one in done.binned} <= {"evidence", "grounded", "exact"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Question: What is a leat?", "What is a leat?"),
        ("Sure! Here is one: What is a leat?\nIt is fun.", "What is a leat?"),
        ("“What is a leat?”", "What is a leat?"),
        ("1. no label", "1. no label"),
        ("", ""),
    ],
)
def test_a_field_is_cut_out_of_what_a_writer_says(said: str, meant: str) -> None:
    assert field(said) == meant


def test_every_form_asks_for_one_field_at_a_time() -> None:
    seeds = rows(6, held=0)
    for name, form in FORMS.items():
        asked: list[str] = []

        def speak(prompt: str, _most: int, asked: list[str] = asked) -> str:
            asked.append(prompt)
            return "A short line."

        form(speak, Told(seeds=seeds, passage="Text. A short line.", language="Dutch", label=seeds[0].answer, other_label=seeds[1].answer))
        assert asked, name
        assert not any("JSON" in prompt or "{" in prompt for prompt in asked)


# ---- never tested on ---------------------------------------------------------------------------------------------------------


def example(n: int, origin: str) -> Example:
    said = (Message(role="user", content=f"What is {origin} number {n}?"), Message(role="assistant", content=f"It is {n * 7}."))
    return Example(row=n, messages=said, origin=origin, writer="rule" if origin == "synthetic" else "")


def test_no_training_holds_out_what_a_model_wrote() -> None:
    mixed = [example(n, "human" if n % 4 == 0 else "synthetic") for n in range(80)]
    train, heldout = split(mixed, 0.2)
    assert {one.origin for one in heldout} == {"human"}
    assert len(heldout) >= 8
    assert len(train) + len(heldout) == 80
    plain = [one.model_copy(update={"origin": ""}) for one in mixed]
    assert any("synthetic" in one.messages[0].content for one in split(plain, 0.2)[1]), "without the mark they would be"


def test_a_made_file_says_what_was_shown(tmp_path: Path) -> None:
    made = [
        *rows(40, held=10),
        *(one.model_copy(update={"origin": "synthetic", "writer": "rule"}) for one in written(rows(), WANTED, RuleWriter()).kept),
    ]
    file = tmp_path / "made.jsonl"
    file.write_text("".join(one.model_dump_json() + "\n" for one in made))
    profile = Lab(tmp_path).profile(file)
    assert "29 % of what it learns from was written by rule; it is tested on none of that." in profile.aside
    assert profile.n_heldout == 10
    assert profile.roles == {"prompt": "question", "answer": "answer"}
    assert {use.name: use.used_for for use in profile.fields}["origin"] == "where the row is from"


# ---- without a writer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(AUGMENTATIONS))
def test_a_variation_changes_the_question_and_never_the_answer(kind: str) -> None:
    seeds = [
        MadeRow(question="What is the price of the lantern?", answer="Ten crowns.", id="a"),
        MadeRow(question="What is the cost of the lantern?", answer="Ten crowns.", id="b"),
        MadeRow(question="Please tell me the price.", answer="Ten crowns.", id="c"),
    ]
    made = augmented(seeds, [kind])
    assert made
    assert made == augmented(seeds, [kind])
    for one in made:
        assert one.question not in {seed.question for seed in seeds}
        assert (one.answer, one.origin, one.split) == ("Ten crowns.", "synthetic", "train")
    assert augmented([one.model_copy(update={"split": "test"}) for one in seeds], [kind]) == []


# ---- a real endpoint, a real worker ------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_an_endpoint_writes_a_file_whose_counts_add_up(home: Path) -> None:
    lab, seeds = Lab(home), home / "mine.csv"
    seeds.write_text("question,answer\n" + "".join(f'"{one.question}","{one.answer}"\n' for one in rows(24, held=0)))
    with rule_writer(wrong=5, broken=1) as rule:
        writer = Writer(kind="endpoint", name="rule", url=rule.url, licence="CC0-1.0")
        assert "Nothing leaves this computer." in lab.writer_terms(writer).words
        view = lab.wait(lab.synthesize(seeds, writer, home / "more.jsonl", rows=10, forms=("more", "paraphrase")))
        assert view.state == "finished", view.ending
        made = lab.made_data(home / "more.jsonl")
        report = made.report
        assert report is not None
        assert report.adds_up
        assert report.calls == len(rule.prompts)
        held = [one for one in made.rows if one.split == "test"]
        assert len(held) >= 4
        assert {one.origin for one in held} == {"human"}
        assert not any(one.question in prompt for one in held for prompt in rule.prompts)
        assert sum(one.origin == "synthetic" for one in made.rows) >= 8
        assert "written by rule (endpoint)" in report.shown
        assert "rule (endpoint)" in (made.about / "README.md").read_text()
        wrong = lab.wait(lab.synthesize(seeds, writer.model_copy(update={"name": "other"}), home / "no.jsonl", rows=4))
        assert wrong.ending is not None
        assert (wrong.state, wrong.ending.code) == ("failed", "writer_refused")
        assert "there is no model other" in wrong.ending.what
    gone = lab.wait(lab.synthesize(seeds, writer, home / "gone.jsonl", rows=4))
    assert gone.ending is not None
    assert gone.ending.code == "writer_gone"
    assert not (home / "gone.jsonl").exists(), "no half file"


def test_terms_are_said_before_anything_is_asked(home: Path) -> None:
    lab = Lab(home)
    away = lab.writer_terms(Writer(kind="endpoint", name="gpt-5-mini", url="https://api.example.com/v1"))
    assert away.leaves
    assert "leaves this computer and goes to api.example.com" in away.words
    assert "OpenAI’s terms do not allow" in away.words
    with pytest.raises(UserError, match="address of the endpoint"):
        lab.writer_terms(Writer(kind="endpoint", name="x"))
    with pytest.raises(LabError):
        lab.writer_terms(Writer(kind="gguf", name=str(home / "gone.gguf")))
    assert lab.writer_terms(Writer(kind="model", name="starter")).writer.licence


def test_rows_of_any_file_are_read_and_what_has_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"question": "Q?", "answer": "A."}]))
    assert [(one.question, one.answer, one.origin) for one in read_rows(tmp_path / "a.json")] == [("Q?", "A.", "human")]
    (tmp_path / "b.txt").write_text("Only words.")
    with pytest.raises(UserError, match="no questions with answers"):
        read_rows(tmp_path / "b.txt")
