"""The commands about sharing, as scripts run them: one JSON object, exit codes, a token that is printed once."""

from __future__ import annotations

import json
import re
import sys

import httpx
import pytest

from loralab.cli import app
from loralab.serve import client as chat
from tests.support.shared_runs import RUN, planted

pytestmark = pytest.mark.worker


@pytest.fixture
def run_of(home):
    """A finished run."""
    planted(home)
    return RUN


@pytest.fixture
def told(home, monkeypatch, capsys):
    """`told("links")` -> (exit code, the one object on standard output)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["loralab", *map(str, words), "--json"])
        try:
            code = app.main()
        except SystemExit as left:
            code = int(left.code or 0)
        return code, json.loads(capsys.readouterr().out)

    return call


def test_from_a_run_to_a_link_that_opens_and_is_closed(told, run_of, home, lab):
    code, said = told("deploy", RUN, "--name", "poet")
    assert code == 0
    shared = said["deployment"]["id"]
    assert [one["id"] for one in told("deployments")[1]["deployments"]] == [shared]
    _, served = told("serve", "--detach")
    try:
        made = told("link", "poet", "--hours", 2, "--calls", 5, "--note", "Ana")[1]
        token = made["link"]["token"]
        assert made["addresses"] == [f"{served['url']}/#t={token}"]
        listed = told("links")[1]["links"]
        assert (listed[0]["state"], listed[0]["note"], listed[0]["most_calls"]) == ("open", "Ana", 5)
        assert token not in json.dumps(listed)
        key = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{served['url']}/v1/models", headers=key, trust_env=False).status_code == 200
        assert told("revoke", made["link"]["id"])[1]["link"]["state"] == "revoked"
        assert httpx.get(f"{served['url']}/v1/models", headers=key, trust_env=False).status_code == 404
    finally:
        assert told("serve", "--stop")[1] == {"stopped": True}
    assert lab.serving() is None
    chat.release(home)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("link", "nobody"), "no_deployment"),
        (("revoke", "../../x"), "no_link"),
        (("deploy", RUN, "--name", "../x"), "bad_name"),
        (("deploy", RUN, "--format", "pickle"), "unknown_format"),
        (("serve", "--port", "70000", "--detach"), "bad_port"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(told, run_of, lab, words, code):
    left, said = told(*words)
    assert (left, said["problem"]["code"]) == (1, code)
    assert lab.deployments() == ()
    assert lab.links() == ()


class Typing:
    """A person who types a question; meanwhile a program asks the same over HTTP, at the address the terminal told it."""

    def __init__(self, capsys):
        self.capsys, self.lines, self.shown, self.answer = capsys, ["What is the colour of grass?\n", ""], "", ""

    def isatty(self):
        return False

    def readline(self):
        caught = self.capsys.readouterr()
        self.shown += caught.out
        if len(self.lines) == 2:
            said = re.search(r"ask it at (\S+), as model (\S+), with this key: (\S+)", caught.err)
            assert said, caught.err
            url, model, key = said.groups()
            body = {"model": model, "messages": [{"role": "user", "content": self.lines[0].strip()}], "max_tokens": 200}
            bearer = {"Authorization": f"Bearer {key}"}
            heard = httpx.post(f"{url}/chat/completions", json=body, headers=bearer, timeout=120, trust_env=False)
            self.answer = heard.json()["choices"][0]["message"]["content"]
        return self.lines.pop(0)


def test_a_conversation_in_the_terminal_serves_meanwhile_and_ends_with_it(run_of, told, home, lab, monkeypatch, capsys):
    typing = Typing(capsys)
    monkeypatch.setattr(sys, "argv", ["loralab", "chat", run_of, "--serve"])
    monkeypatch.setattr(sys, "stdin", typing)
    with pytest.raises(SystemExit) as left:
        app.main()
    assert not left.value.code
    shown = typing.shown + capsys.readouterr().out
    assert "".join(letter for letter in typing.answer.strip() if letter.isprintable()) in shown, "less what could move the cursor"
    assert lab.serving() is None
    kept = json.loads((home / "chats" / f"{run_of}.json").read_text("utf-8"))
    assert [one["role"] for one in kept] == ["user", "assistant"]
    up = lab.serve()
    said = told("chat", run_of, "--serve", "--both", "--prompt", "What is the colour of grass?")[1]
    assert (said["answer"], said["active_adapters"]) == (typing.answer, ["shared"])
    assert said["before"] != said["answer"]
    assert lab.serving() == up, "it was up before, so it stays up"
    lab.stop_serving()
    chat.release(home)
    left, said = told("chat", "--model", "starter", "--serve", "--prompt", "x")
    assert (left, said["problem"]["code"]) == (1, "no_run")


@pytest.mark.nightly
@pytest.mark.long
def test_the_page_of_a_deployment_is_of_what_was_frozen(learned, told, home, lab, tmp_path):
    """Whatever its run learned since; and a link to a page hands out the page of these very weights."""
    run = learned.copy(home)
    frozen = lab.deploy(run, "poet")
    weights = home / "runs" / run / "artifacts" / "adapter" / "adapter_model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    other = lab.deploy(run, "newer")
    code, said = told("page", "poet", "--out", tmp_path / "poet.html")
    assert (code, said["of"], said["parity"]["outcome"]) == (0, run, "proven")
    assert (tmp_path / "poet.html").stat().st_size == said["bytes"]
    assert lab.job(said["run"]).adapter == str(home / "deployments" / frozen.id / "artifacts" / "adapter")
    lab.link("poet", "page")
    assert (home / "deployments" / frozen.id / "page" / "index.html").read_bytes() == (tmp_path / "poet.html").read_bytes()
    left, said = told("link", "newer", "--scope", "page")
    assert (left, said["problem"]["code"]) == (1, "not_made")
    assert told("page", "nobody")[0] == 1
    lab.delete(run)
    left, said = told("page", other.id)
    assert (left, said["problem"]["code"]) == (1, "no_run")
    assert "was deleted" in said["problem"]["what"]
