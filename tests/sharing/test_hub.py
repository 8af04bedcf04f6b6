"""Publishing to an imitation of the Hub: private and whole, or refused in words; and the token, which nobody is told."""

from __future__ import annotations

import hashlib
import logging
import stat

import pytest
import yaml

from loralab.core.errors import LabError, UserError
from loralab.core.events import Ended, EventLog, Noted, read
from loralab.core.masking import Masking, masked
from loralab.core.parity import Parity
from loralab.sharing.hub.review import NO_PUBLIC
from tests.conftest import ending
from tests.support.publishing import exported, here, hub, publish
from tests.support.writing_hub import TOKEN, Repo

__all__ = ["here", "hub"]
# the Hub's library sends files in a way that its own network library calls old
pytestmark = [pytest.mark.worker, pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")]


# ---- it works --------------------------------------------------------------------------------------------------------------


def test_a_worker_publishes_it_for_ones_own_eyes_whole_and_with_a_version(here, hub):
    work = here.lab.publish(here.export, "colours")
    told = ending(here.home, work)
    assert told.outcome == "finished", told
    repo = hub.repos["ann/colours"]
    assert (repo.private, told.result["private"], told.result["version"], list(repo.tags)) == (True, True, "v1", ["v1"])
    assert set(repo.files) == {
        "README.md",
        "SHA256SUMS",
        "adapter_config.json",
        "adapter_model.safetensors",
        "parity.json",
        "tokenizer.json",
    }
    weights = here.home / "exports" / here.run / "adapter" / "adapter_model.safetensors"
    assert repo.files["adapter_model.safetensors"] == weights.read_bytes()
    assert here.lab.published(here.run) == "ann/colours"
    phases = [event.phase for event in read(here.home / "runs" / work / "events.jsonl")[0] if isinstance(event, Noted)]
    assert "sending" in phases
    assert [path.name for path in here.home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()] == ["hub.json"]


def test_the_token_stands_nowhere_but_where_it_is_kept(here, hub):
    here.lab.hub_account.forget()
    assert here.lab.hub_account.keep(TOKEN).name == "ann"
    assert stat.S_IMODE(here.lab.hub_account.file.stat().st_mode) == 0o600
    hub.trouble["commit"] = 500
    with pytest.raises(LabError):
        publish(here)
    hub.trouble.clear()
    publish(here)
    holding = [path for path in here.home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert holding == [here.lab.hub_account.file]
    assert all(TOKEN.encode() not in raw for repo in hub.repos.values() for raw in repo.files.values())


def test_what_is_logged_never_shows_a_token_and_changes_nothing_else(tmp_path):
    for token in (TOKEN, "hf_oauth_eyJhbGciOi.JIUzI1NiIs-InR5cCI6_kpX"):
        assert token not in masked(f"Authorization: Bearer {token}, again {token}.")
    for harmless in ("hf_hub_download", "models/hf_model-00001-of-00002.safetensors", "a text"):
        assert masked(harmless) == harmless
    log = EventLog(tmp_path / "events.jsonl")
    log(Noted(text=f"refused: {TOKEN}"))
    log(Ended(outcome="failed", what=f"Bearer {TOKEN}"))
    assert TOKEN not in (tmp_path / "events.jsonl").read_text()
    assert len(read(tmp_path / "events.jsonl")[0]) == 2
    record = logging.LogRecord("x", logging.ERROR, "", 0, "got %s", (TOKEN,), None)
    record.exc_info = (ValueError, ValueError(TOKEN), None)
    Masking().filter(record)
    assert TOKEN not in logging.Formatter().format(record)


def test_the_card_names_no_folder_says_how_sure_it_is_and_keeps_the_examples_here(here, hub):
    publish(here)
    text = hub.repos["ann/colours"].files["README.md"].decode()
    front = yaml.safe_load(text.split("---")[1])
    assert str(here.home) not in text
    assert "base_model" not in front  # it is a folder of this computer, told in words
    assert front["library_name"] == "peft"
    assert front["pipeline_tag"] == "text-generation"
    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert all("n = " in metric["name"] for metric in metrics)
    assert any("95 % interval" in metric["name"] for metric in metrics)
    assert "## Before and after" not in text
    assert "## How to check this yourself" in text
    publish(here, samples=True)
    assert "## Before and after" in hub.repos["ann/colours"].files["README.md"].decode()


# ---- again, and in public ----------------------------------------------------------------------------------------------------


def test_the_same_again_changes_nothing_and_something_new_gets_the_next_version(here, hub):
    publish(here)
    hub.put.clear()
    assert publish(here)["version"] == "v1"
    assert hub.put == []  # what is there is not sent again
    exported(here.home, here.run, more={"chat_template.jinja": b"{{ messages }}"})
    assert publish(here)["version"] == "v2"
    assert len(hub.put) == 0
    assert "chat_template.jinja" in hub.repos["ann/colours"].files


def test_making_it_public_shows_first_what_becomes_visible_and_only_that_becomes_so(here, hub):
    exported(here.home, here.run, more={"README.md": b"# It\n\nMail ann@school.org or call 555-123-4567.\n"})
    publish(here)
    seen = here.lab.visible(here.run, "ann/colours")
    assert {name for name, _ in seen.files} == set(hub.repos["ann/colours"].files)
    assert {one.code for one in seen.found} == {"emails", "phone_numbers"}
    assert "ann@school.org" not in " ".join(one.words for one in seen.found)
    assert hub.repos["ann/colours"].private
    exported(here.home, here.run, more={"README.md": b"# It\n\nSomething else.\n"})
    publish(here)
    with pytest.raises(UserError, match="changed since you looked"):
        here.lab.make_public(here.run, seen)
    assert hub.repos["ann/colours"].private
    here.lab.make_public(here.run, here.lab.visible(here.run, "ann/colours"))
    assert not hub.repos["ann/colours"].private
    with pytest.raises(UserError, match="everybody would see"):
        publish(here)
    assert publish(here, seen=True)["private"] is False
    here.lab.make_private("ann/colours")
    assert hub.repos["ann/colours"].private


def test_medical_pictures_are_for_ones_own_eyes_only(here, hub, monkeypatch):
    adapter = here.home / "runs" / here.run / "artifacts" / "adapter"
    (adapter / "pictures.json").write_text('{"medical": true}')
    publish(here)
    for ask in (lambda: here.lab.visible(here.run, "ann/colours"), lambda: here.lab.make_public(here.run, None)):
        with pytest.raises(UserError, match=NO_PUBLIC[:40]):
            ask()
    hub.repos["ann/colours"].private = False
    with pytest.raises(UserError) as refused:
        publish(here, seen=True)
    assert refused.value.problem.code == "clinical"


def test_a_repository_that_holds_something_else_is_left_alone(here, hub):
    hub.repos["ann/colours"] = Repo(files={"README.md": b"mine", "novel.txt": b"words"})
    with pytest.raises(UserError, match="something that was not published from LoRALab"):
        publish(here)
    assert hub.repos["ann/colours"].files == {"README.md": b"mine", "novel.txt": b"words"}


# ---- what may not go ---------------------------------------------------------------------------------------------------------


def test_a_pickle_a_changed_file_a_wrong_export_and_a_place_do_not_go(here, hub, monkeypatch):
    folder = exported(here.home, here.run)
    (folder / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(UserError, match="pickle"):
        here.lab.publishing(here.export)
    (folder / "pytorch_model.bin").unlink()
    assert "history.json" in here.lab.publishing(here.export).left
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="was changed since"):
        here.lab.publishing(here.export)
    exported(here.home, here.run, Parity(outcome="differs"))
    with pytest.raises(UserError, match="does not answer as what was trained"):
        here.lab.publishing(here.export)
    monkeypatch.setenv("HOME", str(here.home / "ann"))
    exported(here.home, here.run, more={"README.md": f"# It lay in {here.home}/ann/secret\n".encode()})
    with pytest.raises(UserError, match="A folder of this computer"):
        here.lab.publishing(here.export)
    exported(here.home, here.run, more={"README.md": f"# {TOKEN}\n".encode()})
    with pytest.raises(UserError, match="key of the Hugging Face Hub"):
        here.lab.publishing(here.export)
    assert hub.repos == {}


# ---- refusals ----------------------------------------------------------------------------------------------------------------

TROUBLES = [
    ("whoami", 401, "not_signed_in"),
    ("create", 403, "not_allowed"),
    ("create", 402, "no_room"),
    ("preupload", 403, "not_allowed"),
    ("batch", 413, "too_large"),
    ("put", 413, "too_large"),
    ("put", 503, "hub_busy"),
    ("put", "cut", "no_network"),
    ("commit", 409, "conflict"),
    ("commit", 412, "conflict"),
    ("commit", 422, "not_taken"),
    ("commit", 429, "hub_busy"),
    ("commit", 500, "hub_busy"),
    ("commit", "cut", "no_network"),
    ("tag", 500, "hub_busy"),
]


@pytest.mark.parametrize(("step", "how", "code"), TROUBLES)
def test_each_refusal_says_what_to_do_and_nothing_half_published_is_called_done(here, hub, step, how, code):
    hub.trouble[step] = how
    with pytest.raises(LabError) as refused:
        publish(here)
    problem = refused.value.problem
    assert (problem.code, bool(problem.todo)) == (code, True)
    assert "http" not in problem.what.lower()
    if "ann/colours" in hub.repos and step != "tag":
        assert hub.repos["ann/colours"].files == {}  # one commit brings all, or none
    assert here.lab.published(here.run) == ""
    hub.trouble.clear()
    assert publish(here)["version"] == "v1"


def test_what_was_sent_before_a_cut_is_not_sent_again(here, hub):
    exported(here.home, here.run, more={"second.safetensors": b"s" * 200_000})
    hub.trouble |= {"put": "cut"}
    first = hashlib.sha256((here.home / "exports" / here.run / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()
    hub.objects[first] = b""  # pretend that this one had arrived
    hub.objects[first] = (here.home / "exports" / here.run / "adapter" / "adapter_model.safetensors").read_bytes()
    with pytest.raises(LabError, match="goes on from there"):
        publish(here)
    hub.trouble.clear()
    publish(here)
    assert hub.put == [hashlib.sha256(b"s" * 200_000).hexdigest()]


def test_a_hub_that_lists_another_size_is_not_believed_to_be_done(here, hub):
    hub.lies = True
    with pytest.raises(UserError, match="so this is not done"):
        publish(here)


def test_a_stop_leaves_the_repository_as_it_was(here, hub):
    told = publish(here, stop=True)
    assert told["outcome"] == "stopped"
    assert all(repo.files == {} for repo in hub.repos.values())


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b/c", "-x", "x" * 120])
def test_a_name_the_hub_does_not_take_is_said_before_anything_is_made(here, hub, name):
    with pytest.raises(UserError, match="no name that the Hub takes"):
        publish(here, repo=name)
    assert hub.repos == {}
