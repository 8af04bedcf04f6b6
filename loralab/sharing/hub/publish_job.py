"""Owns the Publish job: an export becomes a repository of the Hub, private, whole, and tagged with its version.

Invariants: the files stand there together or not at all, since one commit brings them; it is done only when the Hub itself lists every one
with its size; what was sent before a connection broke is not sent again; the token is read where it is kept, and told to nobody.
"""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralab.core.errors import UserError
from loralab.core.events import Noted
from loralab.core.jobs import JobFolder, PublishJob
from loralab.core.masking import Masking
from loralab.core.words import count, size
from loralab.sharing.hub.account import Account, who
from loralab.sharing.hub.review import CARD, NO_PUBLIC, SUMS, Ready, ready
from loralab.sharing.hub.talk import api, talking

EVERY = 0.5  # seconds between two lines of progress
OURS = "loralab"  # the tag by which a repository is known as one that was made here
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}")
_VERSION = re.compile(r"v(\d+)")


class Stopped(Exception):
    """The person asked to stop; raised from inside a transfer."""


@dataclass
class Sending:
    """How far it is; tells the run, and stops it where the person asked to. Bytes."""

    folder: JobFolder
    total: int
    phase: str = "looking through the files"
    done: int = 0
    begun: float = field(default_factory=time.monotonic)
    told: float = 0.0  # monotonic seconds

    def begin(self, phase: str, total: int) -> None:
        """Another phase, counted anew."""
        self.phase, self.total, self.done, self.begun, self.told = phase, total, 0, time.monotonic(), 0.0
        self.moved(0)

    def moved(self, n: int) -> None:
        """Raises Stopped."""
        if self.folder.stop_asked:
            raise Stopped
        self.done += n
        if time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            left = max(0, self.total - self.done) * (self.told - self.begun) / self.done if self.done else None
            share = min(1.0, self.done / max(1, self.total))
            self.folder.emit(Noted(text="", phase=self.phase, fraction=share, seconds_left=left))


class Watched(io.BufferedReader):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, sending: Sending) -> None:
        super().__init__(io.FileIO(path))
        self._sending = sending

    def read(self, n: int | None = -1, /) -> bytes:
        raw = super().read(n)
        self._sending.moved(len(raw))
        return raw


def run(folder: JobFolder) -> dict[str, Any]:
    """Publish as the PublishJob says.

    Returns repo, url, commit, version, files, bytes, private. The result says stopped where a person asked for it.
    """
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # plain HTTP says how far it is; must be set before the library is imported
    os.environ.setdefault("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    logging.getLogger("huggingface_hub").addFilter(Masking())
    asked, home = folder.asked(PublishJob), folder.path.parent.parent
    folder.emit(Noted(text="", phase="looking through the files"))
    made = ready(home, asked.export, samples=asked.samples)
    hub = api(Account(home).token())
    try:
        with talking():
            return _publish(hub, asked, made, folder)
    except Exception as error:
        if not folder.stop_asked and not _is(error, Stopped):
            raise
        what = "Stopped as you asked: the repository is as it was. What was sent is kept there for the next time."
        return {"outcome": "stopped", "what": what}


def _is(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _publish(hub: Any, asked: PublishJob, made: Ready, folder: JobFolder) -> dict[str, Any]:
    mine = who(hub.token)
    if not mine.writes:
        raise UserError("Your sign-in may read, and publishing writes.", "Sign in again and allow writing.", code="read_only")
    repo = named(asked.repo, mine.name)
    folder.emit(Noted(text=f"Publishing {repo} as {mine.name}: {size(made.review.bytes)}.", phase="asking the Hub"))
    hub.create_repo(repo, private=True, exist_ok=True)
    before = hub.model_info(repo, files_metadata=True)
    _may_write(hub, repo, before, asked, made)
    commit = _send(hub, repo, before, made, Sending(folder, made.review.bytes))
    folder.emit(Noted(text="", phase="looking whether all is there"))
    info = hub.model_info(repo, revision=commit, files_metadata=True)
    _all_there(made, info)
    version = _tagged(hub, repo, commit, asked.run)
    words = "only you can see it" if info.private else "everybody can see it"
    return {
        "repo": repo,
        "url": f"{hub.endpoint}/{repo}",
        "commit": commit,
        "version": version,
        "of": asked.of,
        "files": [name for name, _ in made.review.files],
        "bytes": made.review.bytes,
        "private": bool(info.private),
        "what": f"{repo} is on the Hub, {version}: {count(len(made.review.files), 'file')}; {words}.",
    }


def named(repo: str, mine: str) -> str:
    """owner/name. Raises UserError for what is no name on the Hub."""
    owner, _, name = repo.rpartition("/")
    if not _NAME.fullmatch(name) or (owner and not _NAME.fullmatch(owner)) or ".." in repo or "--" in repo:
        todo = "Use letters, digits, dots and single dashes, at most 96."
        raise UserError(f"“{repo}” is no name that the Hub takes.", todo, code="bad_name")
    return f"{owner or mine}/{name}"


def _may_write(hub: Any, repo: str, before: Any, asked: PublishJob, made: Ready) -> None:
    """Raise UserError where the repository holds something else, or is public and nobody has said that this is meant."""
    names = {one.rfilename for one in before.siblings or []} - {".gitattributes"}
    ours = OURS in (before.tags or []) or OURS in (getattr(before.card_data, "tags", None) or [])
    if names and not ours:
        what = f"{repo} holds something that was not published from LoRALab."
        raise UserError(what, "Choose another name: it is left as it is.", code="taken")
    if not before.private and made.review.clinical:
        raise UserError(NO_PUBLIC, "Choose another name: this repository is public.", code="clinical")
    if not before.private and not asked.seen:
        what = f"{repo} is public: everybody would see the new files at once."
        raise UserError(what, "Look at what becomes visible and say yes, or choose another name.", code="is_public")


def _send(hub: Any, repo: str, before: Any, made: Ready, sending: Sending) -> str:
    """Send what the Hub does not have, then make one commit of it; the commit. The same files again make none."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there = {one.rfilename for one in before.siblings or []}
    texts = {CARD: made.review.card.encode(), SUMS: made.sums.encode()}
    files = [Watched(made.folder / name, sending) for name, _ in made.review.files if name not in texts]
    names = [name for name, _ in made.review.files if name not in texts]
    try:
        adding = [CommitOperationAdd(name, file) for name, file in zip(names, files, strict=True)]
        for one in adding:
            _ = one.upload_info.sha256  # read once, for its checksum
        total = sum(bytes_ for name, bytes_ in made.review.files if name not in texts)
        sending.begin("sending", total)
        for one in adding:  # file by file: what is there is there, whatever becomes of the next
            hub.preupload_lfs_files(repo, [one], num_threads=1, free_memory=False)
        gone = [CommitOperationDelete(name) for name in sorted(there) if name not in {*names, *texts, ".gitattributes"}]
        operations = [*adding, *(CommitOperationAdd(name, raw) for name, raw in texts.items()), *gone]
        sending.phase = "putting it in its place"
        sending.moved(0)
        done = hub.create_commit(repo, operations, commit_message=f"{made.review.title}, from LoRALab"[:200], parent_commit=before.sha)
        return str(done.oid)
    finally:
        for file in files:
            file.close()


def _all_there(made: Ready, info: Any) -> None:
    """Raise UserError where the Hub's own list lacks a file or has another size of it."""
    there = {one.rfilename: one.size for one in info.siblings or []}
    lost = [name for name, bytes_ in made.review.files if there.get(name) != bytes_]
    if lost:
        what = f"The Hub does not have {lost[0]} as it was sent, so this is not done."
        raise UserError(what, "Publish again: what is there is not sent again.", code="not_whole")


def _tagged(hub: Any, repo: str, commit: str, run_id: str) -> str:
    """The version of this commit, tagged: one higher than the last; the one it has, where nothing was new."""
    tags: Sequence[Any] = hub.list_repo_refs(repo).tags
    have = next((tag.name for tag in tags if tag.target_commit == commit and _VERSION.fullmatch(tag.name)), "")
    if have:
        return have
    last = max((int(found[1]) for tag in tags if (found := _VERSION.fullmatch(tag.name))), default=0)
    hub.create_tag(repo, tag=f"v{last + 1}", revision=commit, tag_message=f"From LoRALab, {run_id}")
    return f"v{last + 1}"
