"""Owns what the Hub's refusals and a lost connection mean for a person. Invariant: each says what happened and what to do next."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from json import JSONDecodeError
from typing import Any
from urllib.parse import quote

import httpx

from loralab.core.errors import LabError, Unavailable, UserError
from loralab.core.masking import masked

NETWORK = {"TransportError", "NetworkError", "TimeoutException", "ConnectionError", "gaierror", "OfflineModeIsEnabled"}
MOST_TEXT = 2 << 20  # bytes of a card that are read
KEPT = "Nothing that was sent is lost: publish again, and it goes on from there."
_SAID = {
    401: ("not_signed_in", "The Hub does not know this sign-in any more.", "Sign in again, then publish again."),
    402: ("no_room", "Your account at the Hub has no room left for private files.", "Remove something there, then publish again."),
    403: ("not_allowed", "Your sign-in may not write there.", "Sign in again and allow writing, or choose a name of your own."),
    404: ("no_repo", "This repository is not there, or not for your eyes.", "Check its name, and that you are signed in as its owner."),
    409: ("conflict", "The repository was changed by somebody else in the meantime.", "Look at it on the Hub, then publish again."),
    412: ("conflict", "The repository was changed by somebody else in the meantime.", "Look at it on the Hub, then publish again."),
    413: ("too_large", "The Hub does not take a file of this size.", "Choose a smaller form: the adapter alone, or a smaller GGUF."),
    422: ("not_taken", "The Hub does not take this name or this card.", "Choose another name: letters, digits, dots and dashes."),
    429: ("hub_busy", "The Hub asks for a pause: there were too many requests.", "Wait a few minutes and publish again."),
}


def told(error: BaseException) -> LabError | None:
    """The error a person can act on, for one of the Hub's library or of the network, looked for in its causes; None for any other."""
    seen: BaseException | None = error
    while seen is not None:
        found = seen if isinstance(seen, LabError) else _of_status(seen) or _of_network(seen)
        if found is not None:
            return found
        seen = seen.__cause__ or seen.__context__
    return None


def _of_status(error: BaseException) -> LabError | None:
    """For an answer that is a refusal."""
    status = int(getattr(getattr(error, "response", None), "status_code", 0) or 0)
    if status == 429:
        code, what, todo = _SAID[status]
        return Unavailable(what, _pause(error) or todo, code=code)
    if status in _SAID:
        code, what, todo = _SAID[status]
        return UserError(what, todo, code=code)
    if status == 400:
        return UserError(f"The Hub did not take it: {_words(error)}", "Choose another name, or publish again later.", code="not_taken")
    if status >= 500:
        return Unavailable(f"The Hub has trouble of its own (answer {status}).", f"Try again in a few minutes. {KEPT}", code="hub_busy")
    return None


def _of_network(error: BaseException) -> LabError | None:
    """For no answer at all, or one that is none."""
    if isinstance(error, JSONDecodeError):
        return Unavailable("The Hub answered something that is no answer.", f"Try again in a few minutes. {KEPT}", code="hub_busy")
    if NETWORK & {kind.__name__ for kind in type(error).__mro__}:
        return Unavailable("The connection to the Hub broke off.", f"Check it. {KEPT}", code="no_network")
    return None


def _pause(error: Any) -> str:
    """How long the Hub asks to wait, where it says so in seconds."""
    after = str(error.response.headers.get("Retry-After") or "")
    return f"Wait {max(1, round(int(after) / 60))} minutes and publish again. {KEPT}" if after.isdigit() and int(after) > 60 else ""


def _words(error: Any) -> str:
    """What the Hub itself said, in one short line."""
    said = str(getattr(error, "server_message", "") or "no reason was given")
    return masked(" ".join(said.split()))[:200].rstrip(".") + "."


@contextlib.contextmanager
def talking() -> Generator[None, None, None]:
    """Turn the Hub's refusals inside into errors that a person can act on; a bug stays what it is."""
    try:
        yield
    except LabError:
        raise
    except Exception as error:
        found = told(error)
        if found is None:
            raise
        raise found from error


def api(token: str = "") -> Any:
    """The Hub's library, with this token and no other: one that lies on the computer for other programs is not used."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    from huggingface_hub import HfApi, constants

    return HfApi(endpoint=constants.ENDPOINT, token=token or False, library_name="loralab")


def text_of(hub: Any, repo: str, name: str, revision: str) -> str:
    """A small text file of a repository, at most MOST_TEXT bytes of it. Nothing of it stays on the disk. Raises httpx errors."""
    url = f"{hub.endpoint}/{repo}/resolve/{quote(revision, safe='')}/{quote(name)}"
    headers = {"Authorization": f"Bearer {hub.token}"} if hub.token else {}
    raw = b""
    with httpx.stream("GET", url, headers=headers, timeout=30.0, follow_redirects=True) as answer:
        answer.raise_for_status()
        for block in answer.iter_bytes(1 << 16):
            raw += block
            if len(raw) > MOST_TEXT:
                break
    return raw[:MOST_TEXT].decode("utf-8", "replace")
