"""Building as a run: followed, stopped and gone on with; documents that mean harm; looking through; domains; the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from loralab.core.errors import UserError
from loralab.core.paths import CHECKOUT
from loralab.datasets.synthesis.domains import domain, domains
from loralab.datasets.synthesis.files import check_free
from loralab.datasets.synthesis.passages.bounded import Bounded
from loralab.datasets.synthesis.rows import MadeRow, with_id, write_rows
from loralab.datasets.synthesis.trial import two_files
from loralab.lab import Lab
from tests.conftest import until
from tests.datasets.test_documents import pdf, saved
from tests.support.corpus import town

FINE = "Osmosis is a movement of water through a thin skin into salt. The Orwell Bridge was opened in 1982."


@pytest.mark.worker
def test_a_folder_becomes_a_file_that_trains_and_every_document_is_accounted_for(home: Path) -> None:
    lab, folder = Lab(home), town(40).write(home / "docs")
    (folder / "scan.pdf").write_bytes(saved(pdf([[], []])))
    (folder / "broken.docx").write_bytes(b"PK\x03\x04 and nothing more")
    view = lab.wait(lab.build_data([folder], home / "town.jsonl", licence="CC0-1.0", domain="support"))
    assert view.state == "finished", view.ending
    assert {note.phase for note in view.notes} >= {"reading documents", "sifting"}
    made = lab.made_data(home / "town.jsonl")
    report = made.report
    assert report is not None
    assert report.adds_up
    assert {one.source for one in report.refused} == {"scan.pdf", "broken.docx"}
    assert report.topics
    assert made.graph.entities
    assert all(row.evidence and row.source and row.licence == "CC0-1.0" for row in made.rows)
    assert any(row.kind == "glossary" for row in made.rows)
    profile = lab.profile(made.path)
    assert (profile.certain, profile.n_heldout) == (True, report.test)
    assert [one.code for one in profile.findings if one.severity != "info"] == []
    with pytest.raises(UserError, match="is there already"):
        lab.build_data([folder], home / "town.jsonl")


@pytest.mark.worker
def test_a_stopped_build_goes_on_behind_what_was_read(home: Path) -> None:
    lab, folder = Lab(home), town(20).write(home / "docs")
    for n in range(30):
        (folder / f"more{n}.md").write_text((folder / "walk01.md").read_text().replace("Walk", f"Walk {n}"))
    run = lab.build_data([folder], home / "town.jsonl")
    parts = home / "runs" / run / "artifacts" / "parts"
    until(lambda: parts.is_dir() and len(list(parts.iterdir())) > 3)
    lab.stop(run)
    stopped = lab.wait(run)
    assert (stopped.state, (home / "town.jsonl").exists()) == ("stopped", False)
    before = {path.name: path.stat().st_mtime_ns for path in parts.iterdir()}
    assert len(before) < 34
    lab.resume(run)
    done = lab.wait(run)
    assert done.state == "finished", done.ending
    assert {name: (parts / name).stat().st_mtime_ns for name in before} == before, "nothing is read twice"
    report = lab.made_data(home / "town.jsonl").report
    assert report is not None
    assert report.adds_up


# ---- documents that mean harm --------------------------------------------------------------------------------------------------


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"<w:p>" + b"a" * (60 << 20))
    return out.getvalue()


@pytest.mark.worker
def test_documents_that_mean_harm_are_named_and_the_next_is_read(tmp_path: Path) -> None:
    files = {
        "bomb.docx": bomb(),
        "broken.pdf": b"%PDF-1.7\n1 0 obj <</Type /Catalog /Pages 1 0 R>> endobj trailer <</Root 1 0 R>>",
        "macro.docm": b"PK\x03\x04" + bytes(2000),
        "deep.html": b"<div>" * 200_000 + FINE.encode(),
        "keys.txt": os.urandom(60_000),
        "lines.txt": b"? " * 400_000,
        "brackets.md": b"(((((((((( The A" * 20_000,
    }
    reader = Bounded(seconds=60)
    try:
        for name, raw in files.items():
            (tmp_path / name).write_bytes(raw)
            found = reader.read(tmp_path / name, name)
            assert found.get("reason", "x"), name
        (tmp_path / "fine.txt").write_text(FINE)
        assert len(reader.read(tmp_path / "fine.txt", "fine.txt")["rows"]) >= 2
    finally:
        reader.close()


@pytest.mark.worker
def test_time_and_memory_have_an_end_and_the_reader_goes_on(tmp_path: Path) -> None:
    fine, large = tmp_path / "fine.txt", tmp_path / "large.txt"
    fine.write_text(FINE)
    large.write_text(
        "\n\n".join(f"The mill number {n} was built in {1500 + n % 400} by the old miller of the town." for n in range(40_000))
    )
    slow = Bounded(seconds=1)
    assert slow.read(large, large.name)["code"] == "too_long"
    slow.seconds = 60
    assert slow.read(fine, fine.name)["rows"], "a fresh process reads the next"
    slow.close()
    hungry = Bounded(seconds=60, memory=90 << 20)
    assert hungry.read(large, large.name)["code"] == "too_much_memory"
    hungry.close()
    small = Bounded(most_bytes=1000)
    assert small.read(large, large.name)["code"] == "file_too_big"
    assert small.read(tmp_path / "gone", "gone")["code"] == "no_file"


# ---- looking through -----------------------------------------------------------------------------------------------------------


def shelf(folder: Path) -> Path:
    rows = [with_id(MadeRow(question=f"What is thing {n}?", answer=f"It is number {n}.", origin="extracted")) for n in range(6)]
    write_rows(folder / "made.jsonl", rows)
    return folder / "made.jsonl"


def test_each_step_of_a_review_is_on_the_disk_and_can_be_taken_back(home: Path) -> None:
    lab, file = Lab(home), shelf(home)
    first, second, third, *_ = (row.id for row in lab.made_data(file).rows)
    lab.look_through(file).accept(first)
    edited = lab.look_through(file).edit(second, "What is the second thing?", "It is two.")
    lab.look_through(file).reject(third)
    again = lab.look_through(file)
    assert [row.question for row in again.rows[:3]] == ["What is thing 0?", "What is the second thing?", "What is thing 3?"]
    assert (again.rows[1].edited, again.rows[1].origin) == (True, "extracted"), "an edit does not make a person its writer"
    assert len(again.waiting()) == 3
    assert [one.gate for one in again.bin] == ["rejected"]
    again.take_back(third)
    assert third in {row.id for row in lab.made_data(file).rows}
    for _ in range(4):
        assert lab.look_through(file).undo()
    back = lab.look_through(file)
    assert [row.question for row in back.rows] == [f"What is thing {n}?" for n in range(6)]
    assert (len(back.bin), len(back.waiting()), back.undo()) == (0, 6, "")
    with pytest.raises(UserError, match="question and an answer"):
        back.edit(first, " ", "x")
    with pytest.raises(UserError, match="not here any more"):
        back.accept(edited.id)


def test_more_like_this_finds_the_nearest(home: Path) -> None:
    rows = [
        with_id(MadeRow(question=question, answer="Yes.")) for question in ("Is bread baked here?", "Is rye bread baked?", "Do boats sail?")
    ]
    write_rows(home / "made.jsonl", rows)
    assert Lab(home).look_through(home / "made.jsonl").like(rows[0].id, 1) == [rows[1]]


def test_rows_are_handed_out_in_other_forms(home: Path) -> None:
    lab, file = Lab(home), shelf(home)
    with lab.hand_out(file, "csv", home / "a.csv").open(encoding="utf-8", newline="") as read:
        assert [row["answer"] for row in csv.DictReader(read)][:2] == ["It is number 0.", "It is number 1."]
    assert pq.read_table(lab.hand_out(file, "parquet", home / "a.parquet")).num_rows == 6
    assert "# made" in lab.hand_out(file, "card", home / "a.md").read_text()
    with pytest.raises(UserError, match="is there already"):
        lab.hand_out(file, "csv", home / "a.csv")


def test_rows_written_by_hand_are_a_file_some_of_it_to_test_with(home: Path) -> None:
    lab = Lab(home)
    file = lab.write_by_hand([(f"Question {n}?", f"Answer {n}.") for n in range(30)] + [("", "lost")])
    rows = lab.made_data(file).rows
    assert len(rows) == 30
    assert sum(row.split == "test" for row in rows) >= 8
    with pytest.raises(UserError, match="no question with an answer"):
        lab.write_by_hand([("only a question", "")])


def test_the_two_files_of_the_question_whether_rows_help_have_the_same_held_out_rows_first(home: Path) -> None:
    rows = [with_id(MadeRow(question=f"H{n}?", answer=f"{n}.", split="test" if n < 9 else "train")) for n in range(30)]
    rows += [with_id(MadeRow(question=f"S{n}?", answer=f"{n}.", origin="synthetic", writer="x")) for n in range(20)]
    write_rows(home / "made.jsonl", rows)
    made = Lab(home).made_data(home / "made.jsonl")
    without, with_them = (file.read_text().splitlines() for file in two_files(made, "synthetic", home))
    assert without[:9] == with_them[:9]
    assert (len(without), len(with_them)) == (30, 50)
    with pytest.raises(UserError, match="is extracted"):
        two_files(made, "extracted", home)


def test_a_name_that_is_taken_or_no_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("x")
    for name, words in (("a.jsonl", "is there already"), ("a.docx", "no name for a file of rows")):
        with pytest.raises(UserError, match=words):
            check_free(tmp_path / name)
    check_free(tmp_path / "b.jsonl")


# ---- domains -------------------------------------------------------------------------------------------------------------------


def test_the_domains_that_come_along_are_whole(home: Path) -> None:
    known = {one.name: one for one in domains(home)}
    assert set(known) == {"code", "creative", "legal", "medical", "support"}
    for one in known.values():
        assert one.glossary
        assert one.samples
        assert one.prompts["all"]
        assert one.refuse
        assert one.licence


@pytest.mark.parametrize("packed", [False, True])
def test_a_domain_is_added_from_a_folder_or_a_zip(home: Path, tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "garden"
    folder.mkdir()
    (folder / "domain.yaml").write_text("name: garden\ntitle: Gardening\nrefuse: [poison]\n")
    (folder / "glossary.txt").write_text("# words\na mulch: A mulch is a layer that covers the soil.\n")
    (folder / "run.py").write_text("raise SystemExit")
    source = folder
    if packed:
        source = tmp_path / "garden.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in folder.iterdir():
                archive.write(path, f"garden/{path.name}")
    found = Lab(home).add_domain(source)
    assert (found.title, found.glossary_rows()[0].question) == ("Gardening", "What is a mulch?")
    assert not list((home / "domains").rglob("*.py")), "no code comes in"
    assert domain("garden", home).refuse == ("poison",)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("domain.yaml", "name: [", "not written as YAML in line"),
        ("domain.yaml", "name: Not A Name\ntitle: x", "“name” is not as it should be"),
        ("domain.yaml", "just words", "holds no fields"),
        ("glossary.txt", "no colon here", "line 1 is not “term: meaning”"),
        ("samples.jsonl", "{}", "a line without a question"),
    ],
)
def test_what_is_wrong_with_a_domain_is_said_by_file_and_nothing_is_added(
    home: Path, tmp_path: Path, file: str, text: str, words: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "domain.yaml").write_text("name: aa\ntitle: A\n")
    (tmp_path / "a" / file).write_text(text)
    with pytest.raises(UserError, match=words):
        Lab(home).add_domain(tmp_path / "a")
    assert not list((home / "domains").glob("*")) if (home / "domains").exists() else True
    with pytest.raises(UserError, match="There are: code, creative, legal, medical, support"):
        domain("aa", home)


# ---- the command line ------------------------------------------------------------------------------------------------------------


def command(home: Path, *words: str) -> tuple[int, dict, str]:
    environment = {**os.environ, "LORALAB_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "loralab", *words, "--json"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.worker
def test_the_commands_give_one_object_and_people_their_words_apart(home: Path) -> None:
    folder = town(20).write(home / "docs")
    code, given, said = command(home, "build", str(folder), "--out", str(home / "town.jsonl"))
    assert (code, given["outcome"]) == (0, "finished"), said
    assert given["report"]["adds_up"]
    assert "Document 1 of" in said
    code, given, _ = command(home, "sift", str(home / "town.jsonl"))
    assert code == 0
    assert given["kept"] + len(given["binned"]) == len(Lab(home).made_data(home / "town.jsonl").rows)
    code, given, _ = command(home, "build", str(home / "nowhere"))
    assert (code, given["problem"]["code"]) == (1, "no_file")
