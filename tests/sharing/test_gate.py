"""Who may ask what: every route with every kind of key, names that are not ours, limits, and ten thousand odd requests."""

from __future__ import annotations

import asyncio
import json

import pytest

from loralab.core.errors import UserError
from loralab.core.events import Ended, Started, append
from loralab.core.jobs import ExportJob
from loralab.lab.serving import Desk
from loralab.serve.asking import Embedded, Ending
from loralab.sharing import public
from loralab.sharing.public import Public
from loralab.sharing.server.app import make_app
from loralab.sharing.server.limits import Buckets, Busy, Limits, Turns
from loralab.sharing.server.operation import ANYBODY
from loralab.sharing.server.site import Site
from loralab.sharing.server.table import operations
from tests.support.asgi import ask, bearer
from tests.support.shared_runs import RUN, planted

OWNER = "owner-key-of-this-test-which-is-long-enough"
MANY = Limits(1e9, 1e9, 1e9, 1e9, 1e9, 1e9)
CHAT = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()


async def spoken(*_, **__):
    """Stands for the worker where only the door is looked at."""
    yield "Hello"
    yield Ending(reason="stop", prompt_tokens=1, tokens=1, active=("a",))


async def numbers(place, texts):
    """Stands for the worker that turns texts into numbers."""
    for _text in texts:
        assert place
        yield Embedded(numbers=(1.0, 0.0), tokens=1)


@pytest.fixture
def shared(home, lab):
    planted(home)
    found = lab.deploy(RUN, "poet")
    folder = home / "deployments" / found.id / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<h1>Hello</h1>")
    return found


def made(home, limits=MANY):
    site = Site(home, Desk(home), OWNER, limits)
    site.workers.answer, site.workers.embed = spoken, numbers
    return make_app(site), site


def path_of(one):
    return one.path.replace("{file:path}", "index.html").replace("{model}", "poet").replace("{file}", "file-0").replace("{job}", "a-run")


def asked(app, *given, **more):
    return asyncio.run(ask(app, *given, **more))


# ---- every route -----------------------------------------------------------------------------------------------------------


def test_every_route_refuses_every_key_that_does_not_open_it(home, lab, shared):
    """And says the same each time: what an unknown path says."""
    app, _ = made(home)
    expired, revoked = (lab.link(shared.id, scope, hours)[0] for scope, hours in (("chat", 1e-9), ("weights", 1)))
    lab.revoke(revoked.id)
    tokens = {scope: lab.link(shared.id, scope)[0].token for scope in ("chat", "weights", "page")}
    nowhere = asked(app, "GET", "/nowhere", [bearer("wrong")])
    assert nowhere.status == 404
    refused = 0
    for one in operations():
        if one.opens == ANYBODY:
            assert asked(app, one.method, path_of(one)).status == 200, one.path
            continue
        assert asked(app, one.method, path_of(one)).status == 401, one.path
        keys = ["wrong", expired.token, revoked.token, *(token for scope, token in tokens.items() if scope not in one.opens)]
        for key in keys:
            heard = asked(app, one.method, path_of(one), [bearer(key)], CHAT)
            assert (heard.status, heard.body) == (404, nowhere.body), (one.path, key)
            refused += 1
    assert refused > 100


def test_what_only_the_owner_may_opens_on_this_computer_only(home, shared):
    app, _ = made(home)
    owners = [one for one in operations() if not one.opens]
    assert {one.path for one in owners} >= {"/train/upload_data", "/train/start", "/train/progress", "/inference/start", "/v1/files"}
    for one in owners:
        assert asked(app, one.method, path_of(one), [bearer(OWNER)]).status != 401, one.path
        passed_on = [bearer(OWNER), (b"x-forwarded-for", b"127.0.0.1")]
        for headers, peer in ((passed_on, "127.0.0.1"), ([bearer(OWNER)], "192.168.1.9")):
            heard = asked(app, one.method, path_of(one), headers, peer=peer)
            assert heard.status == 404, one.path
            assert b"There is nothing here for this key" in heard.body


def test_a_link_reaches_its_own_deployment_only(home, lab, shared):
    planted(home, "other", strength=0.3)
    other = lab.deploy("other", "second")
    app, _ = made(home)
    key = [bearer(lab.link(shared.id)[0].token)]
    names = [one["id"] for one in json.loads(asked(app, "GET", "/v1/models", key).body)["data"]]
    assert names == ["poet", "base"]
    for name, status in (("poet", 200), (shared.id, 200), ("", 200), ("base", 200), (other.id, 404), ("second", 404), ("../poet", 404)):
        body = json.dumps({"model": name, "messages": [{"role": "user", "content": "Hello"}]}).encode()
        assert asked(app, "POST", "/v1/chat/completions", key, body).status == status, name
    lab.undeploy(shared.id)
    assert asked(app, "GET", "/v1/models", key).status == 404


def test_a_name_that_is_not_ours_is_not_answered(home, shared):
    app, _ = made(home)
    for host, status in ((b"127.0.0.1:80", 200), (b"localhost", 200), (b"[::1]:80", 200), (b"evil.example", 404), (b"", 404)):
        assert asked(app, "GET", "/health", [(b"host", host)]).status == status, host
    assert asked(app, "GET", "/health", [(b"host", b"here.tail1.ts.net")]).status == 404
    public.write(home, Public(host="here.tail1.ts.net", port=443))
    assert asked(app, "GET", "/health", [(b"host", b"here.tail1.ts.net")]).status == 200


def test_over_the_whole_internet_no_weights_leave_and_nothing_after_its_time(home, lab, shared):
    app, _ = made(home)
    funnelled = (b"tailscale-funnel-request", b"?1")
    weights, chat = ([bearer(lab.link(shared.id, scope)[0].token)] for scope in ("weights", "chat"))
    public.write(home, Public(host="here.tail1.ts.net", port=443, proven=True, funnel_until=9e12))
    assert asked(app, "GET", "/inference/weights", weights).status == 200
    assert asked(app, "GET", "/inference/weights", [*weights, funnelled]).status == 404
    assert asked(app, "GET", "/v1/models", [*chat, funnelled]).status == 200
    public.write(home, Public(host="here.tail1.ts.net", port=443, proven=True, funnel_until=1.0))
    assert asked(app, "GET", "/v1/models", [*chat, funnelled]).status == 404


def test_every_answer_says_that_nothing_is_to_be_kept_and_no_other_page_may_read_it(home, shared):
    app, _ = made(home)
    for path in ("/", "/docs", "/health", "/v1/models", "/nowhere"):
        headers = asked(app, "GET", path, [(b"origin", b"https://evil.example")]).headers
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
        assert "default-src 'none'" in headers["content-security-policy"]


# ---- how much --------------------------------------------------------------------------------------------------------------


def test_uses_are_counted_and_what_was_refused_is_not(home, lab, shared):
    app, _ = made(home)
    link, _ = lab.link(shared.id, calls=2)
    key = [bearer(link.token)]
    assert asked(app, "POST", "/v1/chat/completions", key, b"{}").status == 400
    statuses = [asked(app, "POST", "/v1/chat/completions", key, CHAT).status for _ in range(3)]
    assert statuses == [200, 200, 404]
    told = lab.links()[0]
    assert (told.uses.calls, told.state) == (2, "used_up")
    assert told.uses.last > told.created


def test_what_is_answered_is_counted_however_it_is_asked_and_what_is_refused_as_that(home, lab, shared):
    app, site = made(home)
    key = [bearer(lab.link(shared.id)[0].token)]
    for body in (CHAT, CHAT[:-1] + b', "stream": true}', CHAT[:-1] + b', "model": "base"}', CHAT[:-1] + b', "model": "nobody"}'):
        asked(app, "POST", "/v1/chat/completions", key, body)
    asked(app, "POST", "/v1/completions", key, b'{"prompt": "x"}')
    site.turns.most_waiting, site.turns.working = 0, 2
    assert asked(app, "POST", "/v1/chat/completions", key, CHAT).status == 429
    counted = {(one.model, one.operation, one.error): sum(one.duration.counts) for one in site.counts.told.asked}
    assert counted == {("poet", "chat", ""): 2, ("base", "chat", ""): 1, ("poet", "text_completion", ""): 1, ("poet", "chat", "429"): 1}
    assert all(sum(one.first.counts) == sum(one.duration.counts) for one in site.counts.told.asked if not one.error)


def test_asking_too_often_is_told_with_a_time(home, lab, shared):
    app, _ = made(home, Limits(link_per_minute=60, link_burst=3))
    key = [bearer(lab.link(shared.id)[0].token)]
    heard = [asked(app, "GET", "/v1/models", key) for _ in range(5)]
    assert [one.status for one in heard] == [200, 200, 200, 429, 429]
    assert heard[-1].headers["retry-after"] == "1"
    guessing = [asked(app, "GET", "/v1/models", [bearer(f"guess-{i}")], peer="192.0.2.7").status for i in range(30)]
    assert guessing[0] == 404
    assert guessing[-1] == 429


def test_one_address_behind_tailscale_does_not_use_up_anothers_share(home, lab, shared):
    app, _ = made(home, Limits(address_per_minute=1, address_burst=2))
    key = bearer(lab.link(shared.id)[0].token)
    first, second = ((b"x-forwarded-for", f"100.64.0.{i}".encode()) for i in (1, 2))
    assert [asked(app, "GET", "/v1/models", [key, first]).status for _ in range(3)] == [200, 200, 429]
    assert asked(app, "GET", "/v1/models", [key, second]).status == 200
    assert asked(app, "GET", "/v1/models", [key, second], peer="192.0.2.7").status == 200
    assert asked(app, "GET", "/v1/models", [key], peer="192.0.2.7").status == 200
    assert asked(app, "GET", "/v1/models", [key, first], peer="192.0.2.7").status == 429, "what a stranger says of itself does not count"


def test_what_is_kept_of_askers_is_bounded():
    buckets = Buckets(60, 5, clock=lambda: 0.0)
    for i in range(20_000):
        buckets.take(str(i))
    assert len(buckets._left) <= 4096


def test_a_body_that_is_too_large_is_not_read(home, lab, shared):
    app, _ = made(home)
    key = bearer(lab.link(shared.id)[0].token)
    said = (b"content-length", b"999999999")
    assert asked(app, "POST", "/v1/chat/completions", [key, said], b"{}").status == 413
    assert asked(app, "POST", "/v1/chat/completions", [key], b" " * (5 << 20)).status == 413


def test_two_at_once_eight_wait_and_the_rest_is_sent_away():
    async def scene():
        turns, gone, most, now = Turns(2, 8), 0, 0, 0
        release = asyncio.Event()

        async def one():
            nonlocal gone, most, now
            try:
                async with turns.turn():
                    now += 1
                    most = max(most, now)
                    await release.wait()
                    now -= 1
            except Busy:
                gone += 1

        tasks = [asyncio.create_task(one()) for _ in range(13)]
        await asyncio.sleep(0.05)
        assert (turns.working, turns.waiting, gone) == (2, 8, 3)
        tasks[5].cancel()  # one that waits hangs up
        await asyncio.sleep(0.05)
        assert turns.waiting == 7
        release.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (turns.working, turns.waiting, most) == (0, 0, 2)

    asyncio.run(scene())


def test_a_page_is_handed_to_its_link_only(home, lab, shared):
    app, _ = made(home)
    token = lab.link(shared.id, "page")[0].token
    entered = asked(app, "POST", "/page/enter", [bearer(token)])
    assert entered.status == 204
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    key = [(b"cookie", cookie.partition(";")[0].encode())]
    assert b"Hello" in asked(app, "GET", "/page/index.html", key).body
    assert asked(app, "GET", "/v1/models", key).status == 401, "the cookie opens the page and nothing else"
    for name in ("../deployment.json", "..%2fdeployment.json", ".hidden", "x/../../job.json", "/etc/passwd"):
        assert asked(app, "GET", f"/page/{name}", key).status == 404, name


def test_a_link_to_a_page_that_was_not_made_is_refused(home, lab):
    planted(home)
    found = lab.deploy(RUN)
    with pytest.raises(UserError, match="was not made yet"):
        lab.link(found.id, "page")
    folder = home / "exports" / "a-page"
    folder.mkdir(parents=True)
    (folder / "page.html").write_text("<h1>Hello</h1>")
    work = home / "runs" / "2026-01-02-a-page"
    work.mkdir(parents=True)
    (work / "job.json").write_text(ExportJob(run=work.name, of=RUN, format="page").model_dump_json())
    result = {"folder": str(folder), "file": "page.html", "parity": "proven"}
    append(work / "events.jsonl", Started(pid=1), Ended(outcome="finished", result=result))
    with pytest.raises(UserError, match="was not made yet"):
        lab.link(found.id, "page")  # it is of other weights than those that were frozen
    adapter = str(home / "deployments" / found.id / "artifacts" / "adapter")
    (work / "job.json").write_text(ExportJob(run=work.name, of=RUN, format="page", adapter=adapter).model_dump_json())
    lab.link(found.id, "page")
    assert (home / "deployments" / found.id / "page" / "index.html").read_text() == "<h1>Hello</h1>"
    lab.delete(RUN)
    with pytest.raises(UserError, match="was deleted"):
        lab.page(found.id)
