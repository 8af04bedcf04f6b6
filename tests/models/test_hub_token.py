"""A person's token of the Hub: kept in the workspace for them alone, once the Hub knows it, and used by every process of the workspace."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from loralab.core.errors import Unavailable, UserError
from loralab.models.hub_token import SETTING, HubToken

TOKEN = "hf_abcDEF123"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A Hub that knows one token; nothing of this computer's own settings."""
    answer = SimpleNamespace(error=None)
    for name in (SETTING, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in (
        ("HF_HOME", tmp_path / "usual"),
        ("HF_TOKEN_PATH", tmp_path / "usual" / "token"),
        ("HF_STORED_TOKENS_PATH", tmp_path / "x"),
    ):
        monkeypatch.setattr(constants, name, str(value))

    def whoami(token: str) -> dict[str, object]:
        if answer.error:
            raise answer.error
        return {"name": "ada", "auth": {"accessToken": {"displayName": "for LoRALab", "role": "read"}}}

    monkeypatch.setattr("huggingface_hub.hf_api.whoami", whoami)
    return answer


def refused(code: int) -> HfHubHTTPError:
    return HfHubHTTPError("no", response=httpx2.Response(code, request=httpx2.Request("GET", "https://huggingface.co")))


def test_a_token_is_kept_for_its_owner_alone_found_by_the_library_and_forgotten(hub, home):
    token = HubToken(home)
    assert not token.kept
    token.keep(f"  {TOKEN}\n")
    assert token.kept
    assert [stat.S_IMODE(file.stat().st_mode) for file in token.file.parent.iterdir()] == [0o600, 0o600]
    assert huggingface_hub.get_token() == TOKEN
    assert os.environ[SETTING] == str(token.file), "processes that are started from here find it, too"
    assert not (home.parent / "usual").exists()

    del os.environ[SETTING]
    assert HubToken(home).kept  # the next start of the app
    assert os.environ[SETTING] == str(token.file)
    token.forget()
    assert not token.kept
    assert SETTING not in os.environ
    assert huggingface_hub.get_token() is None


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [(refused(401), UserError, "does not know this token"), (httpx2.ConnectError("no route"), Unavailable, "could not be reached")],
)
def test_one_that_the_hub_does_not_know_is_not_kept_and_leaves_an_older_one(hub, home, error, kind, words):
    token = HubToken(home)
    hub.error = error
    with pytest.raises(kind, match=words):
        token.keep(TOKEN)
    assert not token.kept
    assert SETTING not in os.environ
    hub.error = None
    token.keep(TOKEN)
    hub.error = error
    with pytest.raises(kind):
        token.keep("hf_another")
    assert huggingface_hub.get_token() == TOKEN


@pytest.mark.parametrize("typed", ["", "password", "hf_two words", "hf_ümlaut"])
def test_what_cannot_be_a_token_is_not_sent_anywhere(hub, home, typed):
    hub.error = AssertionError("it was sent")
    with pytest.raises(UserError, match="no token of the Hugging Face Hub"):
        HubToken(home).keep(typed)
