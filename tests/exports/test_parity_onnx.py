"""The parity gate over ONNX: healthy folders are green, and a fault put into a finished one is caught, with its probable reason."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralab.exports.onnx import graph
from loralab.exports.parity import gate
from loralab.exports.parity.checks import untried
from tests.exports.test_parity import Place, export, place, source_of, tried
from tests.support import onnx_damage

__all__ = ["place"]

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="there is no onnxruntime for this Python"),
    pytest.mark.nightly,
]
VARIANTS = ("fp32", "int8", "uint8")  # of one graph; fp16 is traced by itself and differs in its rounding alone


@pytest.fixture(scope="module")
def trial(place: Place) -> dict[str, Any]:
    """What was trained, asked once, and healthy folders of every kind; the graph is traced once, as that is what takes long."""
    home, base, *_ = place
    source = source_of(place)
    encoder = gate.encoder_of(source, Path(shutil.copytree(base, home / "onnx-papers")))
    wanted = gate.trained(source, encoder)
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
    return {"encoder": encoder, "wanted": replace(wanted, rows=wanted.rows[:2]), "folders": done, "traced": traced}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_healthy_folder_is_green(place: Place, trial: dict[str, Any], variant: str, tmp_path: Path) -> None:
    parity = tried(place, trial, ("onnx", variant), trial["folders"]["onnx", variant], tmp_path / "room")
    assert parity.proven, parity.words


FAULTS: list[tuple[Any, ...]] = [(variant, *fault) for variant in VARIANTS for fault in (*onnx_damage.PAPERS, *onnx_damage.GRAPH)]


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
