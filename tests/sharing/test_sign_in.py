"""Signing in to an imitation of the Hub: with a code or a token, kept where it belongs, renewed, and not kept where it is no good."""

from __future__ import annotations

import time

import pytest

from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.sharing.hub import account, sign_in
from tests.support.publishing import hub
from tests.support.writing_hub import READER, TOKEN

__all__ = ["hub"]


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
