"""Owns a person's token of the Hugging Face Hub, for models whose owners let people in one by one.

Invariants: it lies in the workspace, written by the Hub's own library for this user's eyes only, once the Hub has said whose it is; every
process of this workspace finds it through the library's own setting. Where none is kept here, the library's usual one counts.
"""

from __future__ import annotations

import os
from pathlib import Path

from loralab.core.errors import UserError
from loralab.models.hub import asked

SETTING = "HF_TOKEN_PATH"  # where the library looks
WHERE = "Copy it from huggingface.co/settings/tokens."


class HubToken:
    """The token of one workspace. Making it lets this process, and those it starts, use what is kept; nothing heavy is imported."""

    def __init__(self, home: Path) -> None:
        self.file = home / "hub" / "token"
        if self.kept:
            os.environ[SETTING] = str(self.file)

    @property
    def kept(self) -> bool:
        """Whether there is one."""
        return self.file.is_file()

    def keep(self, token: str) -> None:
        """Keep a token. Raises UserError where the Hub does not know it, Unavailable without a network; then all is as it was."""
        import huggingface_hub

        token = token.strip()
        if not token.startswith("hf_") or not token.isascii() or len(token.split()) != 1:
            raise UserError("That is no token of the Hugging Face Hub: one begins with “hf_”.", WHERE, code="no_token")
        self._look(self.file)
        try:
            asked("your account", lambda: huggingface_hub.login(token=token, add_to_git_credential=False))
        except (ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
            raise UserError("The Hub does not know this token.", f"{WHERE} It may have been revoked.", code="no_token") from error
        finally:
            if not self.kept:
                self._look(None)

    def forget(self) -> None:
        """Take the token away."""
        for file in self.file.parent.glob("*"):
            file.unlink()
        self._look(None)

    def _look(self, file: Path | None) -> None:
        """Say where the library is to look, also to one that has read its setting already; None: its usual place."""
        from huggingface_hub import constants

        place = file or Path(constants.HF_HOME, "token")
        os.environ.update({SETTING: str(file)}) if file else os.environ.pop(SETTING, None)
        constants.HF_TOKEN_PATH = str(place)
        constants.HF_STORED_TOKENS_PATH = str(place.with_name("stored_tokens"))
