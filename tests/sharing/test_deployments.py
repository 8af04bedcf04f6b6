"""Deployments: an id that follows from what has a say in an answer, names that move, and a run that may be deleted."""

from __future__ import annotations

import json
import shutil

import pytest

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.events import Ended, EventLog, Started
from loralab.core.jobs import ExportJob
from loralab.sharing import deployment as frozen
from loralab.sharing import links as book
from tests.support.shared_runs import RUN, planted


def opened(home, token: str) -> book.Link:
    found = book.opened_by(home, token)
    assert found is not None
    return found


def test_the_same_run_is_the_same_deployment_and_other_weights_are_another(home, lab):
    planted(home)
    first, again = lab.deploy(RUN), lab.deploy(RUN)
    assert first == again
    assert frozen.ID.fullmatch(first.id)
    weights = home / "runs" / RUN / "artifacts" / "adapter" / "adapter_model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    other = lab.deploy(RUN)
    assert other.id != first.id
    assert {part for part in first.parts if first.parts[part] != other.parts[part]} == {"adapter"}
    assert [one.id for one in lab.deployments()] == [other.id, first.id]


def test_a_base_that_changed_is_refused(home, lab):
    base = planted(home)
    config = base / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"rms_norm_eps": 0.5}))
    with pytest.raises(UserError, match="changed since"):
        lab.deploy(RUN)
    assert lab.deployments() == ()


def test_it_outlives_its_run_and_holds_no_path_of_this_computer(home, lab):
    planted(home)
    found = lab.deploy(RUN, "My Poet")
    lab.delete(RUN)
    shutil.rmtree(home / "trash", ignore_errors=True)
    assert lab.deployment("my-poet").id == found.id
    folder = frozen.folder_of(home, found.id)
    shared = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("job.json", "deployment.json")]
    assert (frozen.adapter_of(home, found.id) / "adapter_model.safetensors") in shared
    for path in shared:
        assert str(home).encode() not in path.read_bytes(), path.name


def test_a_name_moves_and_an_id_does_not(home, lab):
    planted(home)
    first = lab.deploy(RUN, "poet")
    raw = bytearray((path := home / "runs" / RUN / "artifacts" / "adapter" / "adapter_model.safetensors").read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    second = lab.deploy(RUN, "poet")
    assert lab.deployment("poet").id == second.id
    assert lab.deployment(first.id).name == ""
    for wrong in ("../../etc", "", "a" * 60, "0123456789ab", "x/y"):
        with pytest.raises(UserError):
            lab.name_deployment(first.id, wrong)


def test_a_run_without_an_adapter_cannot_be_shared(home, lab):
    planted(home)
    log = home / "runs" / RUN / "events.jsonl"
    log.write_text("\n".join(line for line in log.read_text().splitlines() if '"adapter"' not in line) + "\n")
    with pytest.raises(UserError, match="made no adapter"):
        lab.deploy(RUN)


def test_examples_with_addresses_are_private(home, lab):
    planted(home, answer="Write to anna.berg@firma-berg.de, please.")
    assert "e-mail" in lab.deploy(RUN).private
    planted(home, name="other", answer="It is green.", strength=0.4)
    assert lab.deploy("other").private == ""


def test_deleting_it_closes_its_links(home, lab):
    planted(home)
    found = lab.deploy(RUN)
    link, _ = lab.link(found.id)
    lab.undeploy(found.id)
    assert lab.deployments() == ()
    assert opened(home, link.token).state == "revoked"


# ---- links -----------------------------------------------------------------------------------------------------------------


def test_a_link_is_kept_as_its_digest_only(home, lab):
    planted(home)
    link, _ = lab.link(lab.deploy(RUN).id)
    assert len(link.token) == 43
    for path in home.rglob("*"):
        if path.is_file():
            assert link.token.encode() not in path.read_bytes(), path
    assert opened(home, link.token).id == link.id
    assert (home / "sharing" / "links" / f"{link.id}.json").stat().st_mode & 0o077 == 0


def test_links_end_by_time_by_uses_and_by_hand(home, lab):
    planted(home)
    found = lab.deploy(RUN)
    short, _ = lab.link(found.id, hours=0.0000001)
    twice, _ = lab.link(found.id, calls=2)
    open_, _ = lab.link(found.id)
    for _ in range(2):
        twice = book.used(home, twice)
    assert [opened(home, one.token).state for one in (short, twice, open_)] == ["expired", "used_up", "open"]
    assert lab.revoke(open_.token).state == "revoked"
    assert opened(home, open_.token).state == "revoked"
    for wrong in ("", "x", "../../deployments", "a" * 5000, "é" * 40):
        assert book.opened_by(home, wrong) is None


def test_a_link_is_only_for_what_the_model_can(home, lab):
    planted(home)
    found = lab.deploy(RUN)
    for scope, hours in (("classify", 24), ("everything", 24), ("chat", 0), ("chat", float("nan")), ("chat", 1e9)):
        with pytest.raises(UserError):
            lab.link(found.id, scope, hours)


# ---- what answers instead of PyTorch ---------------------------------------------------------------------------------------


def exported(home, form: str, **more) -> None:
    """An export as its worker leaves it."""
    folder = home / "exports" / RUN / form
    folder.mkdir(parents=True)
    (folder / ("model.gguf" if form == "gguf" else "model.onnx")).write_bytes(b"GGUF" + form.encode())
    job = ExportJob(run=f"made-{form}", of=RUN, format=form)
    paths.write_atomic(home / "runs" / job.run / "job.json", job.model_dump_json())
    log = EventLog(home / "runs" / job.run / "events.jsonl")
    log(Started(pid=1))
    log(Ended(outcome="finished", result={"folder": str(folder), "path": str(folder), **more}))


def test_an_export_that_answers_is_a_deployment_of_its_own(home, lab):
    planted(home)
    plain = lab.deploy(RUN)
    with pytest.raises(UserError, match="not made ready as gguf"):
        lab.deploy(RUN, format="gguf")
    exported(home, "gguf")
    exported(home, "onnx", parity="differs")
    found = lab.deploy(RUN, format="gguf")
    assert found.engine == "gguf"
    assert found.id != plain.id
    assert {part for part in found.parts if found.parts[part] != plain.parts.get(part)} == {"engine"}
    shutil.rmtree(home / "exports")
    assert frozen.engine_of(home, found).read_bytes() == b"GGUFgguf", "it outlives the export"
    with pytest.raises(UserError, match="not made ready as onnx"):
        lab.deploy(RUN, format="onnx")  # it does not answer as what was trained
