"""Owns a gallery: adapters for the models of this computer, from the Hub by search or from a folder, and getting one here.

Invariants: searching sends names of base models and nothing else; only an adapter's own files are fetched, never a pickle; a file whose
checksum is not the index's is not opened. Whether it fits its base is the import's to say.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.jobs import TrainJob
from loralab.core.records import Record
from loralab.core.words import size
from loralab.models import fingerprint
from loralab.models.catalog import Catalog
from loralab.models.model_folder import MARKER
from loralab.runs import runs
from loralab.sharing.hub.index import INDEX, Listed, read_index
from loralab.sharing.hub.talk import api, talking, text_of

WANTED = ("adapter_config.json", "adapter_model.safetensors")
BESIDE = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "README.md")
MOST = 20  # adapters of the Hub shown for one base
MOST_BASES = 12  # that are asked about
SPARE = 64 << 20  # bytes left free for everything else
Note = Callable[[int, int], object]  # bytes that are here, bytes there are


class Adapter(Record):
    """One adapter of a gallery."""

    name: str  # of the Hub: owner/name; of a folder: the file
    title: str
    place: str  # “hub”, or the folder
    base: str  # as its maker calls it
    model: str = ""  # what that is called on this computer; empty where it is not here
    bytes: int = 0  # 0: not known before it is fetched
    sha256: str = ""
    revision: str = ""
    licence: str = ""
    learned: str = ""
    usable: str = ""
    measured: tuple[str, ...] = ()  # of the Hub: what its maker measured
    heldout: int = 0
    downloads: int = 0
    card: str = ""
    run: str = ""  # the run it is here, once it is installed

    @property
    def mark(self) -> str:
        """The name under which it comes in, by which it is known again."""
        return f"{self.name.replace('/', '--')}@{self.revision[:12]}" if self.place == "hub" else self.name


def bases_here(catalog: Catalog) -> dict[str, str]:
    """The base models on this computer: what others call each (Hub id, or its own name) -> its name here."""
    found = {entry.hub_id or entry.name: entry.name for entry in catalog.entries() if entry.present}
    for marker in sorted((catalog.home / "models").glob(f"*/{MARKER}")):
        try:
            name = str(json.loads(marker.read_text("utf-8")).get("model") or "")
        except (OSError, ValueError):
            continue
        if name.count("/") == 1:
            found.setdefault(name, name)
    return found


def installed(home: Path) -> dict[str, str]:
    """What came in from galleries: its mark -> its run."""
    found: dict[str, str] = {}
    for run in runs.list_runs(home):
        job = runs.job(home, run)
        if isinstance(job, TrainJob) and job.imported:
            found[job.imported.source] = run
    return found


def from_folder(folder: Path, catalog: Catalog, bases: Mapping[str, str], here: Mapping[str, str]) -> tuple[Adapter, ...]:
    """The adapters of a folder, those for models of this computer first. Raises UserError where there is no gallery."""
    own = {str(path.parent): path.parent for path in sorted((catalog.home / "models").glob("*/config.json"))}
    root = folder.parent if folder.name == INDEX else folder
    found = [_of_folder(one, root, bases, own) for one in read_index(folder).adapters]
    return _ordered(one.model_copy(update={"run": here.get(one.mark, "")}) for one in found)


def _of_folder(one: Listed, root: Path, bases: Mapping[str, str], own: Mapping[str, Path]) -> Adapter:
    told = one.model_dump(include={"bytes", "sha256", "licence", "learned", "usable", "heldout", "card", "base", "title"})
    return Adapter(name=one.file, place=str(root), model=_here(one, bases, own), **told)


def _here(one: Listed, bases: Mapping[str, str], own: Mapping[str, Path]) -> str:
    """What its base is called here: by its name, else by its fingerprint among the folders of the workspace; empty where it is not here."""
    found = bases.get(one.base) or next((name for name in bases.values() if name == one.base), "")
    return found or next((name for name, folder in own.items() if one.base_print and _same(folder, one.base_print)), "")


def _same(folder: Path, then: dict[str, str]) -> bool:
    try:
        return fingerprint.differs(then, fingerprint.print_of(folder), folder.name) is None
    except (OSError, ValueError):
        return False


def _ordered(found: Iterable[Adapter]) -> tuple[Adapter, ...]:
    return tuple(sorted(found, key=lambda one: (not one.model, -one.downloads, one.title.lower())))


def from_hub(bases: Mapping[str, str], here: Mapping[str, str], token: str = "") -> tuple[Adapter, ...]:
    """Adapters of the Hub for the models of this computer, the most used first. Raises LabError where the Hub does not answer."""
    hub = api(token)
    found: dict[str, Adapter] = {}
    fields = ["cardData", "downloads", "tags", "sha", "private"]
    with talking():
        for base in [name for name in bases if name.count("/") == 1][:MOST_BASES]:
            for info in hub.list_models(filter=f"base_model:adapter:{base}", sort="downloads", limit=MOST, expand=fields):
                found.setdefault(str(info.id), _of_hub(info, base, bases[base]))
    return _ordered(one.model_copy(update={"run": here.get(one.mark, "")}) for one in found.values())


def _of_hub(info: Any, base: str, model: str) -> Adapter:
    card = info.card_data.to_dict() if info.card_data is not None else {}
    results = [result for one in card.get("model-index") or [] for result in one.get("results") or []]
    said = (str(metric.get("name") or metric.get("type") or "") for result in results for metric in result.get("metrics") or [])
    return Adapter(
        name=str(info.id),
        title=str(info.id).partition("/")[2],
        place="hub",
        base=base,
        model=model,
        revision=str(info.sha or ""),
        licence=str(card.get("license") or ""),
        measured=tuple(text[:200] for text in said if text)[:4],
        downloads=int(info.downloads or 0),
    )


def card_of(one: Adapter, token: str = "") -> str:
    """The words of its maker, in Markdown. Raises LabError where the Hub does not answer."""
    if one.place != "hub":
        return one.card
    with talking():
        text = text_of(api(token), one.name, "README.md", one.revision or "main")
    return text.split("---", 2)[-1].strip() if text.startswith("---") else text


def fetched(one: Adapter, room: Path, note: Note, token: str = "") -> Path:
    """Get an adapter's files into the folder `room`: what is to be imported. `note` hears how far it is, and may raise to stop it.

    Raises UserError where it is gone, damaged or only there as a pickle; LabError without a connection, and what is here is gone on with.
    """
    if one.place != "hub":
        file = Path(one.place) / one.name
        if not file.is_file():
            raise UserError(f"{one.name} is not in the folder any more.", "Look at the folder again.", code="gone")
        if file.stat().st_size != one.bytes or digest(file) != one.sha256:
            raise UserError(f"{one.name} is not what the gallery says it is.", "Copy it again, or ask who made it.", code="damaged")
        return file
    return _from_hub(one, room, note, token)


def _from_hub(one: Adapter, room: Path, note: Note, token: str) -> Path:
    hub, target = api(token), room / one.mark
    with talking():
        info = hub.model_info(one.name, revision=one.revision or None, files_metadata=True)
        sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or []}
        if lost := [name for name in WANTED if name not in sizes]:
            what = f"{one.name} cannot be used: it lacks {lost[0]}."
            raise UserError(what, "It may be in the old, unsafe format; choose another one.", code="no_adapter")
        wanted = [name for name in (*BESIDE, *WANTED) if name in sizes]
        total = sum(sizes[name] for name in wanted)
        target.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(target).free < 2 * total + SPARE:
            raise UserError(f"{one.title} takes {size(total)}, and there is less room.", "Free some space.", code="disk_full")
        done = 0
        for name in wanted:
            note(done, total)
            meter = _meter(note, done, total)
            hub.hf_hub_download(one.name, name, revision=info.sha, local_dir=target, tqdm_class=meter)
            done += sizes[name]
    note(total, total)
    return target


def _meter(note: Note, done: int, total: int) -> type[Any]:
    """A progress bar that draws nothing and tells `note`."""
    from tqdm import tqdm

    came = [0]

    class Meter(tqdm):  # pyright: ignore[reportMissingTypeArgument]  (generic only in its stubs)
        def __init__(self, *args: Any, **settings: Any) -> None:  # tqdm's signature, which the hub's library calls
            settings["disable"] = True
            super().__init__(*args, **settings)
            came[0] += int(settings.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            came[0] += int(n or 0)
            note(done + came[0], total)
            return super().update(n)

    return Meter
