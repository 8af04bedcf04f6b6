"""An adapter fits where PEFT itself finds a place for each tensor and the base answers otherwise with it; anything else is a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from loralab.adapters import fitting, names
from loralab.core.child_process import Child
from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.models.model_folder import header
from tests.adapters.test_import import answers_as, worker
from tests.support import gguf_models
from tests.support.adapters import CONFIG, WEIGHTS, edit, left, rewrite

shared = pytest.mark.usefixtures("one_process")


def renamed(folder: Path, change: Callable[[str], str]) -> None:
    tensors = {change(name): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def brought(lab: Lab, given: Path, base: Path) -> tuple[Path, str]:
    """The adapter as it was kept, and all that was told about it."""
    run = lab.import_adapter(given, base=str(base))
    return Path(lab._adapter(run)), " ".join(note.text for note in lab.view(run).notes)


SPELLINGS: dict[str, tuple[Callable[[str], str], dict[str, Any]]] = {
    "a wrapper": (lambda n: n.replace("model.layers", "language_model.model.layers"), {}),
    "another wrapper": (lambda n: n.replace("model.layers", "model.language_model.layers"), {"target_modules": r".*language_model.*_proj"}),
    "its own name": (lambda n: n.replace(".weight", ".default.weight"), {}),
    "compiled": (lambda n: n.replace("base_model.model.", "base_model.model._orig_mod."), {}),
}


@shared
@pytest.mark.worker
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_names_of_a_wrapper_are_put_in_their_place_and_told(
    lab: Lab, bases: dict[str, Path], plain: Path, tmp_path: Path, spelling: str
) -> None:
    given = Path(shutil.copytree(plain, tmp_path / "given"))
    change, settings = SPELLINGS[spelling]
    renamed(given, change)
    edit(given, **settings)
    assert set(load_file(given / WEIGHTS)).isdisjoint(load_file(plain / WEIGHTS))
    kept, told = brought(lab, given, bases["base"])
    assert "It fits its base model" in told
    assert ("another wrapping" in told) is (spelling != "its own name")
    found, wanted = load_file(kept / WEIGHTS), load_file(plain / WEIGHTS)
    assert found.keys() == wanted.keys()
    assert all(bool((found[name] == wanted[name]).all()) for name in wanted)
    answers_as(lab, lab.runs()[0]["id"], plain, bases["base"])


def untrained(folder: Path) -> None:
    rewrite(folder, lambda name, tensor: tensor * 0 if ".lora_B." in name else tensor)


PLAIN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MISFITS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "of pictures": (lambda f: renamed(f, lambda n: n.replace("model.layers", "visual.blocks")), "is not there"),
    "a pattern for nothing": (lambda f: edit(f, target_modules=r"nothing\..*"), "its settings name parts"),
    "all left out": (lambda f: edit(f, exclude_modules=r".*"), "its settings name parts"),
    "fewer in its settings": (lambda f: edit(f, layers_to_transform=[0], target_modules=PLAIN), "which its settings do not name"),
    "one left out": (lambda f: edit(f, exclude_modules=["q_proj"]), "which its settings do not name"),
    "ranks by name": (lambda f: edit(f, rank_pattern={"q_proj": 2}), "has rank 4, and its settings say 2"),
    "no pattern at all": (lambda f: edit(f, target_modules="(["), "its settings do not go with this base"),
    "biases": (lambda f: edit(f, bias="all"), "biases"),
    "nested": (lambda f: (f / CONFIG).write_text("[" * 100_000 + "]" * 100_000), "nested too deeply"),
    "not trained": (untrained, "does nothing"),
}


@shared
@pytest.mark.worker
@pytest.mark.parametrize("case", MISFITS)
def test_what_finds_no_place_or_changes_nothing_is_refused(
    lab: Lab, bases: dict[str, Path], plain: Path, tmp_path: Path, case: str
) -> None:
    given = Path(shutil.copytree(plain, tmp_path / "given"))
    change, said = MISFITS[case]
    change(given)
    with pytest.raises(UserError) as told:
        lab.import_adapter(given, base=str(bases["base"]))
    assert said in str(told.value)
    assert told.value.problem.todo
    assert left(lab) == []


@shared
@pytest.mark.worker
def test_layers_named_by_number_and_parts_left_out_are_read_as_peft_reads_them(lab: Lab, bases: dict[str, Path], tmp_path: Path) -> None:
    wishes = {"layers_to_transform": [1], "target_modules": ["q_proj", "v_proj", "up_proj"], "exclude_modules": ["v_proj"]}
    given = gguf_models.adapter_folder(tmp_path / "given", bases["base"], alpha_pattern={"q_proj": 32}, **wishes)
    kept, told = brought(lab, given, bases["base"])
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in load_file(kept / WEIGHTS)} == {"q_proj", "up_proj"}
    assert "It fits its base model" in told
    answers_as(lab, lab.runs()[0]["id"], given, bases["base"])


@pytest.mark.worker
def test_a_pattern_that_never_ends_ends_the_child_not_the_app(
    lab: Lab, bases: dict[str, Path], plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "SECONDS", 4.0)
    started: list[Child] = []
    monkeypatch.setattr(fitting, "Child", lambda *a, **k: started.append(Child(*a, **k)) or started[-1])
    given = Path(shutil.copytree(plain, tmp_path / "given"))
    edit(given, target_modules=r"(\w+\.?)+!")
    with pytest.raises(UserError, match="never comes to an end"):
        lab.import_adapter(given, base=str(bases["base"]))
    assert left(lab) == []
    assert not started[0].alive


# ---- an output matrix that is the embedding --------------------------------------------------------------------------------

ENDS: dict[str, dict[str, Any]] = {
    "lm_head": {"target_modules": ["q_proj", "lm_head"]},
    "embed_tokens": {"target_modules": ["q_proj", "embed_tokens"]},
    "whole": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
}


@pytest.fixture(scope="session")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_models.model_folder(tmp_path_factory.mktemp("tied") / "base", tie_word_embeddings=True)


@shared
@pytest.mark.worker
@pytest.mark.parametrize("end", ENDS)
def test_an_adapter_of_a_tied_end_comes_in_and_is_merged_into_two_matrices(lab: Lab, tied: Path, tmp_path: Path, end: str) -> None:
    given = gguf_models.adapter_folder(tmp_path / "given", tied, **ENDS[end])
    kept, told = brought(lab, given, tied)
    run = lab.runs()[0]["id"]
    assert any("base_layer" in name for name in header(given / WEIGHTS)) is (end != "whole") is ("1 copy" in told)
    assert not any("base_layer" in name for name in header(kept / WEIGHTS))
    answers_as(lab, run, given, tied)
    merged = worker(lab, "export", run, format="merged")
    assert merged["max_logit_difference"] < 1e-3
    folder = Path(merged["folder"])
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is False
    assert {"lm_head.weight", "model.embed_tokens.weight"} <= header(folder / "model.safetensors").keys()
    problems = {offer.format: offer.problem for offer in lab.offers(run)}
    assert problems["gguf"] is None
    assert problems["gguf_adapter"] is not None


@shared
@pytest.mark.worker
def test_a_copy_with_other_numbers_than_the_base_is_of_another_base(lab: Lab, tied: Path, tmp_path: Path) -> None:
    given = gguf_models.adapter_folder(tmp_path / "given", tied, **ENDS["lm_head"])
    rewrite(given, lambda name, tensor: tensor * 1.1 if "base_layer" in name else tensor)
    with pytest.raises(UserError, match=r"brings its own lm_head.weight"):
        lab.import_adapter(given, base=str(tied))
    assert left(lab) == []


# ---- names alone -----------------------------------------------------------------------------------------------------------


def test_each_way_to_write_a_name_is_the_same_name() -> None:
    ways = ("base_model.model.{}.weight", "{}.default.weight", "base_model.model.base_model.model.{}.style.weight", "{}.weight")
    for way in ways:
        found = names.spelled({way.format(f"model.layers.0.q_proj.lora_{side}"): [4, 4] for side in "AB"})
        assert found.shapes.keys() == {f"base_model.model.model.layers.0.q_proj.lora_{side}.weight" for side in "AB"}
    whole = names.spelled({"base_model.model.lm_head.modules_to_save.default.weight": [4, 4], "lm_head.original_module.weight": [4, 4]})
    assert list(whole.whole) == ["lm_head.weight"]
    assert whole.copies["lm_head.original_module.weight"][0] == "lm_head.weight"
    magnitude = names.spelled({"a.q.lora_magnitude_vector.default.weight": [4], "a.e.lora_embedding_A.default": [4, 9]})
    assert magnitude.pairs == {"a.q": {"lora_magnitude_vector": [4]}, "a.e": {"lora_embedding_A": [4, 9]}}


def test_a_name_is_moved_only_where_it_can_mean_one_thing() -> None:
    known = ["model.layers.0.q", "model.layers.1.q", "lm_head"]
    assert names.moved(["language_model.model.layers.1.q"], known) == {"language_model.model.layers.1.q": "model.layers.1.q"}
    assert names.moved(["language_model.layers.0.q", "model.language_model.layers.0.q"], known) == {}, "two would become one"
    assert names.moved(["vision_tower.layers.0.q"], known) == {}
    assert names.moved(["layers.0.q"], [*known, "module.layers.0.q"]) == {}, "two places for one"
