"""Tailscale through its own program: found, asked, served, taken down, and each refusal translated. The program is a stand-in that says
the same words; the name it gives leads to a real server of ours, or to nobody."""

from __future__ import annotations

import time
from types import SimpleNamespace

import httpx
import pytest

from loralab.core.errors import UserError
from loralab.sharing import links, public, tailscale
from loralab.sharing.addresses import in_the_house, qr_svg
from loralab.sharing.public import Public
from tests.support import fake_tailscale
from tests.support.shared_runs import RUN, planted

pytestmark = pytest.mark.worker

HEALTHY = {"status": "ok", "service": "loralab"}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The stand-in first on PATH; `program.scene(...)` chooses what it says."""
    folder = tmp_path / "bin"
    fake_tailscale.put_on_path(folder)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.delenv(tailscale.PROGRAM, raising=False)
    monkeypatch.setattr(tailscale, "HEALTH_SECONDS", 1.0)

    class Program:
        place = folder

        def scene(self, name):
            monkeypatch.setenv("FAKE_TAILSCALE", name)

        @property
        def asked(self):
            log = folder / "asked.log"
            return log.read_text("utf-8").splitlines() if log.is_file() else []

        @property
        def served(self):
            return fake_tailscale.served(folder)

    return Program()


@pytest.fixture
def reached(monkeypatch):
    """What comes back through the new name, in the place of the network: set `reached.answer`, or an error."""

    found = SimpleNamespace(answer=httpx.Response(200, json=HEALTHY), urls=[])

    def get(url, **_):
        found.urls.append(url)
        if isinstance(found.answer, Exception):
            raise found.answer
        return found.answer

    monkeypatch.setattr(tailscale.httpx, "get", get)
    return found


def test_it_is_served_tried_and_taken_down(home, program, reached):
    assert tailscale.look().state == "ready"
    address = tailscale.share(home, 51234)
    assert address == f"https://{fake_tailscale.HOST}"
    assert reached.urls == [f"{address}/health"], "it is not called shared before our own answer came back"
    assert program.served == {"443": {"to": "http://127.0.0.1:51234", "how": "serve"}}
    assert "serve --bg --yes --https=443 http://127.0.0.1:51234" in program.asked
    assert public.read(home).address == address
    tailscale.share(home, 51234)
    assert list(program.served) == ["443"], "once more changes nothing"
    tailscale.take_down(home)
    assert program.served == {}
    assert public.read(home) == Public()
    tailscale.take_down(home)  # twice is no mistake


@pytest.mark.parametrize(
    ("scene", "state", "words"),
    [
        ("not_running", "off", "switch it on"),
        ("signed_out", "signed_out", "sign in"),
        ("no_name", "odd", "MagicDNS"),
        ("garbage", "odd", "window"),
    ],
)
def test_what_stands_in_the_way_says_what_to_click(home, program, reached, scene, state, words):
    program.scene(scene)
    found = tailscale.look()
    assert found.state == state
    assert words in found.todo
    with pytest.raises(UserError, match=words):
        tailscale.share(home, 51234)
    assert public.read(home) == Public()


def test_without_it_the_way_to_get_it_is_said(home, program, monkeypatch):
    monkeypatch.setenv(tailscale.PROGRAM, str(home / "nothing"))
    assert tailscale.find() is None
    assert "tailscale.com/download" in tailscale.look().todo
    monkeypatch.setenv(tailscale.PROGRAM, str(program.place / "tailscale"))
    assert tailscale.look().state == "ready"


def test_consent_is_a_button_although_the_program_waits(home, program, reached):
    program.scene("consent")
    begun = time.monotonic()
    with pytest.raises(tailscale.Click) as caught:
        tailscale.share(home, 51234)
    assert caught.value.link == fake_tailscale.CONSENT
    assert time.monotonic() - begun < 50, "it did not wait for the click"
    assert public.read(home) == Public()


@pytest.mark.parametrize(
    ("scene", "code", "words"),
    [("denied", "tailscale_denied", "the operator of Tailscale"), ("refused", "tailscale_refused", "moon is in the wrong")],
)
def test_a_refusal_is_translated_and_leaves_nothing(home, program, reached, scene, code, words):
    program.scene(scene)
    with pytest.raises(UserError) as caught:
        tailscale.share(home, 51234)
    assert caught.value.problem.code == code
    assert words in str(caught.value)
    assert "$USER" not in str(caught.value)
    assert program.served == {}


def test_what_others_serve_there_is_left_alone(home, program, reached):
    program.scene("port_taken")
    assert tailscale.share(home, 51234) == f"https://{fake_tailscale.HOST}:8443"
    tailscale.take_down(home)
    program.scene("ports_taken")
    with pytest.raises(UserError, match="all three"):
        tailscale.share(home, 51234)


def test_a_program_that_says_nothing_is_given_up(home, program, monkeypatch):
    monkeypatch.setattr(tailscale, "STATUS_SECONDS", 0.5)
    program.scene("slow")
    assert tailscale.look().state == "odd"
    assert "in time" in tailscale.look().words


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.ConnectError("[SSL: TLSV1_ALERT_INTERNAL_ERROR] tlsv1 alert"), "tailscale_certificate"),
        (httpx.ConnectTimeout("timed out"), "tailscale_silent"),
        (httpx.Response(200, json={"status": "ok"}), "tailscale_silent"),
        (httpx.Response(502, text="bad gateway"), "tailscale_silent"),
    ],
)
def test_what_does_not_come_back_is_not_called_shared(home, program, reached, answer, code):
    reached.answer = answer
    with pytest.raises(UserError) as caught:
        tailscale.share(home, 51234)
    assert caught.value.problem.code == code
    assert program.served == {}
    assert public.read(home).address == ""


# ---- the whole internet ----------------------------------------------------------------------------------------------------


def test_the_internet_is_let_in_only_by_the_typed_address_and_for_a_day(home, lab, program, reached):
    address = f"https://{fake_tailscale.HOST}"
    for typed, hours in (("yes", 1), (address, 25), (address, 0)):
        with pytest.raises(UserError):
            tailscale.share(home, 51234, funnel=typed, hours=hours)
    assert program.served == {}
    assert tailscale.share(home, 51234, funnel=fake_tailscale.HOST, hours=2) == address
    assert program.served["443"]["how"] == "funnel"
    assert public.read(home).funnelled
    tailscale.tidy(home, 51234)
    assert program.served, "its time is not over"
    public.write(home, public.read(home).model_copy(update={"funnel_until": 1.0}))
    tailscale.tidy(home, 51234)
    assert program.served == {}


@pytest.mark.parametrize(
    ("answer", "scope", "code"), [("Call anna.berg@firma-berg.de", "chat", "private"), ("", "weights", "weights_open")]
)
def test_neither_private_examples_nor_weights_go_to_the_internet(home, lab, program, reached, answer, scope, code):
    planted(home, answer=answer)
    link, _ = lab.link(lab.deploy(RUN).id, scope)
    with pytest.raises(UserError) as caught:
        tailscale.share(home, 51234, funnel=fake_tailscale.HOST)
    assert caught.value.problem.code == code
    assert tailscale.share(home, 51234), "inside the own network it may"
    tailscale.take_down(home)
    links.revoke(home, link.id)
    assert tailscale.share(home, 51234, funnel=fake_tailscale.HOST)


def test_what_a_crash_left_is_closed_by_the_next_server(home, program, reached):
    tailscale.share(home, 51234)
    tailscale.tidy(home, 51234)
    assert program.served
    tailscale.tidy(home, 40000)  # another port: the old way in leads nowhere, or to somebody else
    assert program.served == {}


# ---- the house -------------------------------------------------------------------------------------------------------------


def test_addresses_in_the_house_are_of_private_networks():
    for address in in_the_house():
        assert not address.startswith("127.")


def test_an_address_becomes_a_picture_that_stands_in_a_page():
    drawn = qr_svg("http://192.168.1.20:8000/#t=" + "x" * 43)
    assert drawn.startswith("<svg")
    assert "<script" not in drawn
    assert "viewBox" in drawn
