"""Owns whose account of the Hub it is: the token, where it is kept, and what it may do.

Invariants: kept in the system's keyring where there is one, else in a file for its owner's eyes only; nowhere else, and no event, plan or
sentence holds it. What the Hub does not know is not kept.
"""

from __future__ import annotations

import contextlib
import importlib.util
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.records import Record
from loralab.sharing.hub import sign_in
from loralab.sharing.hub.talk import api, talking

SERVICE = "LoRALab: Hugging Face Hub"
WHERE = "Make one that may write at huggingface.co/settings/tokens, and copy it from there."
SOON = 120.0  # seconds before its end from which on a token is renewed


class Who(Record):
    """Whose account it is, and where it may write."""

    name: str
    groups: tuple[str, ...] = ()  # organisations it may publish for
    writes: bool = True


class _Kept(Record):
    token: str
    renewal: str = ""  # with which another is asked for when this one ends
    ends: float = 0.0  # seconds since 1970; 0: not known to end


class Account:
    """The account of one workspace. Making it asks nobody and opens nothing heavy."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "account" / "hub.json"

    @property
    def kept(self) -> str:
        """Where a token is kept: `keyring`, `file`, or empty where there is none."""
        return "file" if self.file.is_file() else "keyring" if self._from_keyring() else ""

    def keep(self, token: str, renewal: str = "", seconds: float = 0.0) -> Who:
        """Ask the Hub whose token this is, and keep it. Raises UserError where it is none or may not write; then all is as it was."""
        token = token.strip()
        if not token.startswith("hf_") or not token.isascii() or len(token.split()) != 1:
            raise UserError("That is no token of the Hugging Face Hub: one begins with “hf_”.", WHERE, code="no_token")
        found = who(token)
        if not found.writes:
            raise UserError("This token may read, and publishing writes.", WHERE, code="read_only")
        text = _Kept(token=token, renewal=renewal, ends=time.time() + seconds if seconds else 0.0).model_dump_json()
        if self._into_keyring(text):
            self.file.unlink(missing_ok=True)
        else:
            write_atomic(self.file, text, private=True)
        return found

    def keep_signed_in(self, given: sign_in.Given) -> Who:
        """The same with what signing in gave."""
        return self.keep(given.token, given.renewal, given.seconds)

    def forget(self) -> None:
        """Take the token away, wherever it is."""
        self.file.unlink(missing_ok=True)
        ring = _keyring()
        if ring is not None:
            with contextlib.suppress(Exception):  # a keyring may refuse in ways of its own; then there is nothing of ours in it
                ring.delete_password(SERVICE, str(self.home))

    def token(self) -> str:
        """The token, renewed where it ends soon. Raises UserError where nobody is signed in."""
        text = self.file.read_text("utf-8") if self.file.is_file() else self._from_keyring()
        try:
            found = _Kept.model_validate_json(text)
        except ValidationError as error:
            todo = "Sign in first: the app shows a code to type on the Hub's page."
            raise UserError("Nobody is signed in to the Hugging Face Hub here.", todo, code="not_signed_in") from error
        if found.ends and found.renewal and time.time() > found.ends - SOON:
            with talking():
                given = sign_in.renewed(found.renewal)
            self.keep(given.token, given.renewal or found.renewal, given.seconds)
            return given.token
        return found.token

    def who(self) -> Who:
        """Whose account it is, asked at the Hub. Raises UserError where nobody is signed in."""
        return who(self.token())

    def _from_keyring(self) -> str:
        ring = _keyring()
        if ring is None:
            return ""
        with contextlib.suppress(Exception):  # locked, or without its service: then it is as if there were none
            return ring.get_password(SERVICE, str(self.home)) or ""
        return ""

    def _into_keyring(self, text: str) -> bool:
        ring = _keyring()
        if ring is None:
            return False
        with contextlib.suppress(Exception):  # see above
            ring.set_password(SERVICE, str(self.home), text)
            return ring.get_password(SERVICE, str(self.home)) == text
        return False


def who(token: str) -> Who:
    """Whose token it is, and whether it may write. No e-mail address is read: a fine-grained token has none."""
    with talking():
        said: dict[str, Any] = api(token).whoami()
    role = ((said.get("auth") or {}).get("accessToken") or {}).get("role")
    groups = (group for group in said.get("orgs") or [] if group.get("roleInOrg") in (None, "admin", "write", "contributor"))
    return Who(name=str(said["name"]), groups=tuple(str(group["name"]) for group in groups), writes=role != "read")


def _keyring() -> Any:
    """The system's keyring, where the package for it is installed and finds one; else None."""
    if importlib.util.find_spec("keyring") is None:
        return None
    ring: Any = importlib.import_module("keyring")
    nothing = ("keyring.backends.fail", "keyring.backends.null")  # what stands for “this system has none”
    return None if type(ring.get_keyring()).__module__ in nothing else ring
