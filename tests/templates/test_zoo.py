"""The bundled templates say what is so, and are found by a description of a task in English and in German."""

from __future__ import annotations

import csv
from pathlib import Path
from zipfile import ZipFile

import pytest

from loralab.core.paths import DATA
from loralab.core.records import DatasetProfile
from loralab.datasets.samples import samples
from loralab.lab import Lab
from loralab.tasks import parse_plan
from loralab.templates.zoo import Template, matching, template, templates

HERE = templates(Path("/nowhere"))
NAMED = {"poet", "support_desk", "medical_faq", "icd10", "code_comments", "siem_triage", "reasoning"}
PICTURED = {"xray_classes", "cell_counting", "product_photos"}
ASKED = [
    ("sort customer emails by topic", "support_desk"),
    ("Kundenmails nach Thema sortieren", "support_desk"),
    ("write poems", "poet"),
    ("ein Gedicht schreiben", "poet"),
    ("I want it to answer questions about illnesses", "medical_faq"),
    ("Fragen von Patienten zu Krankheiten", "medical_faq"),
    ("find the diagnosis code of a note", "icd10"),
    ("Diagnosen verschlüsseln", "icd10"),
    ("explain what my code does", "code_comments"),
    ("Programmcode erklären", "code_comments"),
    ("alerts from our firewall", "siem_triage"),
    ("Angriffe in Sicherheitswarnungen erkennen", "siem_triage"),
    ("think step by step", "reasoning"),
    ("erst nachdenken, dann antworten", "reasoning"),
    ("pneumonia on chest pictures", "xray_classes"),
    ("Röntgenbilder der Lunge einteilen", "xray_classes"),
    ("how many cells are there", "cell_counting"),
    ("Zellen im Mikroskop zählen", "cell_counting"),
    ("photos for our shop", "product_photos"),
    ("Fotos von Produkten", "product_photos"),
    ("read reservations", "bookings"),
    ("Reservierungen auslesen", "bookings"),
    ("letters in simple language", "plain_words"),
    ("Behördenbriefe in einfacher Sprache", "plain_words"),
]


def test_all_that_were_named_are_there() -> None:
    assert {one.name for one in HERE} >= NAMED | PICTURED


@pytest.mark.parametrize(("words", "name"), ASKED)
def test_a_task_in_plain_words_finds_its_template(words: str, name: str) -> None:
    assert matching(words, HERE)[0].name == name


@pytest.mark.parametrize("words", ["qwertz", "the and of", "der die das", "???", "tractor"])
def test_what_fits_nothing_finds_nothing(words: str) -> None:
    assert matching(words, HERE) == ()


def test_nothing_said_is_all_of_them() -> None:
    assert matching("  ", HERE) == HERE


@pytest.mark.parametrize("one", HERE, ids=lambda one: one.name)
def test_a_card_is_whole_and_names_what_there_is(one: Template) -> None:
    recipe = one.recipe
    assert all((recipe.about, recipe.needs, recipe.rows, recipe.words, recipe.expect, recipe.usable, recipe.minutes, recipe.credit))
    assert Path(one.data).is_file()
    parse_plan({"task": one.task or "text", **recipe.plan})
    assert (one.name in PICTURED) == bool(recipe.stand_in), "what stands in for something else is said to"


@pytest.mark.parametrize("one", HERE, ids=lambda one: one.name)
def test_the_rows_that_are_shown_stand_in_the_data(one: Template) -> None:
    if one.data.endswith(".zip"):
        with ZipFile(one.data) as packed:
            named = {value for row in one.recipe.rows for value in row.values() if "/" in value}
            assert named <= set(packed.namelist())
        return
    with Path(one.data).open(encoding="utf-8", newline="") as file:
        assert list(one.recipe.rows) == list(csv.DictReader(file))[: len(one.recipe.rows)]


@pytest.mark.parametrize("one", [one for one in HERE if one.name not in {sample.name for sample in samples()}], ids=lambda one: one.name)
def test_its_data_is_read_as_it_says(one: Template, home: Path) -> None:
    found: DatasetProfile = Lab(home).profile(one.data, roles=one.recipe.roles or None)
    assert found.certain
    assert found.n_heldout
    assert found.n_kept == found.n_read


def test_the_data_is_small() -> None:
    assert sum(file.stat().st_size for file in (DATA / "templates" / "zoo").iterdir()) < 1 << 20


def test_one_is_asked_for_by_name(home: Path) -> None:
    assert template("poet", home).recipe.name == "Poet"
    with pytest.raises(Exception, match=r"no template called “poem”.*There are: .*poet"):
        template("poem", home)
