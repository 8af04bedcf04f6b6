"""Owns what the Hugging Face Hub says of a data set before anything is fetched: its parts, their size, its licence.

The Hub keeps a copy of each public data set as Parquet files, a folder for each configuration and split. These are taken, not a stream:
their size is known to the byte, they are of one state, they carry the names of classes, and a transfer can go on in the middle.
Invariant: only small facts travel, and only when a person named the data set.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.paths import room
from loralab.core.records import Record
from loralab.core.words import count, listed, size
from loralab.models.hub import HubFile, asked

ABOUT = "about.json"  # beside the file: where it is from
TABLES = "refs/convert/parquet"  # the branch with the Hub's own copy
PAGE = "https://huggingface.co/datasets/"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SHARD = re.compile(r"[-_.]\d+[-_]of[-_]\d+(?=\.parquet$)")


class Piece(Record):
    """A file of a data set and what it belongs to."""

    config: str
    split: str
    file: HubFile


class HubDataset(Record):
    """A data set as the Hub lists it, and which part of it is meant."""

    name: str
    config: str
    configs: tuple[str, ...]
    split: str = ""  # empty: all of them
    splits: tuple[str, ...]  # of this configuration
    revision: str  # the commit: all files are of the same state
    licence: str = ""
    gated: bool = False
    cut: bool = False  # the Hub's copy holds only the beginning of a very large one
    pieces: tuple[Piece, ...]  # what is meant, first what one learns from

    @property
    def bytes(self) -> int:
        """What there is to fetch."""
        return sum(piece.file.bytes for piece in self.pieces)

    @property
    def words(self) -> str:
        """What it takes and under which terms."""
        part = f", {self.config}" if len(self.configs) > 1 else ""
        terms = (
            f"its licence is “{self.licence}”" if self.licence else "it names no licence: ask its owner before you publish what it taught"
        )
        cut = " The Hub has only the beginning of it ready." if self.cut else ""
        gate = " Its owner lets people in who accept the terms on its page." if self.gated else ""
        return f"{self.name}{part} ({listed([self.split] if self.split else self.splits)}) takes {size(self.bytes)}; {terms}.{cut}{gate}"

    def folder(self, home: Path, columns: tuple[str, ...]) -> Path:
        """Where it lies once it is here."""
        asked_for = "\n".join((self.name, self.config, self.split, self.revision, *columns))
        name = f"{self.name.replace('/', '--')}-{hashlib.sha256(asked_for.encode()).hexdigest()[:8]}"
        return room("datasets", home) / "hub" / name


def is_hub_name(name: str) -> bool:
    """Whether this reads as the name of a data set on the Hub, and as no place on this computer: that one is nobody else's business."""
    return (
        bool(_NAME.fullmatch(name)) and not name.startswith(".") and not Path(name).parent.exists() and not re.search(r"\.[a-z]\w*$", name)
    )


def from_hub(file: Path) -> str:
    """The licence of a file that came from the Hub, with its name there; empty for any other file."""
    try:
        about = json.loads((file.parent / ABOUT).read_text("utf-8"))
        return f"{about['licence']} ({about['name']} on the Hugging Face Hub)" if about["licence"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def look_up(name: str, config: str = "", split: str = "", revision: str = "") -> HubDataset:
    """Ask the Hub about a data set. Raises UserError where it or the part is not there, Unavailable without a network."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    name = name.strip().removeprefix(PAGE).strip("/")
    if not _NAME.fullmatch(name):
        what = f"“{name}” is not the name of a data set on the Hub." if name else "No name was given."
        raise UserError(what, "Copy it from the top of its page, as owner/name.", code="unknown_dataset")
    api = HfApi()
    about = asked(name, lambda: api.dataset_info(name, timeout=15, files_metadata=True), "dataset")
    try:
        held = asked(name, lambda: api.dataset_info(name, revision=revision or TABLES, timeout=15, files_metadata=True), "dataset")
    except RevisionNotFoundError:  # a private one, or one that was put there a moment ago
        held = about
    files = [HubFile(name=one.rfilename, bytes=int(one.size or 0)) for one in held.siblings or []]
    found = [piece for file in files if (piece := _placed(file))]
    if not found:
        what = f"The Hub has {name} not ready as a table."
        raise UserError(
            what, f"Open {PAGE.removeprefix('https://')}{name}, download its files there and choose them here.", code="no_table"
        )
    configs = tuple(dict.fromkeys(piece.config for piece in found))
    config = _one_of(config or ("default" if "default" in configs else configs[0]), configs, f"{name} has no configuration")
    found = sorted((p for p in found if p.config == config), key=lambda p: (not p.split.startswith("train"), p.split, p.file.name))
    splits = tuple(dict.fromkeys(piece.split for piece in found))
    if split:
        _one_of(split, splits, f"{name} has no split")
    meant = tuple(piece for piece in found if split in ("", piece.split))
    return HubDataset(
        name=name,
        config=config,
        configs=configs,
        split=split,
        splits=splits,
        revision=held.sha or TABLES,
        licence=_licence(about.card_data),
        gated=bool(about.gated),
        cut=any("/partial-" in piece.file.name for piece in meant),
        pieces=meant,
    )


def _placed(file: HubFile) -> Piece | None:
    """Which configuration and split a file is of: config/split/0000.parquet in the Hub's copy, else config/split-0-of-1.parquet."""
    *folders, last = file.name.split("/")
    if not last.endswith(".parquet"):
        return None
    split = _SHARD.sub("", last).removesuffix(".parquet")
    if split.isdigit() and len(folders) > 1:
        return Piece(config=folders[-2], split=folders[-1].removeprefix("partial-"), file=file)
    return Piece(config=folders[-1] if folders and folders[-1] != "data" else "default", split=split, file=file)


def _one_of(wanted: str, there: tuple[str, ...], what: str) -> str:
    if wanted in there:
        return wanted
    more = f" and {count(len(there) - 20, 'other')}" if len(there) > 20 else ""
    raise UserError(f"{what} “{wanted}”.", f"Choose one of these: {', '.join(there[:20])}{more}.", code="no_such_part")


def _licence(card: object) -> str:
    said = getattr(card, "license", None)
    said = ", ".join(map(str, said)) if isinstance(said, list) else str(said or "")
    return "" if said == "unknown" else said
