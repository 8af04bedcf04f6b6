"""The parity gate over ONNX: healthy folders are green, and a fault put into a finished one is caught, with its probable reason."""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab.exports import onnx_model
from loralab.exports.onnx import graph
from loralab.exports.parity import gate
from loralab.exports.parity.checks import untried
from loralab.exports.parity.trained import Trained
from tests.exports.test_parity import Place, export, place, source_of, tried
from tests.support import onnx_damage, planted

__all__ = ["place"]

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="there is no onnxruntime for this Python"),
    pytest.mark.nightly,
]
VARIANTS = ("fp32", "int8", "uint8")  # of one graph; fp16 is traced by itself


@pytest.fixture(scope="module")
def trial(place: Place) -> dict[str, Any]:
    """What was trained, asked once, and healthy folders of every kind; the graph is traced once, as that is what takes long."""
    home, base, *_ = place
    source = source_of(place)
    encoder = gate.encoder_of(source, Path(shutil.copytree(base, home / "onnx-papers")))
    model = gate.trained(source)
    wanted = gate.wanted_of(model, encoder, gate.heldout(source, encoder, model.config.vocab_size))
    traced, real = home / "traced", graph.write
    traced.mkdir()

    def once(model: Any, folder: Path) -> None:
        if not any(traced.iterdir()):
            real(model, traced)
        shutil.copytree(traced, folder, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_compared", lambda *_: untried("Later"))
        patch.setattr(graph, "write", once)
        done = {("onnx", variant): Path(export(place, "onnx", variant)[0]["folder"]) for variant in VARIANTS}
    return {"encoder": encoder, "model": model, "wanted": replace(wanted, rows=wanted.rows[:2]), "folders": done, "traced": traced}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_healthy_folder_is_green(place: Place, trial: dict[str, Any], variant: str, tmp_path: Path) -> None:
    parity = tried(place, trial, ("onnx", variant), trial["folders"]["onnx", variant], tmp_path / "room")
    assert parity.proven, parity.words


def test_sixteen_bits_are_proven_and_say_what_they_are(place: Place) -> None:
    told = export(place, "onnx", "fp16")[0]
    assert told["parity"] == "proven", told["parity_words"]
    assert json.loads((Path(told["folder"]) / "config.json").read_text("utf-8"))["dtype"] == "float16"


def weaker(made: onnx_damage.Made, place: Path, share: float, only: str) -> Callable[[str, Any], Any]:
    """The adapter at another strength, merged into the same graph."""
    other = planted.weaker(made.adapter, place, share, only)
    return onnx_damage._replaced(onnx_damage._merged(made.base, made.adapter), onnx_damage._merged(made.base, other))


def moved(made: onnx_damage.Made, name: str, act: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    """One weight of the model changed, wherever the graph keeps it."""
    values = onnx_damage._merged(made.base, made.adapter)
    whole = next(key for key in values if key.endswith(name))
    if values[whole].ndim < 2:
        return lambda known, numbers: act(numbers) if known.endswith(name) else numbers
    return onnx_damage._replaced({whole: values[whole]}, {whole: act(values[whole].copy())})


def exchanged(made: onnx_damage.Made) -> Callable[[str, Any], Any]:
    values = onnx_damage._merged(made.base, made.adapter)
    first, second = (next(key for key in values if f"layers.{i}.mlp.up_proj" in key) for i in (0, 1))
    return onnx_damage._replaced({first: values[first], second: values[second]}, {first: values[second], second: values[first]})


def row_nought(values: Any) -> Any:
    values[3] = 0
    return values


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_fault_planted_in_a_folder_is_seen_without_running_it(
    place: Place, trial: dict[str, Any], variant: str, tmp_path: Path
) -> None:
    made = onnx_damage.Made(place[1], place[2], trial["traced"], variant)
    graphs: dict[str, Callable[[], Any]] = {
        name: (lambda share=share, only=only, i=i: weaker(made, tmp_path / f"a{i}", share, only))
        for i, (name, (share, only)) in enumerate(planted.ADAPTERS.items())
    }
    graphs |= {
        "one tensor scaled by 1.01": lambda: moved(made, "layers.0.mlp.down_proj.weight", lambda v: v * 1.01),
        "a norm scaled by 1.001": lambda: moved(made, "layers.1.input_layernorm.weight", lambda v: v * np.float32(1.001)),
        "one row nought": lambda: moved(made, "layers.0.mlp.up_proj.weight", row_nought),
        "rows in another order": lambda: moved(made, "layers.0.self_attn.q_proj.weight", lambda v: v[::-1]),
        "layers exchanged": lambda: exchanged(made),
    }
    folder, source, tried_in, missed = tmp_path / "export", source_of(place, variant), onnx_model.FORMAT.trial, list[str]()
    assert tried_in is not None
    papers = {name: (lambda act=act: act(folder)) for name, act in {**planted.PAPERS, **planted.CONFIG}.items()}
    changes = {name: (lambda get=get: onnx_damage._graph(folder, made, get())) for name, get in graphs.items()}
    for fault, plant in {**papers, **changes, "cut in half": lambda: planted.cut(folder)}.items():
        shutil.copytree(trial["folders"]["onnx", variant], folder)
        plant()
        kept = Trained(copy.deepcopy(trial["model"]), trial["encoder"], source.adapter)
        _, found = gate.looked_into(tried_in, source, folder, kept, trial["wanted"])
        if all(check.ok for check in found):
            missed.append(fault)
        shutil.rmtree(folder)
        shutil.rmtree(folder.with_name("way"), ignore_errors=True)
    assert not missed


FAULTS: list[tuple[Any, ...]] = [  # uint8 is int8 with another zero
    (variant, *fault) for variant in VARIANTS if variant != "uint8" for fault in (*onnx_damage.PAPERS, *onnx_damage.GRAPH)
]


@pytest.mark.parametrize(("variant", "fault", "names", "why"), FAULTS, ids=[f"{v}-{f.__name__}" for v, f, *_ in FAULTS])
def test_a_fault_put_into_a_finished_folder_is_caught(
    place: Place, trial: dict[str, Any], variant: str, fault: Callable[..., None], names: set[str], why: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trial["folders"]["onnx", variant], tmp_path / "export"))
    fault(folder, onnx_damage.Made(place[1], place[2], trial["traced"], variant))
    parity = tried(place, trial, ("onnx", variant), folder, tmp_path / "room")
    assert parity.outcome == "differs"
    assert names <= {check.name for check in parity.checks if not check.ok and not check.told_only}, parity.words
    assert why in parity.why
