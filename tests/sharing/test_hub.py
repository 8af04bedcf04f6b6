"""Publishing to an imitation of the Hub: private and whole, or refused in words; and the token, which nobody is told."""

from __future__ import annotations

import hashlib
import json
import logging
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from pydantic import ValidationError

from loralab.core.errors import LabError, UserError
from loralab.core.events import Ended, EventLog, Noted, Saved, Started, read
from loralab.core.jobs import ExportJob, PublishJob
from loralab.core.masking import Masking, masked
from loralab.core.parity import Parity
from loralab.core.records import Artifact
from loralab.lab import Lab
from loralab.reports.card import Origin
from loralab.runs.run_folder import RunFolder
from loralab.sharing.hub import account, publish_job, sign_in
from loralab.sharing.hub.card import Front, licence_of
from loralab.sharing.hub.review import NO_PUBLIC
from tests.conftest import ended
from tests.support.writing_hub import READER, TOKEN, writing_hub

# the Hub's library sends files in a way that its own network library calls old
pytestmark = [pytest.mark.worker, pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")]
PROVEN = Parity(outcome="proven", words="It answers the same.")


@pytest.fixture
def hub(monkeypatch):
    """The imitation, with the hub library of this process and of the workers pointed at it; the library's waits are short."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    with writing_hub() as found:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None, time=time.time, monotonic=time.monotonic))
        yield found


@pytest.fixture
def here(learned, home):
    """A workspace with the run and an export of it as its worker leaves it, and somebody who is signed in."""
    learned.copy(home)
    lab = Lab(home)
    exported(home, learned.run)
    lab.hub_account.file.parent.mkdir()
    lab.hub_account.file.write_text(json.dumps({"token": TOKEN}), "utf-8")
    return SimpleNamespace(lab=lab, home=home, run=learned.run, export=f"{learned.run}-away")


def exported(home: Path, run: str, parity: Parity = PROVEN, **more: bytes) -> Path:
    """The adapter taken away, with what lies beside it."""
    folder, adapter = home / "exports" / run / "adapter", home / "runs" / run / "artifacts" / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: (adapter / name).read_bytes() for name in ("adapter_model.safetensors", "tokenizer.json")}
    files |= {"adapter_config.json": json.dumps({"base_model_name_or_path": "base"}).encode(), "history.json": b'{"samples": "private"}'}
    files |= {"README.md": Lab(home).card(run).encode(), "parity.json": parity.model_dump_json().encode(), **more}
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    sums = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items() if name not in ("README.md", "parity.json")}
    work = home / "runs" / f"{run}-away"
    work.mkdir(exist_ok=True)
    job = Lab(home).job(run)
    asked = ExportJob(run=work.name, of=run, model=job.model, adapter=str(adapter))
    (work / "job.json").write_text(asked.model_dump_json(), "utf-8")
    (work / "events.jsonl").unlink(missing_ok=True)
    result = {"of": run, "format": "adapter", "variant": "", "path": str(folder), "folder": str(folder), "sums": sums}
    log = EventLog(work / "events.jsonl")
    for event in (Started(pid=1), Saved(artifact=Artifact(kind="export", path=str(folder))), Ended(outcome="finished", result=result)):
        log(event)
    return folder


def publish(here, repo="colours", stop=False, **asked):
    """The job as a worker does it, in this process: its result, or what it raised."""
    place = here.home / "runs" / f"publish-{time.time_ns()}"
    place.mkdir(parents=True)
    job = PublishJob(run=place.name, of=here.run, export=here.export, repo=repo, **asked)
    (place / "job.json").write_text(job.model_dump_json(), "utf-8")
    folder = RunFolder(place, job, EventLog(place / "events.jsonl"))
    if stop:
        (place / "stop").touch()
    here.folder = place
    return publish_job.run(folder)


# ---- it works --------------------------------------------------------------------------------------------------------------


def test_a_worker_publishes_it_for_ones_own_eyes_whole_and_with_a_version(here, hub):
    work = here.lab.publish(here.export, "colours")
    told = ended(here.home, work).ending
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_model": "/home/ann/models/base", "base_model_relation": "adapter"},
        {"license": "do-as-you-like"},
        {"license": "other"},
        {"language": ["English"]},
        {"pipeline_tag": "mind-reading"},
        {"library_name": "loralab"},
        {"base_model": "owner/name"},
        {"made_up": 1},
    ],
)
def test_a_head_the_hub_would_not_take_is_found_here(wrong):
    good = {"library_name": "peft", "pipeline_tag": "text-generation", "tags": ["lora"], "license": "mit", "language": ["en"]}
    assert Front.model_validate(good).text().startswith("---\n")
    with pytest.raises(ValidationError):
        Front.model_validate(good | wrong)


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("Apache-2.0", ("apache-2.0", "")),
        ("Llama 3.2 Community", ("llama3.2", "")),
        ("Gemma", ("gemma", "")),
        ("Our Own Terms", ("other", "our-own-terms")),
        ("", ("", "")),
    ],
)
def test_the_licence_is_the_bases(licence, expected):
    assert licence_of(Origin(name="b", licence=licence), "") == expected


def test_terms_of_the_examples_that_bind_are_said(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    assert licence_of(Origin(name="b", licence="MIT"), str(tmp_path))[0] == "other"


# ---- again, and in public ----------------------------------------------------------------------------------------------------


def test_the_same_again_changes_nothing_and_something_new_gets_the_next_version(here, hub):
    publish(here)
    hub.put.clear()
    assert publish(here)["version"] == "v1"
    assert hub.put == []  # what is there is not sent again
    exported(here.home, here.run, **{"chat_template.jinja": b"{{ messages }}"})
    assert publish(here)["version"] == "v2"
    assert len(hub.put) == 0
    assert "chat_template.jinja" in hub.repos["ann/colours"].files


def test_making_it_public_shows_first_what_becomes_visible_and_only_that_becomes_so(here, hub):
    exported(here.home, here.run, **{"README.md": b"# It\n\nMail ann@school.org or call 555-123-4567.\n"})
    publish(here)
    seen = here.lab.visible(here.run, "ann/colours")
    assert {name for name, _ in seen.files} == set(hub.repos["ann/colours"].files)
    assert {one.code for one in seen.found} == {"emails", "phone_numbers"}
    assert "ann@school.org" not in " ".join(one.words for one in seen.found)
    assert hub.repos["ann/colours"].private
    exported(here.home, here.run, **{"README.md": b"# It\n\nSomething else.\n"})
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
    from tests.support.writing_hub import Repo

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
    exported(here.home, here.run, **{"README.md": f"# It lay in {here.home}/ann/secret\n".encode()})
    with pytest.raises(UserError, match="A folder of this computer"):
        here.lab.publishing(here.export)
    exported(here.home, here.run, **{"README.md": f"# {TOKEN}\n".encode()})
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
    exported(here.home, here.run, **{"second.safetensors": b"s" * 200_000})
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


# ---- signing in --------------------------------------------------------------------------------------------------------------


def test_a_code_that_is_typed_signs_in_and_one_that_is_refused_does_not(home, hub):
    lab = Lab(home)
    hub.codes = ["authorization_pending", "slow_down", TOKEN]
    code = sign_in.begin()
    assert (code.shown, code.link) == ("ABCD-1234", f"{hub.url}/device")
    given, code = sign_in.ask(code)
    assert given is None
    given, slower = sign_in.ask(code)
    assert given is None
    assert slower.every == code.every + 5
    given, _ = sign_in.ask(slower)
    assert given is not None
    assert lab.hub_account.keep_signed_in(given).name == "ann"
    assert lab.hub_account.token() == TOKEN
    for said, words in (("access_denied", "refused"), ("expired_token", "ended")):
        hub.codes = [said]
        with pytest.raises(UserError, match=words):
            sign_in.ask(code)
    with pytest.raises(UserError, match="ended"):
        sign_in.ask(code.model_copy(update={"ends": time.monotonic() - 1}))
    hub.trouble["oauth"] = 503
    assert sign_in.ask(code)[0] is None  # a moment of trouble: the code still holds


def test_a_sign_in_that_ends_soon_is_renewed(home, hub):
    lab = Lab(home)
    lab.hub_account.keep(TOKEN, renewal="again", seconds=30)
    other = "hf_" + "n1E2w3T4o5" * 3 + "wxyz"
    hub.tokens[other], hub.codes = hub.tokens[TOKEN], [other]
    assert lab.hub_account.token() == other


def test_a_token_that_is_none_unknown_or_for_reading_is_not_kept(home, hub):
    lab = Lab(home)
    for token, words in (("sk-1234", "no token"), ("hf_" + "x" * 34, "does not know"), (READER, "may read")):
        with pytest.raises(UserError, match=words):
            lab.hub_account.keep(token)
    assert lab.hub_account.kept == ""
    with pytest.raises(UserError, match="Nobody is signed in"):
        lab.hub_account.token()


def test_a_keyring_is_used_where_there_is_one_and_a_broken_one_is_not(home, hub, monkeypatch):
    class Ring:
        def __init__(self):
            self.held = {}

        def set_password(self, service, name, text):
            self.held[name] = text

        def get_password(self, service, name):
            return self.held.get(name)

        def delete_password(self, service, name):
            del self.held[name]

    class Broken(Ring):
        def set_password(self, service, name, text):
            raise RuntimeError("locked")

    ring, lab = Ring(), Lab(home)
    monkeypatch.setattr(account, "_keyring", lambda: ring)
    lab.hub_account.keep(TOKEN)
    assert (lab.hub_account.kept, lab.hub_account.file.exists(), lab.hub_account.token()) == ("keyring", False, TOKEN)
    lab.hub_account.forget()
    assert (lab.hub_account.kept, ring.held) == ("", {})
    monkeypatch.setattr(account, "_keyring", Broken)
    lab.hub_account.keep(TOKEN)
    assert lab.hub_account.kept == "file"
