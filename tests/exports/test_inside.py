"""Is the file what was trained: healthy exports of every kind are, and each fault planted in one is seen, in four bits and in two."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import LabError
from loralab.core.events import RunView
from loralab.core.parity import Check
from loralab.exports import Source, formats
from loralab.exports.parity.trained import Trained
from loralab.models.tokenize import TextEncoder
from loralab.reports.card import Origin
from tests.support import gguf_models, planted

pytestmark = pytest.mark.worker

WHOLE = (("gguf", "f16"), ("gguf", "q8_0"), ("gguf", "q4_k_m"), ("gguf", "q2_k"))
KINDS = (*WHOLE, ("gguf_adapter", ""), ("adapter", ""), ("merged", ""), ("pt", ""))
WIDE = {"hidden_size": 256, "intermediate_size": 256, "head_dim": 64, "num_hidden_layers": 2}


@dataclass
class Place:
    """A base, its adapter, both in torch, and healthy exports by format and variant."""

    source: Source
    model: Any
    encoder: TextEncoder
    made: dict[tuple[str, str], Path]

    def inside(self, name: tuple[str, str], folder: Path) -> list[Check]:
        """What is found in a folder; a file that cannot be read is a check that failed, as in the gate."""
        source, trial = replace(self.source, variant=name[1]), formats()[name[0]].trial
        assert trial is not None
        found: list[Check] = []
        try:
            for check in trial.inside(source, folder, Trained(copy.deepcopy(self.model), self.encoder, source.adapter)):
                found.append(check)  # noqa: PERF402  (those made before it broke are kept)
        except LabError as error:
            found.append(Check(name="loads", ok=False, words=error.problem.what))
        return found


def made(place: Path, family: str, kinds: tuple[tuple[str, str], ...], **changes: Any) -> Place:
    """Exports of a random model of a family, written as the formats write them and never run."""
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    base = gguf_models.model_folder(place / "base", family, **changes)
    adapter = gguf_models.adapter_folder(place / "run" / "artifacts" / "adapter", base)
    source = Source("run", {}, RunView(run="run"), base, adapter, Origin(name="base"))
    model: Any = PeftModel.from_pretrained(load_base(base, "fp32", torch.device("cpu")), str(adapter)).eval()
    found = {}
    for form, variant in kinds:
        folder = place / f"{form}-{variant}"
        folder.mkdir()
        formats()[form].export(replace(source, variant=variant), folder, lambda note: None)
        found[form, variant] = folder
    return Place(source, model, TextEncoder(base), found)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return made(tmp_path_factory.mktemp("llama"), "llama", KINDS, **WIDE)


def red(found: list[Check]) -> set[str]:
    return {check.name for check in found if not check.ok}


@pytest.mark.parametrize("name", KINDS, ids="-".join)
def test_a_healthy_file_is_what_was_trained(llama: Place, name: tuple[str, str]) -> None:
    found = llama.inside(name, llama.made[name])
    assert not red(found), [check.words for check in found]
    assert {check.name for check in found} >= {"settings", "weights"}


def some(kinds: tuple[tuple[str, str], ...]) -> list[Any]:
    """All of them at night; by day one of the types of GGUF, and one of two forms of the same weights."""
    by_night = {*WHOLE, ("pt", "")} - {("gguf", "q4_k_m")}
    return [pytest.param(name, marks=pytest.mark.nightly if name in by_night else ()) for name in kinds]


def faults_of(name: tuple[str, str], folder: Path) -> dict[str, Callable[[], object]]:
    """All that can be planted in a kind of export."""
    match name[0]:
        case "gguf":
            return planted.of_gguf(folder)
        case "gguf_adapter":
            return planted.of_gguf_adapter(folder)
        case "adapter":
            return planted.of_adapter(folder)
        case "pt":
            return planted.of_folder(folder, planted.pt)
        case _:
            return planted.of_folder(folder, planted.safetensors)


@pytest.mark.parametrize("name", some(KINDS), ids="-".join)
def test_every_fault_planted_in_a_file_is_seen(llama: Place, name: tuple[str, str], tmp_path: Path) -> None:
    missed = []
    faults = faults_of(name, tmp_path / "export")
    for fault, plant in faults.items():
        shutil.copytree(llama.made[name], tmp_path / "export")
        plant()
        if not red(llama.inside(name, tmp_path / "export")):
            missed.append(fault)
        shutil.rmtree(tmp_path / "export")
    assert not missed, f"{len(missed)} of {len(faults)} were not seen"


@pytest.mark.parametrize("name", some((*KINDS[:5], ("merged", ""))), ids="-".join)
def test_another_strength_of_the_adapter_is_seen_in_every_type(llama: Place, name: tuple[str, str], tmp_path: Path) -> None:
    missed = []
    for number, (fault, (share, only)) in enumerate(planted.ADAPTERS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        other = replace(llama.source, variant=name[1], adapter=planted.weaker(llama.source.adapter, tmp_path / f"a{number}", share, only))
        formats()[name[0]].export(other, folder, lambda note: None)
        found = llama.inside(name, folder)
        weights = next(check for check in found if check.name == "weights")
        if weights.ok:
            missed.append(fault)
        if not only:
            assert weights.numbers["adapter_in_file"] == pytest.approx(share, abs=0.05)
    assert not missed
