"""Giving away and bringing in: a whole run as one file, a repository of the Hub, a gallery of adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loralab.core import disk
from loralab.core.errors import LabError, UserError
from loralab.core.jobs import ExportJob, PublishJob, TrainJob
from loralab.lab.results import Results
from loralab.sharing.hub import gallery
from loralab.sharing.hub.account import Account
from loralab.sharing.hub.gallery import Adapter
from loralab.sharing.hub.index import Index, write_index
from loralab.sharing.hub.review import Review, ready
from loralab.sharing.hub.visibility import Visible, make_private, make_public, visible
from loralab.sharing.keeping.form import Manifest
from loralab.sharing.keeping.pack import Note, pack
from loralab.sharing.keeping.store import Sent, Store
from loralab.sharing.keeping.stored_runs import export_folder, fetch, store_export, store_run
from loralab.tasks import parse_plan


class Giving(Results):
    """A workspace whose runs can be kept whole, published and found by others."""

    def __init__(self, home: Path | str | None = None) -> None:
        super().__init__(home)
        self.hub_account = Account(self.home)

    def keep(self, run: str, out: Path | str, *, data: bool = False, note: Note = lambda done, total: None) -> Manifest:
        """Everything of a run that has ended (adapter, plan, verdict, curves, card, report; with `data` its examples) in one zip.

        `import_adapter` opens it elsewhere into the same run. `note` hears how many
        bytes are in it of how many, and may raise to end it; then there is no file.
        """
        if self.view(run).active:
            raise UserError("This run is still going.", "Wait until it has ended, or stop it.", code="still_running")
        place = Path(out).expanduser()
        papers = {"README.md": self.card(run), "report.html": self.report_page(run)} if self.view(run).trained else {}
        disk.check_writable(self.home)
        return pack(self.home, run, place.resolve(), papers, data=data, note=note)

    def store(self, run: str, address: str, *, data: bool = False, note: Note = lambda done, total: None) -> Sent:
        """Store a training as it is now (its safety copies, too; with `data` its examples), or the files of an export, at an S3 address or
        in a folder. What is there already is not sent again. Keys come from the environment or the system's keyring. Raises LabError.
        """
        store, view = Store(address), self.view(run)
        if isinstance(self.job(run), TrainJob):
            return store_run(self.home, run, store, note, data=data)
        result = view.ending.result if view.ending and view.state == "finished" else {}
        return store_export(run, export_folder(self.home, run, result), store, note)

    def stored(self, address: str) -> list[str]:
        """What is stored at an address."""
        return Store(address).names()

    def fetch(self, name: str, address: str, out: Path | str = "", note: Note = lambda done, total: None) -> str | Path:
        """Bring back what is stored: a training becomes a run here that can be resumed, its id is returned; an export's files go to `out`.

        Cut off, it goes on where it was. Raises LabError where something is not what was stored.
        """
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return fetch(self.home, self.catalog, Store(address), name, parse_plan, Path(out).expanduser() if out else None, note)

    def made(self, run: str, format: str = "adapter", variant: str = "") -> str:  # noqa: A002  (the field's own word)
        """The id of the newest finished export of a run in a form, while its folder is there; empty where there is none."""
        for other in reversed(self.names()):
            job = self.job(other)
            if not isinstance(job, ExportJob) or job.of != run or job.format != format:
                continue
            view = self.view(other)
            told = view.ending.result if view.ending and view.state == "finished" else {}
            if variant in ("", told.get("variant")) and told.get("folder") and Path(str(told["folder"])).is_dir():
                return other
        return ""

    def publishing(self, export: str, *, samples: bool = False) -> Review:
        """What publishing an export would put on the Hub: files, card, and what of private data seems to stand in it. Nobody is asked."""
        return ready(self.home, export, samples=samples).review

    def publish(self, export: str, repo: str, *, samples: bool = False, seen: bool = False) -> str:
        """Put an export into a repository of the Hub, private where it is new; returns the id of the work.

        The work's result holds `repo, url, commit, version, private`. `repo`: owner/name, or a name alone. `samples`: with answers to the
        examples kept aside. `seen`: update it also where it is public. Stopped or broken off, publishing again goes on.
        """
        self.hub_account.token()
        of = self.job(export)
        if not isinstance(of, ExportJob):
            raise UserError("There is nothing made to publish yet.", "Make it first.", code="no_export")
        self.publishing(export, samples=samples)
        return self.begin(PublishJob(of=of.of, export=export, repo=repo, samples=samples, seen=seen))

    def publication(self, run: str) -> dict[str, Any]:
        """What the last publishing of a run told: `repo, url, version, commit, private`; empty where it never was published."""
        for other in reversed(self.names()):
            job, ending = self.job(other), self.view(other).ending
            if isinstance(job, PublishJob) and job.of == run and ending and ending.result.get("repo"):
                return dict(ending.result)
        return {}

    def published(self, run: str) -> str:
        """The repository of the Hub that a run was published to last; empty where it never was."""
        return str(self.publication(run).get("repo") or "")

    def visible(self, run: str, repo: str) -> Visible:
        """What everybody would see of a repository, as it lies on the Hub now, and what of private data seems to stand in it."""
        return visible(self.home, run, repo)

    def make_public(self, run: str, seen: Visible) -> None:
        """Let everybody see what `visible` showed. Raises UserError where it is no longer that, or must stay private."""
        make_public(self.home, run, seen)

    def gallery(self, place: Path | str = "hub") -> tuple[Adapter, ...]:
        """Adapters for the models of this computer, from the Hub (`hub`) or a folder with an index; installed ones say their run."""
        bases, here = gallery.bases_here(self.catalog), gallery.installed(self.home)
        if str(place) == "hub":
            return gallery.from_hub(bases, here, self._token())
        return gallery.from_folder(Path(place).expanduser(), self.catalog, bases, here)

    def gallery_card(self, one: Adapter) -> str:
        """The card of an adapter of a gallery, in Markdown, as its maker wrote it."""
        return gallery.card_of(one, self._token())

    def make_gallery(self, exports: Sequence[str], folder: Path | str, name: str = "") -> Index:
        """Put finished adapter exports into a folder with an index file, which others open as a gallery."""
        return write_index(self.home, exports, Path(folder).expanduser().resolve(), name)

    def _token(self) -> str:
        """The token there is, or none: what is public needs none."""
        try:
            return self.hub_account.token()
        except LabError:
            return ""

    def make_private(self, repo: str) -> None:
        """Take a repository back from everybody's eyes."""
        make_private(self.home, repo)
