"""The sharing server as programs use it: a real server process, real workers behind it, other people's clients in front."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from loralab.lab import Lab
from loralab.runs import runs
from loralab.serve import client as chat
from loralab.sharing.running import Serving
from tests.conftest import until
from tests.support.shared_runs import RUN, planted

pytestmark = pytest.mark.worker

ASK: Any = [{"role": "user", "content": "What is the colour of grass?"}]


@dataclass
class Shared:
    """A workspace whose server is up; two deployments of one base."""

    lab: Lab
    server: Serving

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.server.here}/v1", api_key=key, max_retries=0, timeout=120)

    def key(self, deployment: str = "poet", scope: str = "") -> str:
        return self.lab.link(deployment, scope)[0].token

    def http(self, key: str) -> httpx.Client:
        return httpx.Client(base_url=self.server.here, headers={"Authorization": f"Bearer {key}"}, timeout=120, trust_env=False)

    @property
    def owner(self) -> httpx.Client:
        return self.http(self.lab.owner_key())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    home = tmp_path_factory.mktemp("shared") / "LoRALab"
    home.mkdir()
    planted(home)
    planted(home, "other", strength=0.3)
    lab = Lab(home)
    lab.deploy(RUN, "poet")
    lab.deploy("other", "second")
    server = lab.serve()
    yield Shared(lab, server)
    lab.stop_serving()
    chat.release(home)
    until(lambda: not any(runs.view(home, run).active for run in runs.list_runs(home)))


def say(client: openai.OpenAI, model: str, **more) -> str:
    created: Any = client.chat.completions.create(model=model, messages=ASK, **{"max_tokens": 12, **more})
    return created.choices[0].message.content


# ---- answers ---------------------------------------------------------------------------------------------------------------


def test_openais_own_client_talks_to_two_deployments_and_their_base(shared):
    """Each answers as it does in the app; one worker holds the base for all of them."""
    owner = shared.client(shared.lab.owner_key())
    assert {one.id for one in owner.models.list()} == {"poet", "second", "base"}
    said = {name: say(owner, name) for name in ("poet", "second", "base", "poet")}
    assert len(set(said.values())) == 3
    workers = [shared.lab.job(run) for run in shared.lab.names() if shared.lab.job(run).kind == "serve"]
    assert [job.shared for job in workers] == [True]
    with_app = shared.lab.chat(RUN)
    assert said["poet"] == with_app.ask(ASK, max_tokens=12)
    assert said["base"] == with_app.ask(ASK, base=True, max_tokens=12)
    with_app.close()


def test_a_stream_is_the_whole_answer_in_pieces_with_its_usage(shared):
    client = shared.client(shared.key())
    whole = client.chat.completions.create(model="poet", messages=ASK, max_tokens=12)
    stream = client.chat.completions.create(model="poet", messages=ASK, max_tokens=12, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    assert whole.model_extra["adapter"] is True


def test_seed_stop_and_plain_text_do_what_they_say(shared):
    client = shared.client(shared.key())
    warm = {"temperature": 1.5, "seed": 3}
    assert say(client, "poet", **warm) == say(client, "poet", **warm)
    assert say(client, "poet", **warm) != say(client, "poet", temperature=1.5, seed=4)
    whole = say(client, "poet")
    cut = whole[len(whole) // 2 :][:2]
    assert say(client, "poet", stop=[cut]) == whole[: whole.index(cut)]
    told = client.completions.create(model="poet", prompt="What is the", max_tokens=5)
    assert told.usage.completion_tokens <= 5
    assert told.choices[0].text


def test_what_cannot_be_done_is_said_in_words(shared):
    client = shared.client(shared.key())
    tool = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    cases = [
        ({"tools": [tool]}, openai.BadRequestError, "tools_unsupported", "calls no tools"),
        ({"response_format": {"type": "json_object"}}, openai.BadRequestError, "format_unsupported", "text only"),
        ({"model": "second"}, openai.NotFoundError, "model_not_found", "does not exist"),
        ({"temperature": -1}, openai.BadRequestError, "bad_request", "temperature"),
        ({"n": 3}, openai.BadRequestError, "bad_request", "n:"),
        ({"messages": [{"role": "assistant", "content": "Hello"}]}, openai.BadRequestError, "no_messages", "nothing to answer"),
    ]
    for given, kind, code, words in cases:
        with pytest.raises(kind, match=words) as caught:
            client.chat.completions.create(**{"model": "poet", "messages": ASK, "max_tokens": 5, **given})
        assert caught.value.code == code
    nobody = openai.OpenAI(base_url=f"{shared.server.here}/v1", api_key="x", max_retries=0, default_headers={"Authorization": ""})
    with pytest.raises(openai.AuthenticationError):
        nobody.models.list()


def test_langchains_client_talks_to_it(shared):
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(base_url=f"{shared.server.here}/v1", api_key=shared.key(), model="poet", max_tokens=12, temperature=0)
    assert model.invoke(ASK[0]["content"]).content == say(shared.client(shared.key()), "poet", temperature=0)
    assert "".join(piece.content for piece in model.stream(ASK[0]["content"])) == model.invoke(ASK[0]["content"]).content


def test_curl_talks_to_it(shared):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    body = json.dumps({"messages": ASK, "max_tokens": 5, "stream": True})
    command = [curl, "-sN", f"{shared.server.here}/v1/chat/completions", "-H", f"Authorization: Bearer {shared.key()}", "-d", body]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("data: {")
    assert said.endswith("data: [DONE]\n\n")


def test_hanging_up_ends_the_answer_and_frees_its_turn(shared):
    """More than may wait hang up one after the other; the next is answered all the same."""
    body = {"messages": ASK, "max_tokens": 200, "temperature": 1.5, "stream": True}
    with shared.http(shared.key()) as client:
        for seed in range(12):
            with client.stream("POST", "/v1/chat/completions", json=body | {"seed": seed}) as response:
                assert next(response.iter_bytes())
        assert client.post("/v1/chat/completions", json=body | {"stream": False, "max_tokens": 3}).status_code == 200


def test_a_revoked_link_is_closed_with_the_next_request_and_the_worker_comes_back(shared):
    link, _ = shared.lab.link("poet")
    client = shared.client(link.token)
    whole = say(client, "poet")
    chat.release(shared.lab.home)  # as when its memory is wanted
    until(lambda: not list(shared.lab.home.glob("runs/*/server.json")))
    assert say(client, "poet") == whole
    shared.lab.revoke(link.id)
    with pytest.raises(openai.NotFoundError):
        client.models.list()


# ---- weights ---------------------------------------------------------------------------------------------------------------


def test_weights_come_whole_in_ranges_and_with_their_checksum(shared):
    found = shared.lab.deployment("poet")
    with shared.http(shared.key("poet", "weights")) as client:
        whole = client.get("/inference/weights")
        assert hashlib.sha256(whole.content).hexdigest() == whole.headers["x-checksum-sha256"]
        first = client.get("/inference/weights", headers={"Range": "bytes=0-999"})
        rest = client.get("/inference/weights", headers={"Range": "bytes=1000-", "If-Range": whole.headers["etag"]})
        assert (first.status_code, rest.status_code) == (206, 206)
        assert first.content + rest.content == whole.content
        assert client.get("/inference/weights", headers={"Range": "bytes=99999999-"}).status_code == 416
        assert client.get("/inference/weights", params={"form": "merged"}).json()["error"]["code"] == "not_made"
        assert client.get("/inference/weights", params={"deployment": "second"}).status_code == 404
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "plan.json", "SHA256SUMS"} <= names
        assert "job.json" not in names
        for name in archive.namelist():
            assert str(shared.lab.home).encode() not in archive.read(name), name
        weights = archive.read(f"{found.id}/adapter_model.safetensors")
    assert hashlib.sha256(weights).hexdigest().startswith(found.versions.adapter)


# ---- teaching --------------------------------------------------------------------------------------------------------------


def zipped(rows: int = 24) -> bytes:
    lines = (json.dumps({"prompt": f"What is number {i}?", "completion": f"It is {i}."}) + "\n" for i in range(rows))
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("rows.jsonl", "".join(lines))
    return raw.getvalue()


def test_an_upload_that_broke_off_goes_on_where_it_was(shared):
    raw = zipped()
    with shared.owner as owner:
        part = owner.post("/train/upload_data", params={"name": "../../rows.zip"}, content=raw[:100], headers=ranged(0, 100, raw))
        assert part.status_code == 202
        upload = part.json()["upload_id"]
        params = {"upload_id": upload}
        assert owner.get("/train/upload_data", params=params).json() == part.json()
        gap = owner.post("/train/upload_data", params=params, content=raw[300:], headers=ranged(300, len(raw), raw))
        assert gap.json()["error"]["code"] == "upload_gap"
        again = owner.post("/train/upload_data", params=params, content=raw[50:200], headers=ranged(50, 200, raw))
        assert again.json()["received"] == 200
        early = owner.post("/train/start", json={"upload_id": upload})
        assert early.json()["error"]["code"] == "upload_unfinished"
        last = owner.post("/train/upload_data", params=params, content=raw[200:], headers=ranged(200, len(raw), raw))
        assert last.json() == {"upload_id": upload, "received": len(raw), "total": len(raw), "complete": True}
        there = shared.lab.home / "datasets" / upload / "rows.zip"
        assert there.read_bytes() == raw
        assert owner.get(f"/v1/files/{upload}").json()["bytes"] == len(raw)
        assert owner.delete(f"/v1/files/{upload}").json()["deleted"] is True
        assert not there.exists()
        assert owner.post("/train/upload_data", content=b"").json()["error"]["code"] == "empty"
        assert owner.post("/train/upload_data", content=b"x", headers={"Content-Range": "bytes 5-1/9"}).status_code == 400


def ranged(start: int, end: int, raw: bytes) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{end - 1}/{len(raw)}"}


def test_from_examples_to_an_answer_by_programs_alone(shared):
    """A real training: sent, started, followed, shared, asked; and the same run as OpenAI's fine-tuning job."""
    base = str(shared.lab.home / "models" / "base")
    with shared.owner as owner:
        upload = owner.post("/train/upload_data", params={"name": "rows.zip"}, content=zipped()).json()["upload_id"]
        settings = {"max_steps": 2, "max_length": 64, "rank": 4}
        refused = owner.post("/train/start", json={"upload_id": upload, "model": base, "settings": {"rank": -1}})
        assert refused.status_code == 400
        assert "rank" in refused.json()["error"]["message"].lower()
        begun = owner.post("/train/start", json={"upload_id": upload, "model": base, "settings": settings, "title": "Numbers"})
        assert begun.status_code == 201, begun.text
        run = begun.json()["job_id"]
        with owner.stream("GET", "/train/progress", params={"job_id": run}, headers={"Accept": "text/event-stream"}) as followed:
            states = [json.loads(line[6:])["state"] for line in followed.iter_lines() if line.startswith("data: {")]
        assert states[-1] == "finished"
        assert "running" in states
        last = owner.get("/train/progress", params={"job_id": run}).json()
        assert (last["step"], last["problem"]) == (2, "")
        assert last["usable"]
        told = owner.post("/inference/start", json={"job_id": run, "name": "numbers"})
        assert told.status_code == 201
    deployment = told.json()["deployment_id"]
    client = shared.client(shared.lab.owner_key())
    assert say(client, deployment) == say(client, "numbers")
    assert shared.lab.deployment("numbers").versions.data
    job = client.fine_tuning.jobs.retrieve(run)
    assert (job.status, job.fine_tuned_model, job.training_file) == ("succeeded", "numbers", upload)
    assert run in [one.id for one in client.fine_tuning.jobs.list()]
    sent = client.files.create(file=("more.jsonl", b'{"prompt": "x", "completion": "y"}\n'), purpose="fine-tune")
    assert sent.filename == "more.jsonl"
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.create(model=base, training_file=sent.id)  # one example is too few, as in the app


# ---- its life --------------------------------------------------------------------------------------------------------------


def test_it_is_one_process_without_torch_and_found_again(shared):
    again = Lab(shared.lab.home)
    assert again.serve() == shared.server
    maps = Path(f"/proc/{shared.server.pid}/maps")
    if maps.is_file():
        assert "torch" not in maps.read_text("utf-8", "replace")
    listening = [one for one in psutil.Process(shared.server.pid).net_connections() if one.status == psutil.CONN_LISTEN]
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}


def test_it_starts_stops_and_keeps_its_address(home, lab):
    first = lab.serve()
    assert lab.stop_serving()
    assert lab.serving() is None
    assert not lab.stop_serving()
    assert lab.serve().port == first.port
    psutil.Process(lab.serving().pid).kill()
    until(lambda: lab.serving() is None)
    lab.serve()  # what a crash left stands in nobody's way
    assert httpx.get(f"{lab.serving().here}/health", trust_env=False).json()["service"] == "loralab"
    lab.stop_serving()
