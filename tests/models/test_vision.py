"""Models that see: what the catalogue must say of each, and what is said of folders and names that people bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from loralab.core.errors import UserError
from loralab.core.paths import DATA
from loralab.core.records import DatasetProfile
from loralab.lab import Lab
from loralab.models import seeing
from loralab.models.vision import VisionEntry, seeing_in, vision_entry, vision_models
from loralab.runs import runs
from tests.conftest import until
from tests.support.fake_hub import fake_hub
from tests.support.paper_model import paper_model
from tests.support.seeing_models import tiny

ROWS = json.loads((DATA / "vision_models.json").read_text("utf-8"))["models"]
NEEDED = ("licence", "parameters", "sizes", "benchmark", "benchmark_source", "megabytes_at_one", "good_for", "cost", "words")
FREE = {"Apache-2.0", "MIT"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_an_entry_that_leaves_something_out_is_refused(row: dict[str, object]) -> None:
    VisionEntry.model_validate(row)
    fetched = ("hub_id", "model_type", "download_bytes") if row["source"] == "hub" else ()
    for name in (*NEEDED, *fetched):
        with pytest.raises(ValidationError):
            VisionEntry.model_validate({key: value for key, value in row.items() if key != name})
    with pytest.raises(ValidationError):
        VisionEntry.model_validate(row | {"licence": ""})


def test_the_catalogue_offers_something_for_every_kind_and_nothing_that_binds() -> None:
    models = vision_models()
    assert len({one.name for one in models}) == len({one.hub_id for one in models}) == len(models)
    assert {one.licence for one in models} <= FREE
    for task in seeing.ALL:
        assert len([one for one in models if task in one.good_for]) >= 4
    assert {one.model_type for one in models} - {""} <= seeing.KNOWN
    assert not {one.model_type for one in models} & seeing.LEFT_OUT.keys()


def test_what_is_known_of_families_is_what_can_be_opened() -> None:
    from loralab.runtimes.vision.tokens import LAYOUTS
    from loralab.runtimes.vision.whole import KINDS

    assert set(LAYOUTS) == set(seeing.TOKENS)
    assert {name: kind.task for name, kind in KINDS.items()} == {name: task for name, (_, task, _, _) in seeing.WHOLE.items()}


def test_a_folder_is_known_by_its_config_and_one_of_another_kind_is_refused_in_words(home: Path, tmp_path: Path) -> None:
    catalog = Lab(home).catalog
    own = tiny(tmp_path / "mine", "eomt")
    check = catalog.check(str(own))
    assert check.ok
    assert check.seeing is not None
    assert (check.seeing.good_for, check.seeing.own_head) == (("segment",), True)
    assert check.parameters > 10_000
    assert seeing_in(own).architecture == "EomtForUniversalSegmentation"

    config = json.loads((own / "config.json").read_text("utf-8"))
    for kind, said in (("mask2former", "licence"), ("convnextv2", "CC-BY-NC"), ("owlvit", "does not know how to train")):
        (own / "config.json").write_text(json.dumps(config | {"model_type": kind}), "utf-8")
        refused = catalog.check(str(own))
        assert not refused.ok
        assert said in refused.words
        assert refused.problems[0].todo == "Choose a model from the list."
    (own / "config.json").write_text(json.dumps(config), "utf-8")
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    assert "pickle" in catalog.check(str(own)).words
    (own / "model.safetensors").write_bytes(b"nonsense")
    assert [problem.code for problem in catalog.check(str(own)).problems] == ["damaged_model"]


def test_a_model_that_reads_cannot_see_and_one_that_sees_cannot_read(home: Path, tmp_path: Path) -> None:
    lab = Lab(home)
    known = {"id": "a", "name": "a", "path": "/a", "shape": "x", "n_read": 50, "n_kept": 50, "n_train": 50}
    pictures = DatasetProfile.model_validate(known | {"task": "classify", "unit": "pixels", "tokens": {"p50": 4096, "aspect": 100}})
    reads = lab.propose(pictures, str(paper_model(tmp_path / "reads")))
    assert "reads_only" in [problem.code for problem in reads.problems]
    with pytest.raises(UserError, match="cannot read"):
        lab.propose(DatasetProfile.model_validate(known), str(tiny(tmp_path / "sees", "dinov2")))
    other = lab.propose(pictures, str(tiny(tmp_path / "finds", "rf_detr")))
    assert "other_kind" in [problem.code for problem in other.problems]


@pytest.mark.worker
def test_a_base_is_fetched_by_its_name_in_the_list(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    entry, lab = vision_entry("dinov2-small"), Lab(home)
    assert entry is not None
    before = lab.check_model(entry.name)
    assert (before.present, [problem.code for problem in before.problems]) == (False, ["not_downloaded"])
    source = tiny(tmp_path / "source", "dinov2_with_registers")
    listed = {file.name: file.read_bytes() for file in source.iterdir()} | {"README.md": b"card", "tf_model.h5": b"no"}
    with fake_hub({entry.hub_id: listed, "someone/mask2former": {"config.json": b'{"model_type": "mask2former"}'}}) as web:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", web.url)
        monkeypatch.setattr(constants, "ENDPOINT", web.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        run = lab.download(entry.name)
        view = until(lambda: not runs.view(home, run).active and runs.view(home, run), 90)
        assert view.ending.outcome == "finished", view.ending
        refused = lab.download("someone/mask2former")
        view = until(lambda: not runs.view(home, refused).active and runs.view(home, refused), 90)
        assert view.ending.outcome != "finished"
    folder = lab.catalog.folder(entry.name)
    assert {file.name for file in folder.iterdir()} >= {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert not (folder / "tf_model.h5").exists()
    assert lab.check_model(entry.name).ok
    assert lab.check_model(entry.hub_id).name == entry.name
    assert lab.catalog.seeing_here() == [entry.name]
    assert not lab.catalog.folder("someone/mask2former").exists()
