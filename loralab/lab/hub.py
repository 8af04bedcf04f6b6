"""Giving away and bringing in: a whole run as one file, a repository of the Hub, a gallery of adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loralab.core import disk
from loralab.core.errors import UserError
from loralab.lab.results import Results
from loralab.sharing.keeping.form import Manifest
from loralab.sharing.keeping.pack import pack


class Giving(Results):
    """A workspace whose runs can be kept whole, published and found by others."""

    def keep(self, run: str, out: Path | str, *, data: bool = False, stop: Callable[[], bool] = lambda: False) -> Manifest:
        """Everything of a run that has ended (adapter, plan, verdict, curves, card, report; with `data` its examples) in one zip.

        `import_adapter` opens it elsewhere into the same run. Where `stop` says so it ends, and there is no file.
        """
        if self.view(run).active:
            raise UserError("This run is still going.", "Wait until it has ended, or stop it.", code="still_running")
        place = Path(out).expanduser()
        papers = {"README.md": self.card(run), "report.html": self.report_page(run)} if self.view(run).trained else {}
        disk.check_writable(self.home)
        return pack(self.home, run, place.resolve(), papers, data=data, stop=stop)
