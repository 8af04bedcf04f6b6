"""Owns making a repository public: a second act, after a person has seen what becomes visible.

Invariant: what becomes public is the very state that was shown; where it changed in between, it is shown again.
"""

from __future__ import annotations

from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.sharing.hub.account import Account
from loralab.sharing.hub.review import CARD, NO_PUBLIC, Found, clinical, scanned
from loralab.sharing.hub.talk import api, talking, text_of

LOOKED = (".md", ".json", ".txt", ".py", ".jinja")
MOST = 2 << 20  # bytes of a text that is looked through
NOT_WORDS = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json")


class Visible(Record):
    """What everybody would see, as it lies on the Hub now."""

    repo: str
    url: str
    commit: str
    private: bool
    files: tuple[tuple[str, int], ...]
    card: str
    found: tuple[Found, ...]


def visible(home: Path, run: str, repo: str) -> Visible:
    """Ask the Hub what a repository of ours holds, and look through its words. Raises UserError where it must stay private."""
    if clinical(home, run):
        raise UserError(NO_PUBLIC, "It stays private.", code="clinical")
    hub = api(Account(home).token())
    with talking():
        info = hub.model_info(repo, files_metadata=True)
        files = tuple(sorted((one.rfilename, int(one.size or 0)) for one in info.siblings or [] if one.rfilename != ".gitattributes"))
        texts = {name: text_of(hub, repo, name, str(info.sha)) for name, size in files if _looked(name, size)}
    found = tuple(one for name, text in texts.items() for one in scanned(name, text))
    card = texts.get(CARD, "")
    return Visible(
        repo=repo, url=f"{hub.endpoint}/{repo}", commit=str(info.sha), private=bool(info.private), files=files, card=card, found=found
    )


def _looked(name: str, size: int) -> bool:
    return name.endswith(LOOKED) and name not in NOT_WORDS and size <= MOST


def make_public(home: Path, run: str, seen: Visible) -> None:
    """Let everybody see what was shown. Raises UserError where the repository is no longer what a person has seen."""
    if clinical(home, run):
        raise UserError(NO_PUBLIC, "It stays private.", code="clinical")
    hub = api(Account(home).token())
    with talking():
        now = str(hub.model_info(seen.repo).sha)
        if now != seen.commit:
            raise UserError("The repository was changed since you looked.", "Look at it again, then say yes.", code="changed")
        hub.update_repo_settings(seen.repo, private=False)


def make_private(home: Path, repo: str) -> None:
    """Take it back from everybody's eyes. What somebody has copied meanwhile stays with them."""
    hub = api(Account(home).token())
    with talking():
        hub.update_repo_settings(repo, private=True)
