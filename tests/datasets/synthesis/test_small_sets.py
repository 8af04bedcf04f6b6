"""Small sets: varied without a writer, a domain's worked example trained, and what more rows would bring about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.datasets.synthesis.curve import FEWEST, more_rows, shares
from loralab.datasets.synthesis.files import Made
from loralab.datasets.synthesis.rows import MadeRow, with_id, write_rows
from loralab.lab import Lab
from tests.datasets.synthesis.test_jobs import command

DOMAINS = ("code", "creative", "legal", "medical", "support")


def small(folder: Path, count: int = 40) -> Path:
    rows = [with_id(MadeRow(question=f"What is the opening time of shop number {n}?", answer=f"At {n}.")) for n in range(count)]
    write_rows(folder / "small.jsonl", rows)
    return folder / "small.jsonl"


# ---- variations ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["typos", "casing", "punctuation", "question_forms"])
def test_a_varied_file_keeps_every_answer_and_tests_on_no_variation(home: Path, kind: str) -> None:
    lab = Lab(home)
    rows = lab.made_data(lab.vary(small(home), (kind,))).rows
    fresh, real = [row for row in rows if row.origin == "synthetic"], {row.id: row for row in rows if row.origin == "human"}
    assert len(real) == 40
    assert fresh
    assert {row.split for row in fresh} == {"train"}
    for row in fresh:
        seed = real[row.seeds[0]]
        assert (row.answer, seed.split, row.kind) == (seed.answer, "train", kind)
        assert row.question != seed.question


def test_what_cannot_be_varied_or_is_no_way_is_said(home: Path) -> None:
    lab, file = Lab(home), small(home)
    with pytest.raises(UserError, match="could be varied"):
        lab.vary(file, ("synonyms",))
    with pytest.raises(UserError, match="no augmentation called “magic”"):
        lab.vary(file, ("magic",))


# ---- more rows -------------------------------------------------------------------------------------------------------------------


def test_shares_lie_within_one_another_and_are_tested_on_the_same_rows(home: Path) -> None:
    found = shares(Made(small(home, 60)), home)
    rows = [[json.loads(line) for line in file.read_text().splitlines()] for file, _ in found]
    held = [[row["id"] for row in part if row["split"] == "test"] for part in rows]
    learned = [{row["id"] for row in part if row["split"] == "train"} for part in rows]
    assert held[0] == held[1] == held[2]
    assert learned[0] < learned[1] < learned[2]
    assert [number for _, number in found] == [len(part) for part in learned]
    with pytest.raises(UserError, match="too few for pilots"):
        shares(Made(small(home, FEWEST - 4)), home)


def test_a_curve_that_falls_promises_what_the_law_says_and_one_that_does_not_promises_nothing() -> None:
    law = [(rows, 1.0 + 4.0 * rows**-0.5) for rows in (25, 50, 100)]
    found = more_rows(law, 50)
    expected = (law[-1][1] - (1.0 + 4.0 * 150**-0.5)) / law[-1][1]
    assert found.gain == pytest.approx(expected, rel=0.01)
    assert "50 more rows like these would make it about 5 % surer" in found.words
    assert "a guess" in more_rows(law, 500).words
    assert "hardly anything" in more_rows(law, 1).words
    assert more_rows([(25, 2.0), (50, 1.9), (100, 1.95)], 50).gain is None
    assert "did not get better" in more_rows([(25, 2.0), (100, 2.1)], 50).words
    assert "Too few" in more_rows([(25, 2.0)], 50).words


@pytest.mark.worker
@pytest.mark.long
def test_pilots_are_runs_and_say_what_more_rows_bring(home: Path) -> None:
    code, given, said = command(home, "curve", str(small(home, 60)), "--model", "starter", "--set", "epochs=1")
    assert code == 0, said
    assert [rows for rows, _ in given["points"]] == sorted(rows for rows, _ in given["points"])
    assert len(given["runs"]) == 3
    assert given["words"]


# ---- domains ---------------------------------------------------------------------------------------------------------------------


def trained(home: Path, name: str, epochs: int) -> tuple[float, float]:
    """The held-out loss before and after a domain's worked example was learned by the starter."""
    lab = Lab(home)
    file = lab.worked_example(name)
    profile = lab.profile(file, model="starter", roles={"prompt": "question", "answer": "answer"})
    proposal = lab.propose(profile, model="starter", epochs=epochs)
    view = lab.wait(lab.start(proposal))
    assert view.state == "finished", view.ending
    return view.evaluations[0].loss, view.evaluations[-1].loss


@pytest.mark.long
@pytest.mark.worker
def test_a_worked_example_trains(home: Path) -> None:
    before, after = trained(home, "code", 1)
    assert after < before


@pytest.mark.worker
@pytest.mark.long
@pytest.mark.parametrize("name", DOMAINS)
def test_every_worked_example_trains(home: Path, name: str) -> None:
    before, after = trained(home, name, 4)
    assert after < before


@pytest.mark.parametrize("name", DOMAINS)
def test_no_sample_of_a_domain_says_what_the_domain_refuses(home: Path, name: str) -> None:
    found = next(one for one in Lab(home).domains() if one.name == name)
    said = " ".join(row.answer for row in (*found.samples, *found.glossary_rows())).casefold()
    assert not [words for words in found.refuse if words.casefold() in said]
    assert len(found.samples) >= 8


@pytest.mark.worker
def test_the_commands_vary_and_list(home: Path) -> None:
    code, given, said = command(home, "augment", str(small(home)), "--kind", "typos", "--out", str(home / "varied.jsonl"))
    assert (code, given["rows"]) == (0, 40 + given["varied"]), said
    code, given, _ = command(home, "domains", "--example", "medical")
    assert code == 0
    assert {one["name"] for one in given["domains"]} == set(DOMAINS)
    assert Path(given["file"]).is_file()
