"""The commands about sharing, as scripts run them: one JSON object, exit codes, a token that is printed once."""

from __future__ import annotations

import json
import sys

import httpx
import pytest

from loralab.cli import app
from loralab.serve import client as chat
from tests.support.shared_runs import RUN, planted

pytestmark = pytest.mark.worker


@pytest.fixture
def told(home, monkeypatch, capsys):
    """`told("links")` -> (exit code, the one object on standard output)."""
    planted(home)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["loralab", *map(str, words), "--json"])
        try:
            code = app.main()
        except SystemExit as left:
            code = int(left.code or 0)
        return code, json.loads(capsys.readouterr().out)

    return call


def test_from_a_run_to_a_link_that_opens_and_is_closed(told, home, lab):
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
def test_a_mistake_is_told_and_changes_nothing(told, lab, words, code):
    left, said = told(*words)
    assert (left, said["problem"]["code"]) == (1, code)
    assert lab.deployments() == ()
    assert lab.links() == ()
