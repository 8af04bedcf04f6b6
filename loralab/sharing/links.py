"""Owns links: who may use what, for how long. `LORALAB_HOME/sharing/links/<id>.json`.

Invariants: a link's token is shown once and kept as its sha256 only; what a link may do was said when it was made and never grows;
revoking works with the next request. One writer per file: the app writes a link, only the server writes how it was used.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.core.words import listed
from loralab.sharing.deployment import Deployment

Scope = Literal["chat", "classify", "weights", "page"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
WORDS = {
    "chat": "Ask it and read its answers",
    "classify": "Let it look at pictures",
    "weights": "Download what was learned",
    "page": "Open its page",
}
USUAL_HOURS, MOST_HOURS = 24.0, 24.0 * 366
_ID = re.compile(r"[0-9a-f]{12}")
LONGEST_TOKEN = 64  # characters; one of 32 random bytes has 43


class Uses(Record):
    """How often and when a link was used last."""

    calls: int = 0
    last: float = 0.0


class Link(Record):
    """What a link opens. `token` is only there in the moment it is made."""

    id: str
    digest: str
    deployment: str
    scope: Scope
    created: float
    expires: float
    most_calls: int = 0  # 0: as many as the rate allows
    revoked: float = 0.0
    note: str = ""  # for whom it is, in the person's own words
    uses: Uses = Uses()
    token: str = ""

    def open_at(self, now: float) -> bool:
        """Whether it opens anything now."""
        spent = self.most_calls and self.uses.calls >= self.most_calls
        return not self.revoked and now < self.expires and not spent

    @property
    def state(self) -> Literal["open", "revoked", "expired", "used_up"]:
        """What became of it."""
        if self.revoked:
            return "revoked"
        if time.time() >= self.expires:
            return "expired"
        return "open" if self.open_at(time.time()) else "used_up"


def fits(deployment: Deployment, scope: str) -> bool:
    """Whether a deployment can do what a scope is about."""
    return {"chat": deployment.answers == "chat", "classify": deployment.answers != "chat"}.get(scope, True)


def make(home: Path, deployment: Deployment, scope: str, hours: float = USUAL_HOURS, most_calls: int = 0, note: str = "") -> Link:
    """A new link, with its token. Raises UserError for a scope or a time that is none."""
    known = [one for one in SCOPES if fits(deployment, one)]
    if scope not in known:
        raise UserError(f"A link to this cannot be for “{scope}”.", f"Choose {listed(known, 'or')}.", code="bad_scope")
    if not 0 < hours <= MOST_HOURS:
        raise UserError("A link is open for an hour up to a year.", "Give the hours, such as 24.", code="bad_hours")
    if most_calls < 0:
        raise UserError("A link cannot be used fewer than no times.", "Leave it out, or give a number.", code="bad_calls")
    token = secrets.token_urlsafe(32)
    whole = _digest(token)
    now = time.time()
    found = Link(
        id=whole[:12],
        digest=whole,
        deployment=deployment.id,
        scope=scope,  # type: ignore[arg-type]  (checked above)
        created=now,
        expires=now + 3600 * hours,
        most_calls=most_calls,
        note=note.strip()[:80],
    )
    _write(home, found)
    return found.model_copy(update={"token": token})


def links(home: Path) -> tuple[Link, ...]:
    """All of them, newest first, with how they were used."""
    found = (_read(home, path.stem) for path in (home / "sharing" / "links").glob("*.json"))
    return tuple(sorted((one for one in found if one), key=lambda one: -one.created))


def revoke(home: Path, link: str) -> Link:
    """Close a link for good, by its id or its token. Raises UserError where there is none."""
    found = _read(home, link) or _read(home, _digest(link)[:12])
    if found is None:
        raise UserError("There is no such link.", "See the list of links.", code="no_link")
    if not found.revoked:
        found = found.model_copy(update={"revoked": time.time()})
        _write(home, found)
    return found


def revoke_all(home: Path, deployment: str) -> int:
    """Close every link to a deployment; how many were open."""
    open_ = [one for one in links(home) if one.deployment == deployment and one.state == "open"]
    for one in open_:
        revoke(home, one.id)
    return len(open_)


def opened_by(home: Path, token: str) -> Link | None:
    """The link of a token, in whatever state it is; None where there is none."""
    if not 0 < len(token) <= LONGEST_TOKEN:
        return None
    whole = _digest(token)
    found = _read(home, whole[:12])
    return found if found and hmac.compare_digest(found.digest.encode(), whole.encode()) else None


def used(home: Path, link: Link) -> Link:
    """The link with one more use. Only the server calls this."""
    uses = Uses(calls=link.uses.calls + 1, last=time.time())
    paths.write_atomic(_room(home) / f"{link.id}.used", uses.model_dump_json(), private=True)
    return link.model_copy(update={"uses": uses})


def not_used(home: Path, link: Link) -> None:
    """Take a use back that came to nothing. Only the server calls this."""
    found = _read(home, link.id)
    if found and found.uses.calls:
        uses = found.uses.model_copy(update={"calls": found.uses.calls - 1})
        paths.write_atomic(_room(home) / f"{link.id}.used", uses.model_dump_json(), private=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _room(home: Path) -> Path:
    return paths.room("links", paths.room("sharing", home))


def _write(home: Path, link: Link) -> None:
    kept = link.model_copy(update={"uses": Uses(), "token": ""})
    paths.write_atomic(_room(home) / f"{link.id}.json", kept.model_dump_json(indent=2), private=True)


def _read(home: Path, link: str) -> Link | None:
    if not _ID.fullmatch(link):
        return None
    path = home / "sharing" / "links" / f"{link}.json"
    try:
        found = Link.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    uses = Uses()
    with suppress(OSError, ValidationError):
        uses = Uses.model_validate_json(path.with_suffix(".used").read_bytes())
    return found.model_copy(update={"uses": uses})
