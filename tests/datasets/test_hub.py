"""A data set by its Hub name, through the real worker and the real hub library against an imitation of the Hub."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from loralab.cli.app import app
from loralab.core import events
from loralab.core.errors import LabError, Unavailable, UserError
from loralab.datasets.on_hub import is_hub_name
from loralab.lab import Lab
from loralab.reports.licences import of_data
from loralab.runs import runs
from tests.conftest import until
from tests.support.fake_hub import TABLES, fake_hub

NAME = "someone/moods"
FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["sad", "glad"], "_type": "ClassLabel"},
    "picture": {"_type": "Image"},
}


def table(rows, first=0, words=1):
    numbers = range(first, first + rows)
    columns = {
        "text": [f"On day {n} I felt {'fine' if n % 2 else 'low'} and wrote it down. " * words for n in numbers],
        "label": pa.array([n % 2 for n in numbers], pa.int64()),
        "picture": pa.array([{"bytes": b"png", "path": f"{n}.png"} for n in numbers]),
    }
    made = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})
    raw = io.BytesIO()
    parquet.write_table(made, raw)
    return raw.getvalue()


@pytest.fixture
def web(monkeypatch):
    from huggingface_hub import constants

    with fake_hub({}) as found:
        copy = {
            "default/test/0000.parquet": table(12, 500),
            "default/train/0000.parquet": table(40),
            "default/train/0001.parquet": table(20, 40),
        }
        found.datasets[NAME] = {"main": {"README.md": b"card"}, TABLES: copy}
        found.cards[NAME] = {"license": "cc-by-4.0"}
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield found


def fetched(home, *part, columns=()):
    lab = Lab(home)
    run = lab.fetch_dataset(lab.hub_dataset(NAME, *part), columns)
    return until(lambda: not runs.view(home, run).active and runs.view(home, run), 60)


def files_asked(web):
    return [path for path, _ in web.asked if "/resolve/" in path]


def test_a_name_becomes_a_file_with_its_classes_and_splits(web, home):
    said = CliRunner().invoke(app, ["data", NAME, "--yes", "--json", "--home", str(home)])
    assert said.exit_code == 0, said.output
    profile = json.loads(said.stdout.splitlines()[-1])
    assert (profile["n_read"], profile["n_kept"], profile["n_heldout"]) == (72, 72, 12), "what the Hub calls test is held out"
    assert "cc-by-4.0" in said.output
    assert "picture" in said.output, "what is left out is named"
    rows = parquet.read_table(profile["path"]).to_pylist()
    assert set(rows[0]) == {"text", "label", "split"}
    assert ["glad" in "".join(piece for piece, _ in one["pieces"]) for one in profile["previews"]].count(True) > 0
    assert of_data(profile["path"]) == f"cc-by-4.0 ({NAME} on the Hugging Face Hub)"
    assert [(row["kind"], row["state"]) for row in Lab(home).runs()] == [("fetch_dataset", "finished")]
    folder = next((home / "datasets" / "hub").iterdir())
    assert {p.name for p in folder.iterdir()} == {"moods.parquet", "about.json"}
    before = len(files_asked(web))
    assert fetched(home).ending.result["bytes"] == 0, "it is here already"
    assert len(files_asked(web)) == before


def test_size_and_licence_come_first_and_no_is_no(web, home):
    said = CliRunner().invoke(app, ["data", NAME, "--home", str(home)], input="n\n")
    assert "takes" in said.output
    assert "cc-by-4.0" in said.output
    assert isinstance(said.exception, UserError)
    assert said.exception.problem.code == "not_confirmed"
    assert not files_asked(web)
    assert not (home / "datasets" / "hub").exists()


def test_one_split_and_one_column_are_taken_alone(web, home):
    view = fetched(home, "", "test", columns=("text",))
    rows = parquet.read_table(view.ending.result["file"]).to_pylist()
    assert len(rows) == 12
    assert set(rows[0]) == {"text"}, "a single split is not marked: it would all be held out"
    assert all("/train/" not in path for path in files_asked(web))


def test_a_stop_in_the_middle_keeps_what_came_and_goes_on(web, home):
    web.datasets[NAME][TABLES] = {"default/train/0000.parquet": table(3000), "default/train/0001.parquet": table(60_000, 5000)}
    web.pause = 0.3
    lab = Lab(home)
    found = lab.hub_dataset(NAME)
    run = lab.fetch_dataset(found)
    until(lambda: (runs.view(home, run).seconds_left or 0) > 0)
    lab.stop(run)
    assert until(lambda: not runs.view(home, run).active and runs.view(home, run), 60).state == "stopped"
    target = found.folder(home, ())
    assert not target.exists()
    assert not list(target.with_name(f"{target.name}.partial").glob("*.parquet"))
    web.pause, asked = 0.0, len(web.asked)
    view = fetched(home)
    assert view.ending.result["rows"] == 63_000
    assert not [p for p, _ in web.asked[asked:] if p.startswith("GET") and p.endswith("train/0000.parquet")], (
        "what was whole is not fetched again"
    )
    assert not target.with_name(f"{target.name}.partial").exists()
    log, _ = events.read(home / "runs" / view.run / "events.jsonl")
    shares = [e.fraction for e in log if e.type == "noted" and e.phase == "downloading" and e.fraction is not None]
    assert shares == sorted(shares)


def test_what_holds_no_text_is_refused_after_its_first_piece(web, home):
    bare = parquet.read_table(io.BytesIO(table(8))).select(["label", "picture"])
    raw = io.BytesIO()
    parquet.write_table(bare, raw)
    web.datasets[NAME][TABLES] = {"default/train/0000.parquet": raw.getvalue(), "default/train/0001.parquet": raw.getvalue()}
    view = fetched(home)
    assert view.ending.code == "no_text"
    assert "label and picture" in view.ending.what
    assert not any(path.endswith("0001.parquet") for path in files_asked(web))
    assert not list((home / "datasets" / "hub").iterdir())


def test_parts_are_named_and_a_copy_without_the_hubs_own_is_taken_from_its_files(web, home):
    web.datasets[NAME] = {"main": {"de/train-00000-of-00001.parquet": table(9), "en/train-00000-of-00001.parquet": table(9), "x.csv": b"a"}}
    lab = Lab(home)
    found = lab.hub_dataset(NAME, "en")
    assert (found.configs, found.splits, len(found.pieces)) == (("de", "en"), ("train",), 1)
    for part, word in ((("fr",), "de, en"), (("de", "test"), "train")):
        with pytest.raises(UserError) as error:
            lab.hub_dataset(NAME, *part)
        assert word in error.value.problem.todo
    said = CliRunner().invoke(app, ["data", NAME, "--home", str(home)])
    assert "--config" in str(said.exception)


@pytest.mark.parametrize(
    ("status", "code", "word"), [(404, "unknown_dataset", "spelling"), (403, "gated_model", f"datasets/{NAME}"), (503, "hub_busy", "again")]
)
def test_a_refusal_is_said_with_its_next_step(web, home, status, code, word):
    if status == 404:
        web.datasets.clear()
    else:
        web.status[NAME] = status
    with pytest.raises(LabError) as error:
        Lab(home).hub_dataset(NAME)
    assert error.value.problem.code == code
    assert word in error.value.problem.todo


def test_a_gated_one_tells_its_size_but_gives_no_file(web, home):
    web.gated.add(NAME)
    web.status[NAME] = 403
    assert Lab(home).hub_dataset(NAME).gated
    view = fetched(home)
    assert view.ending.code == "gated_model"
    assert "accept" in view.ending.todo


def test_without_a_network_and_without_a_table(web, home, monkeypatch):
    web.datasets[NAME] = {"main": {"x.csv": b"a"}}
    with pytest.raises(UserError, match="not ready as a table"):
        Lab(home).hub_dataset(NAME)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("no route")))
    with pytest.raises(Unavailable) as error:
        Lab(home).hub_dataset(NAME)
    assert error.value.problem.code == "no_network"
    assert "file of yours" in error.value.problem.todo


def test_a_place_on_this_computer_is_not_told_to_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mails").mkdir()
    assert is_hub_name("someone/moods")
    assert not any(map(is_hub_name, ("mails/frend", "letters/anna.csv", "./a", "../b/c", "/a/b", "~/b", "one", "")))
