"""The gate for models of pictures: healthy folders of every kind are green, and every fault a wrong converter leaves is red."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from loralab.core.errors import LabError
from loralab.core.parity import Parity
from loralab.exports.pictures import checks, graph, inside, making, papers, proof, smaller
from loralab.exports.pictures.reference import Wanted, wanted_of
from tests.support import picture_runs, tiers

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="there is no onnxruntime for this Python"),
    pytest.mark.worker,
]
KINDS = ("classify", "segment", "detect")
FORMS = ("adapter", "merged", "onnx-fp32", "onnx-int8")
LOOKS = {"adapter": inside.adapter_inside, "merged": inside.merged_inside, "onnx": inside.graph_inside}


@dataclass(frozen=True)
class Place:
    """A run, what it says, and a healthy folder of each form."""

    run: picture_runs.Made
    wanted: Wanted
    folders: dict[str, Path]


@pytest.fixture(scope="module", params=tiers.grid(KINDS, ("classify",)))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp(request.param)
    run = picture_runs.made(home, request.param)
    folders = {form: home / form for form in FORMS}
    for form, folder in folders.items():
        folder.mkdir()
        kind, _, variant = form.partition("-")
        if form == "onnx-int8":  # of the same graph, as that is what takes long
            shutil.copytree(folders["onnx-fp32"], folder, dirs_exist_ok=True)
            smaller.make(folder / graph.FILE)
        else:
            getattr(making, kind)(run.source(variant), folder, lambda _: None)
    return Place(run, wanted_of(run.source()), folders)


@pytest.fixture
def folder(place: Place, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a healthy folder, to be damaged."""
    return lambda form: Path(shutil.copytree(place.folders[form], tmp_path / form))


def red(place: Place, form: str, folder: Path) -> set[str]:
    """The checks that are red by looking into a folder, without running it."""
    kind, _, variant = form.partition("-")
    try:
        found = LOOKS[kind](place.run.source(variant), folder, place.wanted)
    except LabError:
        return {"loads"}
    every = [*found.checks]
    if found.stored is not None:
        every.append(checks.weights(place.wanted, found.stored)[0])
    return {check.name for check in every if not check.ok}


def tried(place: Place, form: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Parity:
    """The whole gate, with its own program in a fresh process; what was trained is asked once."""
    monkeypatch.setattr(proof, "wanted_of", lambda _: place.wanted)
    kind, _, variant = form.partition("-")
    return getattr(inside, kind)(place.run.source(variant), folder, lambda _: None)


@pytest.mark.parametrize("form", FORMS)
def test_a_healthy_folder_is_green(place: Place, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(place, form, place.folders[form], monkeypatch)
    assert found.proven, found.words
    made = {check.name for check in found.checks}
    assert made >= {"adapter", "settings", "weights", "loads", "outputs", "program"}
    assert ("rounding" in made) == (form == "onnx-int8")
    assert not list(place.folders[form].glob("__pycache__")), "nothing is left in it"


# ---- faults in the numbers, as a wrong converter would leave them -----------------------------------------------------------

Change = Callable[[Wanted, str, Any], Any]  # (what was trained, name, numbers) -> the numbers, or None to leave them out


def turned_channels(wanted: Wanted, name: str, values: Any) -> Any:
    return values[:, ::-1] if name == "backbone.stem.weight" else values


def lost_bias(wanted: Wanted, name: str, values: Any) -> Any:
    return np.zeros_like(values) if name.startswith("backbone") and name.endswith(".bias") else values


def lost_layer(wanted: Wanted, name: str, values: Any) -> Any:
    return wanted.base[name] if name == "backbone.blocks.7.expand.weight" else values


def weaker(wanted: Wanted, name: str, values: Any) -> Any:
    base = wanted.base.get(name)
    return values if base is None else base + np.float32(0.9) * (values - base)


def untrained_head(wanted: Wanted, name: str, values: Any) -> Any:
    random = np.random.default_rng(0)
    return random.normal(0, 0.01, values.shape).astype(np.float32) if name.startswith("head.") else values


def one_number(wanted: Wanted, name: str, values: Any) -> Any:
    if name != "backbone.blocks.10.project.weight":
        return values
    moved = values.copy()
    moved.reshape(-1)[7] += 0.1 * np.abs(values).max()
    return moved


NUMBERS: dict[str, Change] = {
    "wrong channel order": turned_channels,
    "lost bias, which is the batch norm": lost_bias,
    "a layer of the adapter is missing": lost_layer,
    "the adapter at nine tenths": weaker,
    "the head as it began": untrained_head,
    "one number of one layer": one_number,
}


def changed_graph(folder: Path, place: Place, change: Change, *, small: bool) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(place.folders["onnx-fp32"] / graph.FILE)
    for tensor in model.graph.initializer:
        if "." in tensor.name:
            values = numpy_helper.to_array(tensor)
            new = change(place.wanted, tensor.name, values)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(new), tensor.name))
    model = smaller.quantised(model) if small else model
    (folder / graph.FILE).write_bytes(model.SerializeToString())


def changed_tensors(file: Path, place: Place, change: Change) -> None:
    save_file({name: np.ascontiguousarray(change(place.wanted, name, values)) for name, values in load_file(file).items()}, file)


@pytest.mark.parametrize("fault", NUMBERS)
@pytest.mark.parametrize("form", ["merged", "onnx-fp32", "onnx-int8"])
def test_wrong_numbers_are_seen_in_the_file(place: Place, folder: Callable[[str], Path], form: str, fault: str) -> None:
    there = folder(form)
    if form == "merged":
        changed_tensors(there / "model.safetensors", place, NUMBERS[fault])
    else:
        changed_graph(there, place, NUMBERS[fault], small=form == "onnx-int8")
    assert red(place, form, there) == {"weights"}


def test_the_strength_of_the_adapter_is_named(place: Place, folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    there = folder("onnx-int8")
    changed_graph(there, place, weaker, small=True)
    found = tried(place, "onnx-int8", there, monkeypatch)
    assert found.outcome == "differs"
    assert "at about 90% of its strength" in found.why


def _without(file: Path, part: str) -> None:
    save_file({name: values for name, values in load_file(file).items() if part not in name}, file)


def _scaled(file: Path) -> None:
    save_file({name: values * np.float32(0.9 if "lora_B" in name else 1) for name, values in load_file(file).items()}, file)


def _value(file: Path, name: str, value: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {name: value}), "utf-8")


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


TENSORS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"
OF_ADAPTERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "the head was not saved": (lambda at: _without(at / TENSORS, ".head."), "weights"),
    "a layer is missing": (lambda at: _without(at / TENSORS, "blocks.7.expand"), "weights"),
    "at nine tenths": (lambda at: _scaled(at / TENSORS), "weights"),
    "another alpha": (lambda at: _value(at / SETTINGS, "lora_alpha", 7), "settings"),
    "another base": (lambda at: _value(at / SETTINGS, "base_model_name_or_path", "other"), "settings"),
    "cut in half": (lambda at: _cut(at / TENSORS), "loads"),
    "gone": (lambda at: (at / TENSORS).unlink(), "loads"),
}


@pytest.mark.parametrize("fault", OF_ADAPTERS)
def test_faults_of_an_adapter_are_seen(place: Place, folder: Callable[[str], Path], fault: str) -> None:
    there = folder("adapter")
    OF_ADAPTERS[fault][0](there)
    assert red(place, "adapter", there) == {OF_ADAPTERS[fault][1]}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "value"), [("labels", None), ("width", 128), ("threshold", 0.31), ("fill", 0), ("temperature", 1.0)])
def test_what_a_folder_says_of_itself_is_compared(place: Place, folder: Callable[[str], Path], form: str, name: str, value: Any) -> None:
    there = folder(form)
    _value(there / "pictures.json", name, ["swapped", *reversed(place.wanted.card.labels)][1:] if value is None else value)
    wrong = red(place, form, there)
    assert wrong == ({"settings"} if value is not None or len(place.wanted.card.labels) > 1 else set())


@pytest.mark.parametrize("file", [graph.FILE, "model.safetensors"])
@pytest.mark.parametrize("act", [_cut, Path.unlink])
def test_a_file_cut_short_or_gone_does_not_load(
    place: Place, folder: Callable[[str], Path], file: str, act: Callable[[Path], None]
) -> None:
    form = "merged" if file.endswith("safetensors") else "onnx-fp32"
    there = folder(form)
    act(there / file)
    assert red(place, form, there) == {"loads"}


# ---- faults in the graph around its numbers ---------------------------------------------------------------------------------


def _described(name: str, value: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        entry = next(one for one in model.metadata_props if one.key == name)
        entry.value = json.dumps(value)

    return change


def _constant(name: str, value: float) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        from onnx import numpy_helper

        tensor = next(one for one in model.graph.initializer if one.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.array(value, np.float32), name))

    return change


def _no_bias(model: Any) -> None:
    node = next(one for one in model.graph.node if one.op_type == "Conv")
    lost = node.input.pop()
    model.graph.initializer.remove(next(one for one in model.graph.initializer if one.name == lost))


def _other_size(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 128


def _past_the_mean(model: Any) -> None:
    model.graph.node[1].input[0] = graph.INPUT


OF_GRAPHS: dict[str, tuple[Callable[[Any], None], str]] = {
    "another mean": (_constant(graph.MEAN_NAME, 123.7), "settings"),
    "another divisor": (_constant(graph.SCALE_NAME, 255.0), "settings"),
    "the mean is passed by": (_past_the_mean, "settings"),
    "swapped colours": (_described("channels", "BGR"), "settings"),
    "swapped labels": (_described("labels", ["b", "a"]), "settings"),
    "another size said": (_described("height", 96), "settings"),
    "another size taken": (_other_size, "settings"),
    "another way to resize": (_described("resize", "squashed"), "settings"),
    "nothing said": (lambda model: model.ClearField("metadata_props"), "settings"),
    "a bias left out": (_no_bias, "weights"),
}


@pytest.mark.parametrize("fault", OF_GRAPHS)
def test_faults_around_the_numbers_are_seen(place: Place, folder: Callable[[str], Path], fault: str) -> None:
    import onnx

    there = folder("onnx-fp32")
    model = onnx.load(there / graph.FILE)
    OF_GRAPHS[fault][0](model)
    (there / graph.FILE).write_bytes(model.SerializeToString())
    assert red(place, "onnx-fp32", there) == {OF_GRAPHS[fault][1]}


# ---- faults that only using it shows ----------------------------------------------------------------------------------------


def _clipped_lower(there: Path) -> None:
    """Everything is bent at 4 instead of 6: no weight, no setting says so."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(there / graph.FILE)
    upper = next(node for node in model.graph.node if node.op_type == "Clip").input[2]
    tensor = next(one for one in model.graph.initializer if one.name == upper)
    assert float(numpy_helper.to_array(tensor)) == 6
    tensor.CopyFrom(numpy_helper.from_array(np.array(4, np.float32), upper))
    (there / graph.FILE).write_bytes(model.SerializeToString())


def _program(old: str, new: str) -> Callable[[Path], None]:
    def change(there: Path) -> None:
        file = there / "predict.py"
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")

    return change


IN_USE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "the graph computes something else": ("onnx-fp32", _clipped_lower, "outputs"),
    "eight bits compute something else": ("onnx-int8", _clipped_lower, "outputs"),
    "colours are turned round": ("onnx-fp32", _program('for channel in "RGB"', 'for channel in "BGR"'), "outputs"),
    "pictures lie in the corner": ("onnx-fp32", _program("left, top = math.floor", "left, top = 0 * math.floor"), "program"),
    "pictures are seen half as large": ("onnx-fp32", _program("image.height)\n    across", "image.height) / 2\n    across"), "program"),
    "it does not run": ("onnx-fp32", _program("def answer(", "def asked("), "program"),
    "it cannot be read": ("onnx-fp32", _program("def answer(", "def answer(("), "loads"),
    "its model is another": ("merged", lambda there: (there / "model.py").write_text("raise SystemExit"), "loads"),
}


@pytest.mark.parametrize("fault", tiers.grid(IN_USE, ("the graph computes something else", "pictures are seen half as large")))
def test_what_goes_wrong_in_use_is_seen(place: Place, folder: Callable[[str], Path], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    form, act, name = IN_USE[fault]
    there = folder(form)
    act(there)
    found = tried(place, form, there, monkeypatch)
    assert found.outcome == "differs"
    assert name in {check.name for check in found.checks if not check.ok and not check.told_only}, found.words
    assert found.why


def test_without_its_pictures_it_is_compared_on_chance_and_that_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = place.run.source("fp32")
    gone = type(source)(**{**vars(source), "plan": source.plan | {"dataset": str(tmp_path / "gone.zip")}})
    found = inside.onnx(gone, place.folders["onnx-fp32"], lambda _: None)
    assert found.proven, found.words
    told = {check.name: check for check in found.checks}
    assert "program" not in told
    assert told["pictures"].told_only
    assert "pictures of chance" in told["pictures"].words


def test_without_its_base_nothing_is_called_proven(place: Place, tmp_path: Path) -> None:
    source = place.run.source("fp32")
    gone = type(source)(**{**vars(source), "model": tmp_path})
    assert inside.onnx(gone, place.folders["onnx-fp32"], lambda _: None).outcome == "untried"


def test_of_patients_no_name_leaves(place: Place) -> None:
    card = place.wanted.card.model_copy(update={"medical": True})
    source = papers.unnamed(place.run.source(), card)
    assert "drawn" not in json.dumps(source.plan).casefold()
    assert not source.events
    assert papers.unnamed(place.run.source(), place.wanted.card).plan["title"] == "Drawn"


def test_an_adapter_of_patients_has_no_history_and_no_name(tmp_path: Path) -> None:
    run, there = picture_runs.made(tmp_path / "LoRALab", "segment", medical=True), tmp_path / "adapter"
    there.mkdir()
    making.adapter(run.source(), there, lambda _: None)
    assert not (there / "history.json").exists()
    for file in there.iterdir():
        assert b"drawn" not in file.read_bytes().lower(), file.name
    assert "Not a medical device" in (there / "README.md").read_text("utf-8")
