"""Owns what the place for links shows. Invariant: it reads and draws; a token is drawn once, in the answer to the click that made it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from loralab.lab import SCOPE_WORDS, Deployment, Lab, Link, qr_svg
from ui.markup import draw
from ui.words import count, duration, paragraph

HERE = "127.0.0.1"
WHERE = (  # how to choose among the addresses of a link
    ("https://", "For your devices with Tailscale, anywhere"),
    (f"http://{HERE}", "On this computer"),
    ("http://", "In the same network"),
)
STATES = {"open": ("open", "good"), "revoked": ("closed", ""), "expired": ("time is over", ""), "used_up": ("used up", "")}
MOST_CLOSED = 5  # links that open nothing any more and are still shown
NONE_YET = "No link yet. The button above makes one."


def given_html(link: Link, deployment: Deployment, addresses: Sequence[str]) -> str:
    """A link in the moment it was made."""
    found = [(where, address) for address in addresses[:3] for where in [_where(address)]]
    outside = next((address for address in addresses if HERE not in address), "")
    words = f"It is open for {_span(link.expires - link.created)}. Whoever has it may use it, so give it only to those it is for."
    if not addresses:
        words = "It has an address once sharing is switched on."
    return draw("links", "given", "Your link is ready", words, found, qr_svg(outside) if outside else "", link.token, deployment.called)


def _where(address: str) -> str:
    return next(words for start, words in WHERE if address.startswith(start))


def on_html(lab: Lab) -> str:
    """Whether anybody is answered now, and where."""
    serving = lab.serving()
    if serving is None:
        return draw("links", "on", "Sharing is off", "", ())
    reach = "with Tailscale" if serving.beyond else "in this network" if serving.house else "on this computer only"
    return draw("links", "on", f"Sharing is on, {reach}", "good", serving.places[:2])


def links_html(lab: Lab) -> str:
    """Every open link, then the last ones that were closed."""
    titles = {one.id: one.title for one in lab.deployments()}
    found = lab.links()
    shown = [one for one in found if one.state == "open"] + [one for one in found if one.state != "open"][:MOST_CLOSED]
    rows = [_row(one, titles.get(one.deployment, "what was deleted")) for one in shown]
    return draw("links", "links", rows) if rows else paragraph(NONE_YET, "fine")


def _row(link: Link, title: str) -> tuple[str, str, str, str, str, str, str, str, bool]:
    state, tone = STATES[link.state]
    left = link.expires - time.time()
    until = f"open for another {_span(left)}" if link.state == "open" else f"made {_ago(link.created)}"
    used = f"used {count(link.uses.calls, 'time')}, last {_ago(link.uses.last)}" if link.uses.calls else "not used yet"
    return link.id, title, SCOPE_WORDS[link.scope].lower(), link.note, state, tone, until, used, link.state == "open"


def _ago(moment: float) -> str:
    passed = time.time() - moment
    return "just now" if passed < 10 else f"{_span(passed)} ago"


def _span(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 24 hours, 7 days."""
    if seconds < 5400:
        return duration(seconds)
    return count(round(seconds / 3600), "hour") if seconds < 36 * 3600 else count(round(seconds / 86400), "day")


def deployments_html(lab: Lab) -> str:
    """Everything that was frozen, with its versions."""
    rows = [
        (one.id, one.name, one.title, one.base, [(what, version) for what, version in one.versions.model_dump().items() if version])
        for one in lab.deployments()
    ]
    return draw("links", "deployments", rows) if rows else paragraph("Nothing is shared yet.", "fine")
