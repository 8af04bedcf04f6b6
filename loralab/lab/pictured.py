"""What is seen of pictures: those of a data set, what a run's model says of one, what it draws."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from loralab.datasets.images.kept_marks import kept
from loralab.datasets.images.shown import Galleries, Gallery
from loralab.lab.workspace import Workspace
from loralab.serve.draws import Drawn, Hand
from loralab.serve.sees import Eyes, Looked
from loralab.tasks import tasks
from loralab.tasks.draw import DrawPlan
from loralab.tasks.pictures import PicturePlan

_DRAWN, _RUN = re.compile(r"drawn/[0-9a-f]{16}\.png"), re.compile(r"[\w-]+")
Shown = Literal["truth", "said", "why"]


class Pictured(Workspace):
    """A workspace whose pictures can be looked at. What sees and what draws are processes of their own, started with the first question."""

    def __init__(self, home: Path | str | None = None) -> None:
        super().__init__(home)
        self.eyes, self.hand = Eyes(), Hand()
        self._galleries = Galleries(self.home)

    def sees(self, run: str) -> bool:
        """Whether a run learned from pictures."""
        known = tasks().get(str(self.job(run).plan.get("task", "text")))
        return known is not None and issubclass(known.plan, PicturePlan | DrawPlan)

    def draws(self, run: str) -> bool:
        """Whether a run learned to draw."""
        return self.job(run).plan.get("task") == "draw"

    def draw(self, run: str, words: str, seed: int = 0, strength: float = 1.0) -> Drawn:
        """Words drawn by a run's model, before and now from the same noise, in its own process. `strength`: 0..1.5 of what it learned.

        Raises UserError for what cannot be drawn, LabError where the model cannot be asked.
        """
        return self.hand.draw(Path(self.job(run).model), Path(self._adapter(run)), words, seed, strength)

    def drawing(self, run: str, name: str) -> bytes:
        """A picture that a run drew, by the name that its log and its evaluation give it, as PNG; nothing where it is gone."""
        place = self.home / "runs" / run / "artifacts" / name
        return place.read_bytes() if _DRAWN.fullmatch(name) and _RUN.fullmatch(run) and place.is_file() else b""

    def pictures(self, dataset: Path | str, roles: dict[str, str] | None = None) -> Gallery:
        """The pictures of a data set, to be shown. Raises UserError where there are none."""
        return self._galleries.of(Path(dataset).expanduser(), roles)

    def pictures_of(self, run: str) -> Gallery:
        """The pictures that a run learned from. Raises UserError where they are no longer there."""
        plan = self.job(run).plan
        return self.pictures(str(plan.get("dataset", "")), dict(plan.get("roles") or {}))

    def look(self, run: str, image: Path) -> Looked:
        """What a run's model says of a picture, in a process of its own. Raises LabError where it cannot be asked."""
        return self.eyes.look(Path(self.job(run).model), Path(self._adapter(run)), image)

    def shown(self, run: str, name: str, side: int, what: Shown = "truth", drawn: str = "") -> bytes:
        """A picture of a run's data set as WebP, with what is marked in it (`truth`), with what its model says (`said`), or with where
        that looked (`why`); nothing where it is gone.

        `drawn`: of an answer while it learned, with what that marked. Raises LabError where the model cannot be asked.
        """
        gallery = self.pictures_of(run)
        place = gallery.path(name)
        if drawn:
            artifacts = self.home / "runs" / run / "artifacts"
            return gallery.beside(name, lambda: kept(artifacts, drawn), side, (run, drawn))
        if what == "truth" or place is None:
            return gallery.drawn(name, side)
        base, adapter = Path(self.job(run).model), Path(self._adapter(run))
        told = (run, *(file.stat().st_mtime for file in sorted(adapter.iterdir())))
        if what == "why":
            return gallery.heated(name, lambda: self.eyes.why(base, adapter, place), side, told)
        return gallery.beside(name, lambda: self.eyes.marks(base, adapter, place), side, told)
