"""None of a person's examples leaves with what they give away: every kind of thing that leaves is looked through, byte by byte."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loralab.core import paths
from loralab.core.events import Ended, EventLog, Wondered
from loralab.core.jobs import ExportJob
from loralab.core.records import Sample
from loralab.exports import job
from loralab.exports.page import text as page
from loralab.lab import Lab
from loralab.runs.run_folder import RunFolder, read_job
from loralab.sharing.hub.index import write_index
from loralab.sharing.hub.review import ready
from loralab.sharing.server.weights import packed

pytestmark = pytest.mark.worker

OWN = "What colour has my aunt's bicycle?"  # a person's own question, asked after training


class Given:
    """A judged run whose person asked something, and what can be made of it."""

    def __init__(self, home: Path, run: str) -> None:
        self.home, self.run, self.lab = home, run, Lab(home)
        EventLog(home / "runs" / run / "events.jsonl")(Wondered(sample=Sample(prompt=OWN, before="?", after="Red.")))
        rows = (home / "colours.jsonl").read_text("utf-8").splitlines()
        self.rows = [json.loads(line)["prompt"] for line in rows] + [OWN]

    def export(self, form: str, variant: str = "") -> str:
        """An export by the job that makes it for people; its id."""
        folder = self.home / "runs" / f"made-{form}-{variant}"
        folder.mkdir()
        trained, adapter = read_job(self.home / "runs" / self.run), self.home / "runs" / self.run / "artifacts" / "adapter"
        asked = ExportJob(run=folder.name, of=self.run, format=form, variant=variant, model=trained.model, adapter=str(adapter))
        paths.write_atomic(folder / "job.json", asked.model_dump_json())
        log = EventLog(folder / "events.jsonl")
        log(Ended(outcome="finished", result=job.run(RunFolder(folder, asked, log))))
        return folder.name

    def folder_of(self, export: str) -> Path:
        ending = self.lab.view(export).ending
        assert ending is not None
        return Path(str(ending.result["folder"]))

    def found(self, what: Path) -> list[str]:
        """Where one of the examples stands, in a file, a folder, or a zip."""
        return [name for name, raw in _parts(what) if any(row.encode() in raw for row in self.rows)]


def _parts(what: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(what.rglob("*")) if what.is_dir() else [what]:
        if path.is_file():
            yield from _inside(path.name, path.read_bytes())


def _inside(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, raw
    if raw[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for inner in archive.namelist():
                yield from _inside(f"{name}/{inner}", archive.read(inner))


@pytest.fixture(scope="module")
def given(learned, tmp_path_factory: pytest.TempPathFactory) -> Given:
    home = tmp_path_factory.mktemp("stays") / "LoRALab"
    return Given(home, learned.copy(home))


def test_what_is_kept_for_oneself_holds_them_so_that_looking_finds_something(given, tmp_path):
    kept = tmp_path / "kept.zip"
    given.lab.keep(given.run, kept)
    assert given.found(kept)
    assert given.found(given.home / "runs" / given.run / "artifacts" / "adapter") == ["README.md"]
    assert any(row in given.lab.card(given.run) for row in given.rows), "the person's own card shows them"


def test_no_export_holds_them(given):
    """A folder and its zip as they are downloaded: card, history, settings, weights."""
    for form, variant in (("adapter", ""), ("merged", "")):
        folder = given.folder_of(given.export(form, variant))
        assert (folder / "README.md").is_file()
        assert given.found(folder.parent) == [], form


def test_no_page_holds_them_neither_as_one_file_nor_as_a_folder(given, monkeypatch):
    one = given.folder_of(given.export("page", "q8_0"))
    assert given.found(one) == []
    monkeypatch.setattr(page, "SINGLE", 0)  # as of a large model
    many = given.folder_of(given.export("page", "f16"))
    assert (many / "index.html").is_file()
    assert "## Settings" in (many / "README.md").read_text("utf-8")
    assert given.found(many) == []


def test_no_link_hands_them_out(given):
    """The zip of a link to the weights, and whatever else of the frozen run a link could reach."""
    shared = given.lab.deploy(given.run)
    assert given.found(packed(given.home, shared)) == []
    assert given.found(given.home / "deployments" / shared.id) == []


def test_no_gallery_and_no_repository_holds_them_unless_that_was_ticked(given, tmp_path):
    export = given.export("adapter", "") if not (given.home / "runs" / "made-adapter-").exists() else "made-adapter-"
    gallery = tmp_path / "gallery"
    write_index(given.home, [export], gallery)
    assert given.found(gallery) == []
    going = ready(given.home, export)
    assert not any(row in going.review.card for row in given.rows)
    names = {name for name, _ in going.review.files} & {path.name for path in going.folder.iterdir()}
    assert names
    assert all(given.found(going.folder / name) == [] for name in names)
    ticked = ready(given.home, export, samples=True).review.card
    assert any(row in ticked for row in given.rows[:-1])
    assert OWN not in ticked
    assert ticked.index("## Before and after") < ticked.index("## Settings")
