"""Galleries: made of finished exports, opened from a folder or from an imitation of the Hub, installed only where all is as it says."""

from __future__ import annotations

import json
import shutil

import pytest

from loralab.core.errors import LabError, UserError
from loralab.lab import Lab
from loralab.models.model_folder import MARKER
from loralab.sharing.hub.index import INDEX, read_index
from tests.support.publishing import exported, hub
from tests.support.writing_hub import Repo

__all__ = ["hub"]
pytestmark = pytest.mark.worker
HUB_ID = "someone/base"


@pytest.fixture
def shelf(learned, home, tmp_path):
    """A folder with one adapter, made by a computer that has its base; and that computer."""
    learned.copy(home)
    lab = Lab(home)
    folder = exported(home, learned.run)
    place = folder.parent / "away.zip"
    shutil.make_archive(str(place.with_suffix("")), "zip", folder)
    log = home / "runs" / f"{learned.run}-away" / "events.jsonl"
    log.write_text(log.read_text("utf-8").replace(f'"path":"{folder}"', f'"path":"{place}"'), "utf-8")
    stick = tmp_path / "stick"
    lab.make_gallery([f"{learned.run}-away"], stick, "Class 7b")
    return lab, stick, learned.run


def test_a_gallery_says_what_each_is_and_installs_what_fits_its_base(shelf, one_process):
    lab, stick, run = shelf
    (one,) = lab.gallery(stick)
    assert (one.title, one.base, bool(one.model), one.run) == ("Colours", "base", True, "")
    assert one.learned == lab.view(run).conclusion.learned_words
    assert one.heldout == 12
    assert "## Before and after" not in lab.gallery_card(one)
    told = []
    new = lab.install(one, lambda done, total: told.append((done, total)))
    assert lab.view(new).state == "finished"
    (again,) = lab.gallery(stick)
    assert again.run == new
    with pytest.raises(UserError, match="is here already"):
        lab.install(again)
    lab.delete(new)
    assert lab.gallery(stick)[0].run == ""


def test_without_its_base_it_is_shown_and_not_installed(shelf, tmp_path):
    _, stick, _ = shelf
    bare = Lab(tmp_path / "bare")
    (one,) = bare.gallery(stick)
    assert one.model == ""
    with pytest.raises(UserError, match="not on this computer"):
        bare.install(one)


def test_a_file_that_is_not_what_the_index_says_is_not_opened(shelf):
    lab, stick, _ = shelf
    (one,) = lab.gallery(stick)
    file = stick / one.name
    raw = file.read_bytes()
    file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(UserError, match="not what the gallery says"):
        lab.install(one)
    file.unlink()
    with pytest.raises(UserError, match="not in the folder any more"):
        lab.install(one)
    assert [row["kind"] for row in lab.runs()].count("train") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: b"not json", "is damaged"),
        (lambda raw: json.dumps(json.loads(raw) | {"version": 9, "new": 1}).encode(), "newer version"),
        (lambda raw: json.dumps(json.loads(raw) | {"kind": "shopping-list"}).encode(), "no gallery"),
        (lambda raw: raw.replace(b'"file": "', b'"file": "../'), "no gallery"),
        (lambda raw: raw.replace(b'"bytes": ', b'"bytes": -'), "is damaged"),
    ],
)
def test_an_index_that_cannot_be_used_says_so(shelf, change, words):
    lab, stick, _ = shelf
    (stick / INDEX).write_bytes(change((stick / INDEX).read_bytes()))
    with pytest.raises(UserError, match=words):
        lab.gallery(stick)


def test_a_folder_keeps_what_was_in_it_and_a_newer_one_takes_the_olders_place(shelf):
    lab, stick, run = shelf
    lab.rename(run, "Other colours")
    lab.make_gallery([f"{run}-away"], stick)
    assert {one.title for one in read_index(stick).adapters} == {"Colours", "Other colours"}
    lab.make_gallery([f"{run}-away"], stick)
    assert len(read_index(stick).adapters) == 2
    with pytest.raises(UserError, match="There is no gallery"):
        lab.gallery(stick.parent / "elsewhere")


def test_the_hub_is_searched_by_base_and_installs_an_adapter_but_no_pickle(shelf, hub, one_process):
    lab, _, run = shelf
    base = lab.home / "models" / "base"
    (base / MARKER).write_text(json.dumps({"model": HUB_ID, "bytes": 1}))
    base.rename(lab.home / "models" / HUB_ID.replace("/", "--"))
    adapter = lab.home / "exports" / run / "adapter"
    card = f"---\nbase_model: {HUB_ID}\nlicense: mit\ntags:\n- lora\n---\n\n# Colours of the Hub\n"
    files = {name: (adapter / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors")}
    hub.repos["ann/good"] = Repo(files={**files, "README.md": card.encode()}, private=False)
    old = {"adapter_config.json": b"{}", "adapter_model.bin": b"\x80", "README.md": card.encode()}
    hub.repos["ann/old"] = Repo(files=old, private=False)
    hub.repos["ann/hidden"] = Repo(files={"README.md": card.encode()})
    found = {one.name: one for one in lab.gallery()}
    assert set(found) == {"ann/good", "ann/old"}
    assert found["ann/good"].licence == "mit"
    assert [asked for asked, _ in hub.asked if asked.startswith("search")] == [f"search base_model:adapter:{HUB_ID}"]
    assert "# Colours of the Hub" in lab.gallery_card(found["ann/good"])
    with pytest.raises(UserError, match="old, unsafe format"):
        lab.install(found["ann/old"])
    new = lab.install(found["ann/good"])
    assert lab.view(new).state == "finished"
    assert {one.name: one.run for one in lab.gallery()}["ann/good"] == new
    assert list((lab.home / "downloads").iterdir()) == []


def test_a_hub_in_trouble_says_so(shelf, hub):
    lab, _, _ = shelf
    (lab.home / "models" / "base" / MARKER).write_text(json.dumps({"model": HUB_ID}))
    hub.trouble["search"] = 503
    with pytest.raises(LabError, match="trouble of its own"):
        lab.gallery()
