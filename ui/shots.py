"""Owns the pictures of a run as its pages show them. Invariant: pictures that are gone leave everything else as it is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from loralab.core.errors import LabError
from loralab.lab import NOT_MEDICAL, Gallery, Lab
from ui.words import notice

PICTURE = "/lab/picture"  # the route that serves them (ui/served.py)


@dataclass(frozen=True)
class Shots:
    """The pictures of a run, by the addresses they are got from; empty ones where the data set is no longer there."""

    run: str
    gallery: Gallery | None

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Which colour is which class in the drawings."""
        return self.gallery.key if self.gallery else ()

    @property
    def medical(self) -> bool:
        return bool(self.gallery and self.gallery.medical)

    def truth(self, name: str) -> str:
        """Where a picture is got from, with what is known of it."""
        return self._address(name, "truth")

    def said(self, name: str) -> str:
        """Likewise, with what the model marks in it; of whole pictures there is nothing to draw."""
        return self._address(name, "said") if self.key else ""

    def drawn(self, name: str) -> str:
        """Where a picture that the run drew is got from; empty where there is none."""
        return f"{PICTURE}?{urlencode({'run': self.run, 'name': name, 'what': 'drawn'})}" if name else ""

    def why(self, name: str) -> str:
        """Likewise, with where the model looked; only of whole pictures."""
        return "" if self.key else self._address(name, "why")

    def then(self, name: str, drawn: str) -> str:
        """Likewise, with what the model marked at a moment while it learned; nothing where that was not kept."""
        return self._address(name, "said", drawn) if self.key and drawn else ""

    def _address(self, name: str, what: str, drawn: str = "") -> str:
        known = self.gallery is not None and self.gallery.path(name) is not None
        asked = {"run": self.run, "name": name, "what": what} | ({"drawn": drawn} if drawn else {})
        return f"{PICTURE}?{urlencode(asked)}" if known else ""

    def warning(self) -> str:
        """What is said on every page of a run on pictures of patients."""
        return notice(NOT_MEDICAL, "", "warning") if self.medical else ""


def shots_of(lab: Lab, run: str) -> Shots:
    """The pictures of a run."""
    try:
        return Shots(run, lab.pictures_of(run))
    except LabError:  # they were moved or deleted since: the page says everything else
        return Shots(run, None)
