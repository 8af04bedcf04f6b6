"""A run kept whole: packed, opened elsewhere as the same run, and refused in words wherever its file is not what it says."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile

import pytest

from loralab.core.errors import UserError
from loralab.lab import Lab

pytestmark = pytest.mark.worker
JOB = "run/job.json"


@pytest.fixture(scope="module")
def kept(learned, tmp_path_factory):
    """The run with its examples, in one file."""
    file = tmp_path_factory.mktemp("kept") / "kept.zip"
    Lab(learned.home).keep(learned.run, file, data=True)
    return file


@pytest.fixture
def there(learned, tmp_path):
    """Another computer that has the base."""
    home = tmp_path / "elsewhere"
    shutil.copytree(learned.home / "models", home / "models")
    return Lab(home)


def rewritten(kept, target, change, *, sums=True):
    """A copy in which `change(name, raw)` gives what each file holds; None leaves it out. `sums`: the list of checksums goes along."""
    with zipfile.ZipFile(kept) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        files = {name: change(name, old.read(name)) for name in old.namelist() if name != "loralab.json"}
        said = json.loads(old.read("loralab.json"))
        files = {name: raw for name, raw in files.items() if raw is not None}
        if sums:
            said["files"] = {name: {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)} for name, raw in files.items()}
        told = change("loralab.json", json.dumps(said).encode())
        for name, raw in (files | {"loralab.json": told}).items():
            new.writestr(name, raw)
    return target


def test_elsewhere_it_is_the_same_run_with_its_verdict_curves_answers_and_examples(learned, kept, there):
    run, here = there.import_adapter(kept), Lab(learned.home).view(learned.run)
    seen = there.view(run)
    assert run == learned.run
    assert (seen.state, seen.conclusion, seen.steps, seen.evaluations, seen.samples) == (
        here.state,
        here.conclusion,
        here.steps,
        here.evaluations,
        here.samples,
    )
    assert there.judgement(run) == Lab(learned.home).judgement(learned.run)
    assert there.job(run).model == str(there.home / "models" / "base")
    assert there.profile(there.job(run).plan["dataset"], there.job(run).plan["base_model"]).n_read == 120
    assert "".join(there.ask(run, [{"role": "user", "content": "What is red?"}], max_tokens=3))
    there.chat(run).close()


def test_nothing_of_this_computers_folders_is_in_it(learned, kept, tmp_path):
    Lab(learned.home).keep(learned.run, tmp_path / "bare.zip")
    for file in (kept, tmp_path / "bare.zip"):
        with zipfile.ZipFile(file) as archive:
            assert [name for name in archive.namelist() if str(learned.home).encode() in archive.read(name)] == []
            assert any(name.startswith("data/") for name in archive.namelist()) == (file == kept)


def test_without_its_base_it_comes_in_and_says_which_model_is_missing(kept, tmp_path):
    lab = Lab(tmp_path / "bare")
    run = lab.import_adapter(kept)
    assert lab.view(run).conclusion is not None
    assert "“base” is not on this computer" in lab.view(run).notes[-1].text


def test_another_run_of_that_name_stays_and_the_same_run_is_not_taken_twice(kept, there):
    run = there.import_adapter(kept)
    with pytest.raises(UserError, match="here already"):
        there.import_adapter(kept)
    weights = there.home / "runs" / run / "artifacts" / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert there.import_adapter(kept) == f"{run}-2"
    assert there.job(f"{run}-2").run == f"{run}-2"


def swollen(name, raw):
    return b" " * (40 << 20) if name == "run/artifacts/evaluation.json" else raw


def newer(name, raw):
    return json.dumps(json.loads(raw) | {"version": 99, "and_more": 1}).encode() if name == "loralab.json" else raw


def other_kind(name, raw):
    return json.dumps(json.loads(raw) | {"kind": "a poem"}).encode() if name == "loralab.json" else raw


def flipped(name, raw):
    return bytes([raw[0] ^ 1]) + raw[1:] if name.endswith("adapter_model.safetensors") else raw


def lacking(name, raw):
    return None if name == JOB else raw


def nowhere(name, raw):
    return json.dumps(json.loads(raw) | {"run": "../../out"}).encode() if name == "loralab.json" else raw


@pytest.mark.parametrize(
    ("change", "sums", "code"),
    [
        (swollen, True, "unsafe_archive"),
        (newer, True, "newer_version"),
        (other_kind, True, "not_kept"),
        (flipped, False, "damaged"),
        (lacking, False, "damaged"),
        (lacking, True, "damaged"),
        (nowhere, True, "unsafe_archive"),
    ],
)
def test_what_is_not_what_it_says_is_refused_and_leaves_nothing(kept, there, tmp_path, change, sums, code):
    bad = rewritten(kept, tmp_path / "bad.zip", change, sums=sums)
    with pytest.raises(UserError) as refused:
        there.import_adapter(bad)
    assert (refused.value.problem.code, there.names()) == (code, [])
    assert sorted(path.name for path in there.home.iterdir() if path.name.startswith(".opening")) == []
    assert not (there.home / "datasets" / "kept").exists()


@pytest.mark.parametrize("evil", ["../evil.txt", "/evil.txt", "run/../../evil.txt", "link"])
def test_no_path_and_no_link_leads_out(kept, there, tmp_path, evil):
    bad = rewritten(kept, tmp_path / "bad.zip", lambda name, raw: raw)
    with zipfile.ZipFile(bad, "a") as archive:
        entry = zipfile.ZipInfo(evil)
        entry.external_attr = ((stat.S_IFLNK if evil == "link" else stat.S_IFREG) | 0o644) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(UserError, match="not safe"):
        there.import_adapter(bad)
    assert there.names() == []
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_log_that_points_at_somebody_elses_files_loses_these_lines(kept, there, tmp_path):
    planted = '{"type":"saved","time":1,"step":0,"artifact":{"kind":"adapter","path":"/etc","step":0,"digest":"","bytes":0}}\n'
    out = planted.replace('"/etc"', '"loralab://run/../../../etc"')
    bad = rewritten(kept, tmp_path / "bad.zip", lambda name, raw: raw + (planted + out).encode() if name == "run/events.jsonl" else raw)
    run = there.import_adapter(bad)
    places = [artifact.path for artifact in there.view(run).artifacts]
    assert "/etc" not in places
    assert not any(path.endswith("/etc") and not path.startswith("loralab://") for path in places)


def test_a_cut_file_is_damaged_and_a_stopped_or_refused_one_is_not_there(learned, kept, there, tmp_path):
    cut = tmp_path / "cut.zip"
    cut.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(UserError):
        there.import_adapter(cut)
    lab, out = Lab(learned.home), tmp_path / "out.zip"
    out.write_bytes(b"an earlier one")

    def stop(done, total):
        raise UserError("Stopped.")

    with pytest.raises(UserError, match="Stopped"):
        lab.keep(learned.run, out, data=True, note=stop)
    assert [path.name for path in tmp_path.glob("*out.zip*")] == ["out.zip"]
    assert out.read_bytes() == b"an earlier one"
    with pytest.raises(UserError, match="no folder"):
        lab.keep(learned.run, tmp_path / "no" / "where.zip")


def test_odd_ends_of_lines_in_a_text_and_a_damaged_line_go_along(kept, there, tmp_path):
    odd = '{"type":"noted","time":1,"step":0,"text":"one\u2028two\x85three"}\n{"type":"noted","ti\n'
    more = rewritten(kept, tmp_path / "odd.zip", lambda name, raw: raw + odd.encode() if name == "run/events.jsonl" else raw)
    notes = [note.text for note in there.view(there.import_adapter(more)).notes]
    assert "one\u2028two\x85three" in notes
    assert "A line of this run's log could not be read." in notes
