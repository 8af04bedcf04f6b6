"""A download through the real worker and the real hub library, against an imitation of the Hub: whole or absent, in plain words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralab.core import events
from loralab.core.errors import Unavailable, UserError
from loralab.lab import Lab
from loralab.models import hub
from loralab.models.catalog import Catalog
from loralab.models.hub import check_on_hub, look_up, wanted_files
from loralab.runs import runs
from tests.conftest import until
from tests.support.fake_hub import fake_hub
from tests.support.paper_model import paper_model

NAME = "someone/small-model"


def files_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def listed(tmp_path):
    """Files of a model as a repository has them: what a training needs and what it does not."""
    files = files_of(paper_model(tmp_path / "source", vocab_size=60_000))  # 3.9 MB of weights
    return files | {"README.md": b"card", "consolidated.safetensors": b"again", "training_args.bin": b"no", "LICENSE": b"Do as you like."}


@pytest.fixture
def web(listed, monkeypatch):
    """The imitation, with the hub library of this process and of the workers pointed at it."""
    from huggingface_hub import constants

    with fake_hub({NAME: listed}) as found:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield found


def finished(home, run):
    return until(lambda: not runs.view(home, run).active and runs.view(home, run), 90)


def test_only_what_a_training_needs_is_fetched():
    names = {
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "consolidated.safetensors",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "tokenizer.json",
        "README.md",
        "x.gguf",
        "merges.txt",
        "optimizer.pt",
        "modeling_own.py",
        "LICENSE.txt",
    }
    wanted, pickled = wanted_files(names)
    assert not pickled
    assert wanted[-2:] == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], "the large files come last"
    assert set(wanted[:-2]) == {"LICENSE.txt", "config.json", "merges.txt", "model.safetensors.index.json", "tokenizer.json"}
    assert wanted_files({"config.json", "pytorch_model.bin"}) == (["config.json", "pytorch_model.bin"], True)


def test_a_model_is_fetched_whole_marked_and_counted(web, home):
    lab = Lab(home)
    assert lab.check_model(NAME, ask_hub=True).download_bytes == look_up(NAME).bytes
    view = finished(home, lab.download(NAME))
    assert view.state == "finished", view.ending
    folder = home / "models" / "someone--small-model"
    assert lab.check_model(NAME).ok
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
        "LICENSE",
        ".lab-download.json",
    }
    assert [a.kind for a in view.artifacts] == ["model"]
    assert list(Catalog(home).downloaded()) == [folder]
    again = finished(home, lab.download(NAME))
    assert again.state == "finished"
    assert again.ending.result["bytes"] == 0


def test_a_broken_transfer_goes_on_where_it_was(web, home):
    web.cut_after = 1_000_000
    view = finished(home, Lab(home).download(NAME))
    assert view.state == "finished", view.ending
    ranges = [r for path, r in web.asked if path.endswith("model.safetensors") and r and r != "bytes=0-0"]
    assert any(r.startswith("bytes=") and r != "bytes=0-" for r in ranges), web.asked
    assert Lab(home).check_model(NAME).ok


@pytest.mark.worker
def test_stopping_in_the_middle_of_a_file_keeps_what_is_here(web, home):
    web.pause = 0.1
    lab = Lab(home)
    run = lab.download(NAME)
    until(lambda: (runs.view(home, run).fraction or 0) > 0.02)
    lab.stop(run)
    view = finished(home, run)
    assert view.state == "stopped"
    folder = home / "models" / "someone--small-model"
    assert not folder.exists()
    partial = folder.with_name(f"{folder.name}.partial")
    assert (partial / "config.json").is_file()
    assert Catalog(home).cache_bytes() > 0
    web.pause = 0.0
    assert finished(home, lab.download(NAME)).state == "finished"
    assert not partial.exists()
    assert lab.check_model(NAME).ok


def test_progress_is_a_share_that_grows(web, home):
    web.pause = 0.05
    run = Lab(home).download(NAME)
    finished(home, run)
    log, _ = events.read(home / "runs" / run / "events.jsonl")
    shares = [e.fraction or 0.0 for e in log if e.type == "noted" and e.phase == "downloading"]
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize(
    ("status", "code", "word"), [(403, "gated_model", "accept"), (404, "unknown_model", "spelling"), (503, "hub_busy", "again")]
)
def test_a_refusal_is_said_with_its_next_step(web, home, monkeypatch, status, code, word):
    if status == 404:
        web.models.clear()
    else:
        web.status[NAME] = status
    view = finished(home, Lab(home).download(NAME))
    assert view.state == "failed"
    assert view.ending.code == code, view.ending
    assert word in view.ending.todo
    assert not (home / "models" / "someone--small-model").exists()


def test_without_a_network_the_catalogue_still_knows_a_size(home, monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    assert Lab(home).check_model("smollm2-360m", ask_hub=True).download_bytes == 728_000_000
    with pytest.raises(Unavailable) as error:
        look_up(NAME)
    assert error.value.problem.code == "no_network"
    catalog = Catalog(home)
    assert check_on_hub(catalog.check("gpt2")) == catalog.check("gpt2")
    assert [p.code for p in check_on_hub(catalog.check(NAME)).problems] == ["no_network"]


def test_switched_off_downloads_are_said_to_be(home, monkeypatch):
    from huggingface_hub.errors import OfflineModeIsEnabled

    def refuse(*_, **__):
        raise OfflineModeIsEnabled("off")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    with pytest.raises(Unavailable) as error:
        look_up(NAME)
    assert error.value.problem.code == "offline"


def test_an_unfit_model_is_refused_before_its_weights_are_fetched(web, home, listed):
    config = json.loads(listed["config.json"]) | {"architectures": ["OwnForCausalLM"], "auto_map": {"AutoModelForCausalLM": "own.Own"}}
    listed["config.json"] = json.dumps(config).encode()
    assert [p.code for p in check_on_hub(Catalog(home).check(NAME)).problems] == ["needs_remote_code"]
    view = finished(home, Lab(home).download(NAME))
    assert view.ending.code == "needs_remote_code"
    assert not [path for path, _ in web.asked if path.startswith("GET") and path.endswith("model.safetensors")]


def test_a_full_disk_is_noticed_before_the_first_byte(web, home, monkeypatch):
    from loralab.models import downloads

    class Usage:
        free = 1_000_000

    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(Unavailable, match="disk"):
        downloads._make_room(look_up(NAME), home)


def test_a_persons_own_folder_is_never_replaced(web, home):
    mine = home / "models" / "someone--small-model"
    mine.mkdir(parents=True)
    (mine / "diary.txt").write_text("mine")
    view = finished(home, Lab(home).download(NAME))
    assert view.ending.code == "folder_taken"
    assert (mine / "diary.txt").read_text() == "mine"


@pytest.mark.worker
def test_old_weights_are_converted_and_a_program_in_them_is_not_run(web, home, listed, tmp_path):
    import torch
    from safetensors import safe_open

    del listed["model.safetensors"]
    table = torch.arange(12.0).reshape(3, 4)
    torch.save(
        {"lm_head.weight": table, "model.embed_tokens.weight": table, "model.layers.0.mlp.up_proj.weight": table[1:]}, tmp_path / "w.bin"
    )
    listed["pytorch_model.bin"] = (tmp_path / "w.bin").read_bytes()
    view = finished(home, Lab(home).download(NAME))
    assert view.state == "finished", view.ending
    folder = home / "models" / "someone--small-model"
    with safe_open(folder / "model.safetensors", "pt") as found:
        assert set(found.keys()) == {"model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"}
        assert torch.equal(found.get_tensor("model.embed_tokens.weight"), table)
    assert not list(folder.glob("*.bin"))


class Trap:
    """A pickle that would write a file when it is opened."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return (Path.touch, (self.place,))


def test_a_pickle_with_a_program_in_it_is_refused(tmp_path):
    import pickle

    from loralab.sessions.convert import pickles_to_safetensors

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Trap(tmp_path / "sprung")}, protocol=2))
    with pytest.raises(UserError) as error:
        pickles_to_safetensors(tmp_path)
    assert error.value.problem.code == "pickle_weights"
    assert not (tmp_path / "sprung").exists()


def test_folders_and_the_starter_are_nothing_to_download():
    for name in ("starter", "./folder", "one/two/three", "word"):
        with pytest.raises(UserError):
            hub.hub_id(name)
    assert hub.hub_id("gpt2") == "openai-community/gpt2"
