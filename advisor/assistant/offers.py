"""The two language models that are offered for download. Invariant: nothing is fetched before a person was told the size and said yes."""

from __future__ import annotations

from advisor.assistant import models
from loralab.core.errors import LabError
from loralab.core.jobs import DownloadJob
from loralab.core.records import Record
from loralab.core.words import size as told_size
from loralab.lab import Lab


class Offer(Record):
    """A model that can be fetched."""

    name: str
    hub_id: str
    file: str
    bytes: int
    licence: str
    words: str


# Sizes as the Hub gave them in 2026.
OFFERS = (
    Offer(
        name="small",
        hub_id="unsloth/Qwen3-1.7B-GGUF",
        file="Qwen3-1.7B-Q4_K_M.gguf",
        bytes=1_107_409_472,
        licence="Apache-2.0",
        words="Qwen3 1.7B: the quicker one.",
    ),
    Offer(
        name="large",
        hub_id="unsloth/Qwen3-4B-Instruct-2507-GGUF",
        file="Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        bytes=2_497_281_120,
        licence="Apache-2.0",
        words="Qwen3 4B: the more careful one; slower.",
    ),
)


def offer(name: str) -> Offer | None:
    """An offer by its name."""
    return next((one for one in OFFERS if one.name == name), None)


def question(lab: Lab, one: Offer) -> str:
    """What a person is asked before anything is fetched, with the size the Hub gives now, or else the one known here."""
    try:
        size = lab.file_bytes(one.hub_id, one.file)
        about = ""
    except LabError:
        size, about = one.bytes, "about "
    return f"Download {one.file} from {one.hub_id} ({about}{told_size(size)}, licence {one.licence})?"


def fetch(lab: Lab, one: Offer) -> str:
    """Start the download, once it was asked for; the run's id. When it is done it is used by itself."""
    folder = models.models_dir(lab.home)
    return lab.begin(DownloadJob(model=one.hub_id, file=one.file, folder=str(folder)))
