"""Gates: each is shown its faults and good rows; what is stopped lies in the bin; what people wrote is spared."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.synthesis import AROUND, contamination, faults, of_gate, wrong_passages
from loralab.core.jobs import BuildDataJob
from loralab.datasets.synthesis.build_job import assemble, documents
from loralab.datasets.synthesis.gates import Yard, gates, sift
from loralab.datasets.synthesis.passages.child import Reader
from loralab.datasets.synthesis.rows import MadeRow
from tests.support.corpus import town


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[MadeRow], dict[str, str]]:
    folder = town(60).write(tmp_path_factory.mktemp("town"))
    asked = BuildDataJob(paths=(str(folder),), out="x.jsonl")
    files = documents(asked.paths)
    _, (rows, _, passages, _) = assemble(asked, files, [Reader().read(str(path), name, []) for name, path in files])
    return rows, {one.id: one.text for one in passages}


@pytest.mark.parametrize("name", sorted(faults()))
def test_a_gate_stops_its_faults_and_leaves_good_rows(name: str, good: tuple[list[MadeRow], dict[str, str]]) -> None:
    rows, passages = good
    planted, stopped, lost = of_gate(name, faults()[name], rows, passages)
    assert planted
    assert stopped >= 0.95 * planted
    assert lost <= 0.05 * len(rows)


def test_what_gives_a_held_out_row_away_is_stopped(good: tuple[list[MadeRow], dict[str, str]]) -> None:
    planted, stopped, lost = contamination(good[0])
    assert planted
    assert stopped >= 0.95 * planted
    assert lost == 0


def test_what_all_answers_of_a_kind_say_gives_none_of_them_away() -> None:
    form = "This condition is inherited in an autosomal dominant pattern, which means one copy of the altered gene is enough"
    rows = [row(f"Is {name} inherited?", f"{form}. It was first seen in {name}.", split="train") for name in "abcdefgh"]
    rows[0] = rows[0].model_copy(update={"split": "test", "answer": f"{rows[0].answer} The gene lies on the short arm of the ninth one."})
    copy = row("Where does it lie?", "People say the gene lies on the short arm of the ninth one.", origin="synthetic")
    copies = [copy.model_copy(update={"question": f"Say it in {n} words", "id": str(n)}) for n in range(9)]
    found = gates()["contamination"].judge([*rows, *copies], Yard())
    assert set(found) == set(range(len(rows), len(rows) + len(copies))), "nine copies by a writer do not become a form of words"


def test_rows_with_the_passage_of_another_are_refused(good: tuple[list[MadeRow], dict[str, str]]) -> None:
    for swapped, refused in wrong_passages(*good).values():
        assert refused >= 0.95 * swapped


def row(question: str, answer: str, **more: object) -> MadeRow:
    return MadeRow(question=question, answer=answer, **{"id": question, "origin": "extracted", **more})


def test_the_same_form_about_other_things_is_no_copy() -> None:
    said = "This condition is inherited in an autosomal recessive pattern, which means both copies of the gene in each cell have mutations."
    rows = [row(f"Is {name} inherited?", said) for name in ("giant axonal neuropathy", "hereditary fructose intolerance", "bradyopsia")]
    kept = sift(rows, Yard(), without=("contamination",)).kept
    assert kept == rows


def test_a_model_that_is_asked_again_stops_what_does_not_follow_and_what_it_knows() -> None:
    passages = {"p": "The mill was built in 1850. It grinds rye."}
    rows = [
        row("When was the mill built?", "1850", origin="synthetic", passage_id="p", evidence="The mill was built in 1850."),
        row("What does it grind?", "1850", origin="synthetic", passage_id="p", evidence="The mill was built in 1850."),
        row("What is the capital of France?", "Paris", origin="synthetic"),
    ]

    def ask(prompt: str) -> str:
        if "France" in prompt:
            return "Paris."
        if "Read this text" not in prompt:
            return "I have no idea at all."
        return "In 1850." if "built?" in prompt else "It grinds rye."

    found = sift(rows, Yard(passages=passages, ask=ask))
    assert [(one.gate, one.row.question) for one in found.binned] == [
        ("round_trip", "What does it grind?"),
        ("closed_book", "What is the capital of France?"),
    ]
    without = sift(rows, Yard(passages=passages))
    assert {one.gate: one.skipped for one in without.counts if one.skipped} == dict.fromkeys(
        ("round_trip", "closed_book"), "It needs a language model."
    )


def test_people_are_told_about_their_rows_and_keep_them() -> None:
    theirs = row("Where do I write to?", f"Here. {AROUND[0]}", origin="human")
    found = sift([theirs], Yard())
    assert found.kept == [theirs]
    assert sum(one.told for one in found.counts) == 1
    assert sift([theirs], Yard(spare_human=False)).kept == []


def test_of_two_that_say_the_same_the_more_trusted_stays() -> None:
    rows = [row("What is a leat?", "A ditch.", origin=origin, split=side) for origin, side in (("synthetic", "train"), ("human", "train"))]
    assert [one.origin for one in sift(rows, Yard()).kept] == ["human"]


def test_every_row_is_kept_or_binned_with_a_gate_and_a_reason(good: tuple[list[MadeRow], dict[str, str]]) -> None:
    chance = random.Random(0)
    bad = [fault(one, chance) for fault in faults().values() for one in chance.sample(good[0], 5)]
    found = sift([*good[0], *bad], Yard(passages=good[1]))
    assert len(found.kept) + len(found.binned) == len(good[0]) + len(bad)
    assert sum(one.stopped for one in found.counts) == len(found.binned)
    assert all(one.gate in gates() and one.reason.endswith((".", "”.", ").")) for one in found.binned)


def test_a_gap_that_several_words_fill_is_no_question() -> None:
    def gap(answer: str, kind: str = "cloze") -> MadeRow:
        return MadeRow(question="Fill in the gap: Ada built the ____.", answer=answer, kind=kind)

    judge = gates()["open_gap"].judge
    assert set(judge([gap("harbour"), gap("hall"), gap("harbour")], Yard())) == {0, 1, 2}
    assert judge([gap("harbour"), gap("Harbour")], Yard()) == {}
    assert judge([gap("harbour", "faq"), gap("hall", "faq")], Yard()) == {}


def test_gates_take_their_names_from_their_files() -> None:
    place = Path(__file__).parents[3] / "loralab" / "datasets" / "synthesis" / "gates"
    assert set(gates()) == {path.stem for path in place.glob("*.py")} - {"__init__"}
