"""Adapters from elsewhere that are refused: another base, damage of every kind, archives that are none; nothing of them stays behind."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from loralab.core.errors import LabError, UserError
from loralab.lab import Lab
from tests.support.adapters import CONFIG, WEIGHTS, edit, left, rewrite

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("one_process")]


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("shallow", "it changes 2 layers, and this base has 1"),
        ("wide", "is 128 wide and gives 64, here it is 128 wide and gives 128"),
        ("gpt2", "model.layers.0.mlp.down_proj is not there"),
    ],
)
def test_another_base_is_told_by_what_does_not_match(lab: Lab, bases: dict[str, Path], plain: Path, base: str, said: str) -> None:
    with pytest.raises(UserError) as told:
        lab.import_adapter(plain, base=str(bases[base]))
    assert told.value.problem.code == "other_base"
    assert f"does not fit the base model “{base}”" in told.value.problem.what
    assert said in told.value.problem.what
    assert left(lab) == []


def cut(folder: Path) -> None:
    raw = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(raw[: len(raw) // 2])


def bomb(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Path("would-run")))


def endless(folder: Path) -> None:
    rewrite(folder, lambda name, tensor: tensor * float("inf") if "q_proj.lora_B" in name else tensor)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no settings": (lambda f: (f / CONFIG).unlink(), "adapter_config.json is missing"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "adapter_model.safetensors is missing"),
    "broken settings": (lambda f: (f / CONFIG).write_text("{"), "is damaged"),
    "cut": (cut, "cut short or damaged"),
    "pickle": (bomb, "holds more than weights"),
    "not finite": (endless, "not finite"),
    "half a pair": (lambda f: rewrite(f, lambda n, t: None if "layers.1.self_attn.q_proj.lora_B" in n else t), "half of its part"),
    "a lost layer": (lambda f: rewrite(f, lambda n, t: None if "layers.1.self_attn" in n else t), "4 of 14 parts"),
    "wrong rank": (lambda f: edit(f, r=8), "has rank 4, and its settings say 8"),
    "another kind": (lambda f: edit(f, peft_type="LOHA"), "of the kind LOHA"),
    "another task": (lambda f: edit(f, task_type="SEQ_CLS"), "another task"),
    "a moved base": (lambda f: edit(f, init_lora_weights="pissa_niter_16"), "changed the base model itself"),
    "repeated layers": (lambda f: edit(f, layer_replication=[[0, 1]]), "layer_replication"),
    "something else": (lambda f: rewrite(f, lambda n, t: t) or shutil.copyfile(f.parent / "strange", f / WEIGHTS), "something unknown"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_adapter_is_a_sentence_and_leaves_nothing(
    lab: Lab, bases: dict[str, Path], plain: Path, tmp_path: Path, case: str
) -> None:
    given = Path(shutil.copytree(plain, tmp_path / "given"))
    save_file({"unet.weight": load_file(plain / WEIGHTS).popitem()[1]}, tmp_path / "strange")
    change, said = BAD[case]
    change(given)
    with pytest.raises(UserError, match=said) as told:
        lab.import_adapter(given, base=str(bases["base"]))
    assert told.value.problem.todo
    assert left(lab) == []


def test_archives_and_folders_that_are_no_adapter_are_refused(lab: Lab, bases: dict[str, Path], plain: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    for name in ("a", "b"):
        shutil.copytree(plain, two / name)
    with pytest.raises(UserError, match="2 adapters in it: a, b"):
        lab.import_adapter(two)
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        archive.write(plain / CONFIG, f"../{CONFIG}")
        archive.write(plain / WEIGHTS, f"../{WEIGHTS}")
    with pytest.raises(UserError, match="points outside"):
        lab.import_adapter(tmp_path / "out.zip", base=str(bases["base"]))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CONFIG, (plain / CONFIG).read_text())
        archive.writestr(WEIGHTS, bytes(30 << 20))
    with pytest.raises(UserError, match="too large for what it is"):
        lab.import_adapter(tmp_path / "bomb.zip", base=str(bases["base"]))
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(UserError, match="neither an adapter nor a zip"):
        lab.import_adapter(tmp_path / "letter.txt")
    with pytest.raises(UserError, match="no file or folder"):
        lab.import_adapter(tmp_path / "gone")
    assert left(lab) == []


def test_a_full_disk_and_an_end_half_way_leave_nothing(
    lab: Lab, bases: dict[str, Path], plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from loralab.adapters import files, importer

    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(UserError, match="left"):
            lab.import_adapter(plain, base=str(bases["base"]))
    monkeypatch.setattr(importer.paths, "write_atomic", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(LabError, match="is full"):
        lab.import_adapter(plain, base=str(bases["base"]))
    assert left(lab) == []
