"""The parity gate: healthy exports are green, and a fault put into a finished export is caught, each with its probable reason."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralab.core import parts, paths
from loralab.core.events import Compared, EventLog, Incident, RunView, Started, read
from loralab.core.jobs import ExportJob, TrainJob
from loralab.core.parity import Parity
from loralab.core.parity import read as read_parity
from loralab.exports import Source, formats, job
from loralab.exports.gguf import families
from loralab.exports.parity import gate as _gate
from loralab.exports.parity.checks import gate, untried
from loralab.exports.parity.reference import wanted_of
from loralab.exports.parity.trained import Trained
from loralab.models.tokenize import TextEncoder
from loralab.reports.card import Origin
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import load_base
from loralab.tasks import parse_plan
from tests.support import damage, gguf_models, tiny

pytestmark = pytest.mark.worker

Place = tuple[Path, Path, Path, Path]  # home, base, adapter, data


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished run on a tiny Llama, with data to hold out."""
    home = tmp_path_factory.mktemp("home")
    base = damage.model_folder(home / "base")
    adapter = gguf_models.adapter_folder(home / "runs" / "tiny-run" / "artifacts" / "adapter", base)
    data = tiny.examples_file(home / "colours.jsonl", 40)
    plan = parse_plan({"dataset": str(data), "base_model": str(base), "rank": 4, "title": "Colours"})
    asked = TrainJob(run="tiny-run", plan=plan.model_dump(), model=str(base))
    paths.write_atomic(home / "runs" / "tiny-run" / "job.json", asked.model_dump_json())
    log = EventLog(home / "runs" / "tiny-run" / "events.jsonl")
    log(Started(pid=1))
    return home, base, adapter, data


def export(place: Place, form: str, variant: str = "") -> tuple[dict[str, Any], list[Any]]:
    """Result and events of a whole export."""
    home, base, adapter, _ = place
    folder = home / "runs" / f"export-{form}-{variant}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    options = {"of": "tiny-run", "format": form, "variant": variant, "model": str(base), "adapter": str(adapter)}
    log = EventLog(folder / "events.jsonl")
    result = job.run(RunFolder(folder, ExportJob.model_validate({"run": folder.name, **options}), log))
    return result, read(folder / "events.jsonl")[0]


def source_of(place: Place, variant: str = "") -> Source:
    _, base, adapter, data = place
    return Source("tiny-run", {"dataset": str(data)}, RunView(run="tiny-run"), base, adapter, Origin(name=base.name), variant)


def test_a_proven_export_carries_its_numbers(place: Place) -> None:
    result, events = export(place, "gguf", "f16")
    folder = Path(result["folder"])
    assert (result["parity"], folder.name) == ("proven", "gguf-f16")
    assert result["heldout_rows"] == 6
    assert abs(result["heldout_loss"] - result["heldout_loss_trained"]) < 0.01
    assert result["max_logit_difference"] < 0.2
    written = Parity.model_validate_json((folder / "parity.json").read_text())
    assert written.proven
    inside = ["adapter", "settings", "tokenizer", "weights"]
    assert [check.name for check in written.checks] == [*inside, "loads", "texts", "template", "stops", "logits", "answers", "loss"]
    assert result["proof_seconds"] > 0
    card = (folder / "README.md").read_text()
    assert "## Compared with what was trained" in card
    assert "| weights | same | all 21 tensors are the trained ones" in card
    assert "| loss | told |" in card
    assert "parity.json" in (folder / "SHA256SUMS").read_text()
    assert any(isinstance(event, Compared) for event in events)


def test_an_export_that_differs_is_kept_under_another_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(families.FAMILIES, "llama", replace(families.FAMILIES["llama"], permuted=False))
        result, events = export(place, "gguf", "f16")  # the table of families is read by both sides: only the program can tell
    folder = Path(result["folder"])
    assert (result["parity"], folder.name) == ("differs", "gguf-f16-unproven")
    assert next(folder.glob("*.gguf")).is_file()
    told = next(event for event in events if isinstance(event, Incident))
    assert told.code == "export_differs"
    assert "off by up to" in told.text
    assert "Do not use this file" in told.text
    assert "**differs**" in (folder / "README.md").read_text()
    result, _ = export(place, "gguf", "f16")
    assert result["parity"] == "proven"
    assert not folder.exists(), "what was suspected is gone once it is proven"


def test_where_the_runtime_is_missing_nothing_is_claimed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_is_here", lambda part: False)
    result, _ = export(place, "gguf", "bf16")
    assert (result["parity"], result["checked_with"]) == ("untried", "")
    assert "not proven: llama.cpp is not installed" in result["parity_words"].lower()
    told = json.loads((Path(result["folder"]) / "parity.json").read_text())
    assert (told["part"], "Add the part “llama.cpp”" in told["todo"]) == ("llama_cpp", True)


# ---- every format is green, and every fault is caught ----------------------------------------------------------------------

FORMATS = (("gguf", "f16"), ("gguf", "q8_0"), ("gguf_adapter", ""), ("adapter", ""), ("merged", ""))


@pytest.fixture(scope="module")
def trial(place: Place) -> dict[str, Any]:
    """What was trained, asked once, and healthy exports of every format, written once."""
    home, base, *_ = place
    source = source_of(place)
    encoder = _gate.encoder_of(source, Path(shutil.copytree(base, home / "papers")))
    model = _gate.trained(source)
    wanted = _gate.wanted_of(model, encoder, _gate.heldout(source, encoder, model.config.vocab_size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_gate, "_compared", lambda *_: untried("Later"))
        done = {name: Path(export(place, *name)[0]["folder"]) for name in FORMATS}
    return {"encoder": encoder, "model": model, "wanted": replace(wanted, rows=wanted.rows[:2]), "folders": done}


def tried(place: Place, trial: dict[str, Any], name: tuple[str, str], folder: Path, room: Path) -> Parity:
    """What the gate finds in a folder."""
    source, found = source_of(place, name[1]), formats()[name[0]].trial
    assert found is not None
    room.mkdir()
    kept = Trained(copy.deepcopy(trial["model"]), trial["encoder"], source.adapter)
    wanted, inside = _gate.looked_into(found, source, folder, kept, trial["wanted"])
    return gate(lambda context: found.open(source, folder, room, context), trial["encoder"], wanted, found.kind(source), inside)


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("name", FORMATS, ids="-".join)
def test_a_healthy_export_is_green(place: Place, trial: dict[str, Any], name: tuple[str, str], tmp_path: Path) -> None:
    parity = tried(place, trial, name, trial["folders"][name], tmp_path / "room")
    assert parity.proven, parity.words


FAULTS: tuple[tuple[tuple[str, str], Callable[[Path, Place], None], set[str], str], ...] = (
    *((form, fault, names, why) for form in FORMATS[:2] for fault, names, why in damage.WHOLE_GGUF),
    *((FORMATS[2], fault, names, why) for fault, names, why in damage.GGUF_ADAPTER),
    *((FORMATS[3], fault, names, why) for fault, names, why in damage.ADAPTER),
    *((FORMATS[4], fault, names, why) for fault, names, why in damage.MERGED),
)


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize(
    ("name", "fault", "names", "why"),
    [pytest.param(*fault, marks=pytest.mark.nightly if fault[0] == FORMATS[1] else ()) for fault in FAULTS],
    ids=[f"{'-'.join(n)}-{f.__name__}" for n, f, *_ in FAULTS],
)
def test_a_fault_put_into_a_finished_export_is_caught(
    place: Place, trial: dict[str, Any], name: tuple[str, str], fault: Any, names: set[str], why: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trial["folders"][name], tmp_path / "export"))
    fault(folder, place)
    parity = tried(place, trial, name, folder, tmp_path / "room")
    assert parity.outcome == "differs"
    assert names <= {check.name for check in parity.checks if not check.ok and not check.told_only}, parity.words
    assert why in parity.why


def test_what_lies_beside_an_export_is_read_as_earlier_versions_wrote_it_too(tmp_path: Path) -> None:
    assert read_parity(tmp_path) is None
    check = {"name": "logits", "ok": True, "words": "close", "numbers": {"divergence": 0.1}, "told_only": False}
    old: dict[str, Any] = {"outcome": "proven", "words": "Same.", "runtime": "llama.cpp", "kind": "q4_k_m"}
    old["checks"] = [check | {"bound": {"largest": None, "divergence": 0.6}}]  # an infinite bound
    (tmp_path / "parity.json").write_text(json.dumps(old))
    found = read_parity(tmp_path)
    assert found is not None
    assert found.proven
    assert found.checks[0].bound_words == "divergence 0.6"
    (tmp_path / "parity.json").write_text('{"outcome": "maybe"}')
    assert read_parity(tmp_path) is None


def test_an_adapter_that_changes_nothing_is_red_before_any_program_is_asked(place: Place) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model

    _, base, adapter, _ = place
    encoder, fresh = TextEncoder(base), LoraConfig(r=4, target_modules=["q_proj"])  # its second matrix is nought until something is learned
    learned = PeftModel.from_pretrained(load_base(base, "fp32"), str(adapter)).eval()
    models = {"nothing": get_peft_model(load_base(base, "fp32"), fresh).eval(), "learned": learned}
    found = {name: gate(None, encoder, wanted_of(model, encoder), "f16", (), untried("Nobody looked.")) for name, model in models.items()}
    assert (found["nothing"].outcome, found["learned"].outcome) == ("differs", "untried")
    assert "changes nothing at all" in found["nothing"].words
    assert found["nothing"].checks[0].numbers["adapter_effect"] == 0
