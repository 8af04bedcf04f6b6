"""A run stored elsewhere comes back as it was, also after a cut; what is there is not sent again, and what was changed is refused."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loralab.core.digest import digest
from loralab.core.errors import Unavailable, UserError
from loralab.lab import Lab
from loralab.runs import runs
from loralab.sharing.keeping import store as store_module
from loralab.sharing.keeping.store import Sending, Store, bring
from tests.support.learned import Learned

QUIET: Callable[[int, int], None] = lambda done, total: None  # noqa: E731
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
NUMBER = itertools.count()


@pytest.fixture(params=["memory", "folder"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory://kept-{next(NUMBER)}" if request.param == "memory" else str(tmp_path / "kept")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces so small that a small file has many."""
    monkeypatch.setattr(store_module, "PIECE", 1000)
    return 1000


def file_of(folder: Path, name: str, length: int) -> Path:
    path = folder / name
    path.write_bytes(bytes(number * 7 % 251 for number in range(length)))
    return path


def send(store: Store, path: Path, note: Callable[[int, int], object] = QUIET) -> Any:
    sending = Sending(store, note, path.stat().st_size)
    sending.file(path.name, path)
    return sending.conclude("thing", None)


# ---- pieces ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 5500])
def test_a_file_comes_back_to_the_byte(address: str, tmp_path: Path, small: int, length: int) -> None:
    path = file_of(tmp_path, "weights.bin", length)
    sent = send(Store(address), path)
    assert sent.sent_bytes + small * sent.there_already >= length
    back = tmp_path / "back"
    bring(Store(address), Store(address).read("thing"), back, QUIET)
    assert (back / "weights.bin").read_bytes() == path.read_bytes()
    assert Store(address).names() == ["thing"]


def test_what_was_cut_while_sending_goes_on(address: str, tmp_path: Path, small: int) -> None:
    path = file_of(tmp_path, "weights.bin", 20 * small - 3)

    def cut(done: int, total: int) -> None:
        if done >= 4 * small:
            raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        send(Store(address), path, cut)
    with pytest.raises(UserError, match="is not stored"):
        Store(address).read("thing")
    sent = send(Store(address), path)
    assert sent.there_already == 4
    assert sent.sent_pieces == 16
    assert "16 pieces sent" in sent.words
    assert send(Store(address), path).sent_bytes == 0


def test_what_was_cut_while_fetching_goes_on(address: str, tmp_path: Path, small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path, store, fetched = file_of(tmp_path, "weights.bin", 6 * small + 1), Store(address), list[str]()
    send(store, path)
    real = Store.get

    def get(self: Store, name: str) -> bytes:
        if len(fetched) == 3:
            raise ConnectionError("cut")
        fetched.append(name)
        return real(self, name)

    monkeypatch.setattr(Store, "get", get)
    stored = Store.read(store, "thing")
    fetched.clear()
    with pytest.raises(ConnectionError):
        bring(store, stored, tmp_path / "back", QUIET)
    assert not (tmp_path / "back" / "weights.bin").exists()
    fetched[:] = ["again"] * 4  # no cut any more
    bring(store, stored, tmp_path / "back", QUIET)
    assert len(fetched) == 4 + 7 - 3, "pieces that were here are not fetched again"
    assert digest(tmp_path / "back" / "weights.bin") == digest(path)


def test_a_piece_that_was_changed_or_lost_is_refused(tmp_path: Path, small: int) -> None:
    store = Store(str(tmp_path / "kept"))
    send(store, file_of(tmp_path, "weights.bin", 3 * small))
    piece = next((tmp_path / "kept" / "objects").rglob("*/*"))
    piece.write_bytes(b"x" * len(piece.read_bytes()))
    with pytest.raises(UserError, match="is not what was stored"):
        bring(store, store.read("thing"), tmp_path / "back", QUIET)
    piece.unlink()
    with pytest.raises(UserError, match="missing in the store"):
        bring(store, store.read("thing"), tmp_path / "back", QUIET)
    assert not (tmp_path / "back" / "weights.bin").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\evil"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    store = Store(str(tmp_path / "kept"))
    sending = Sending(store, QUIET, 1)
    sending.text(name, "evil")
    sending.conclude("thing", None)
    with pytest.raises(UserError, match="not safe"):
        store.read("thing")


@pytest.mark.parametrize(
    ("address", "code"), [("s3://key:secret@bucket/runs", "key_in_address"), ("", "no_store"), ("nowhere-known://x/y", "no_store")]
)
def test_an_address_that_cannot_be_used_is_said(address: str, code: str) -> None:
    with pytest.raises(UserError) as caught:
        Store(address)
    assert caught.value.problem.code == code
    assert "secret" not in str(caught.value)


def test_without_its_part_a_store_on_s3_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise ImportError("s3fs")

    monkeypatch.setattr(store_module.fsspec, "filesystem", absent)
    with pytest.raises(Unavailable) as caught:
        Store("s3://bucket/runs")
    assert caught.value.problem.part == "s3"


# ---- runs --------------------------------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_a_run_comes_back_with_its_safety_copies_its_verdict_and_its_adapter(learned: Learned, tmp_path: Path, address: str) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    run = learned.copy(there)
    sent = Lab(there).store(run, address, data=True)
    assert sent.sent_bytes > 0
    again = Lab(there).store(run, address, data=True)
    assert again.sent_bytes == 0
    lab = Lab(here)
    assert lab.stored(address) == [run]
    assert lab.fetch(run, address) == run
    shutil.rmtree(there)
    name = "artifacts/adapter/adapter_model.safetensors"
    assert digest(here / "runs" / run / name) == digest(learned.home / "runs" / run / name)
    copies = sorted(path.name for path in (learned.home / "runs" / run / "checkpoints").glob("step-*.pt"))
    assert copies
    assert sorted(path.name for path in (here / "runs" / run / "checkpoints").glob("step-*.pt")) == copies
    assert lab.view(run).state == "finished"
    assert Path(str(lab.job(run).plan["dataset"])).is_file()
    assert str(there) not in (here / "runs" / run / "job.json").read_text("utf-8")
    with pytest.raises(UserError, match="here already"):
        lab.fetch(run, address)


# ---- a real S3 service -------------------------------------------------------------------------------------------------------


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a local S3 server."""
    for part in ("moto", "s3fs", "boto3"):
        if importlib.util.find_spec(part) is None:
            pytest.skip(f"{part} is not installed here: storing is tried in a folder and in memory, not against a server that speaks S3")
    boto3, moto = importlib.import_module("boto3"), importlib.import_module("moto.server")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="lab")
    yield "s3://lab/runs-of-ours"
    server.stop()


@pytest.mark.worker
def test_a_real_s3_service_takes_a_run_and_gives_it_back(
    s3: str, learned: Learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store_module, "PIECE", 20_000)
    there, here = tmp_path / "there", tmp_path / "here"
    run = learned.copy(there)
    real, puts = Store.put, list[str]()

    def put(self: Store, path: str, raw: bytes) -> None:
        if len(puts) == 5:
            raise ConnectionError("cut")
        puts.append(path)
        real(self, path, raw)

    monkeypatch.setattr(Store, "put", put)
    with pytest.raises(Unavailable, match="could not be reached"):
        Lab(there).store(run, s3, data=True)
    puts[:] = [""] * 6
    sent = Lab(there).store(run, s3, data=True)
    assert sent.there_already >= 5
    assert Lab(here).fetch(run, s3) == run
    name = "artifacts/adapter/adapter_model.safetensors"
    assert digest(here / "runs" / run / name) == digest(learned.home / "runs" / run / name)
    assert runs.view(here, run).state == "finished"
    with pytest.raises(UserError, match="no store"):
        Lab(there).store(run, "s3://no-such-bucket/x")
    everything = "".join(p.read_bytes().decode("utf-8", "replace") for p in here.rglob("*") if p.is_file()) + "".join(capfd.readouterr())
    assert SECRET not in everything
