"""Owns signing in with a code: the app shows it, a person types it on the Hub's own page, the Hub hands over a token.

Source: RFC 8628, Device Authorization Grant. Invariant: it asks no faster than the Hub allows, and never longer than the code holds.
"""

from __future__ import annotations

import time
from typing import Any

import httpx

from loralab.core.errors import Unavailable, UserError
from loralab.core.records import Record

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TIMEOUT = 15.0  # seconds
AGAIN = "Begin again: you get another code."


class Code(Record):
    """What a person is shown, and what the Hub is asked with."""

    shown: str  # to be typed
    page: str  # where
    link: str  # the same page with the code filled in
    secret: str
    every: float  # seconds between two questions
    ends: float  # on the monotonic clock


class Given(Record):
    """What signing in gives."""

    token: str
    renewal: str = ""
    seconds: float = 0.0  # that it holds; 0: not said


def begin() -> Code:
    """Ask the Hub for a code. Raises Unavailable where it cannot be reached or gives none."""
    try:
        said = _post("device", {})
        page = str(said["verification_uri"])
        return Code(
            shown=str(said["user_code"]),
            page=page,
            link=str(said.get("verification_uri_complete") or page),
            secret=str(said["device_code"]),
            every=float(said.get("interval") or 5),
            ends=time.monotonic() + float(said.get("expires_in") or 900),
        )
    except (httpx.HTTPError, ValueError, KeyError) as error:
        todo = "Check the connection, or paste a token instead."
        raise Unavailable("The Hub gave no code to sign in with.", todo, code="no_network") from error


def ask(code: Code) -> tuple[Given | None, Code]:
    """Whether the person has typed it: what the Hub gave, or None while they have not, with the code as it is to be asked next.

    Wait `code.every` seconds between two calls. Raises UserError where they said no or the code has ended.
    """
    if time.monotonic() > code.ends:
        raise UserError("The code has ended before it was typed.", AGAIN, code="code_ended")
    try:
        said = _post("token", {"grant_type": GRANT, "device_code": code.secret})
    except (httpx.HTTPError, ValueError):  # a moment without network, an error of the Hub's: the code still holds
        return None, code
    if said.get("access_token"):
        return _given(said), code
    match said.get("error"):
        case "slow_down":
            return None, code.model_copy(update={"every": code.every + 5})
        case "access_denied":
            raise UserError("Signing in was refused on the Hub's page.", AGAIN, code="sign_in_refused")
        case "expired_token":
            raise UserError("The code has ended before it was typed.", AGAIN, code="code_ended")
        case _:
            return None, code


def renewed(renewal: str) -> Given:
    """Another token for one that ends. Raises UserError where the Hub gives none any more, httpx errors without a network."""
    said = _post("token", {"grant_type": "refresh_token", "refresh_token": renewal})
    if not said.get("access_token"):
        raise UserError("Your sign-in at the Hub has ended.", "Sign in again.", code="not_signed_in")
    return _given(said)


def _given(said: dict[str, Any]) -> Given:
    return Given(token=str(said["access_token"]), renewal=str(said.get("refresh_token") or ""), seconds=float(said.get("expires_in") or 0))


def _post(what: str, fields: dict[str, str]) -> dict[str, Any]:
    from huggingface_hub import constants

    fields = {"client_id": constants.DEVICE_CODE_OAUTH_CLIENT_ID, **fields}
    answer = httpx.post(f"{constants.ENDPOINT}/oauth/{what}", data=fields, timeout=TIMEOUT)
    if answer.status_code >= 500:
        answer.raise_for_status()
    said = answer.json()
    if not isinstance(said, dict):
        raise ValueError("no answer of the form that was agreed on")  # noqa: TRY004 - it is the other side's
    return said
