"""Three lines to a verdict: `lab.fit(file)` reads, plans, trains and judges; what it gives shows itself in a notebook.

Invariant: nothing is computed that the facade does not compute; a notebook shows what the run's own files say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from loralab.core.errors import RunFailed, UserError
from loralab.core.events import RunView
from loralab.core.verdict import Verdict
from loralab.core.words import count, duration, figure

BARS = 40  # characters of a bar in a terminal
WIDTH, HEIGHT = 520, 120  # of the curve, in pixels of its own scale
STYLE = "font: 14px/1.5 system-ui, sans-serif; max-width: 560px"


class Taken(NamedTuple):
    """A form a run was taken away in: where it lies, how large it is, and whether it answers as what was trained."""

    export: str
    format: str
    variant: str
    path: Path
    bytes: int
    parity: str  # proven | differs | untried
    told: dict[str, Any]


class Run:
    """A run of a Lab. Printed, it says how it stands; in a notebook it shows its verdict and its curve."""

    def __init__(self, lab: Any, name: str) -> None:
        self.lab, self.id = lab, name  # the facade, which this module is a part of and does not import

    @property
    def view(self) -> RunView:
        """What it is doing now, from its event log."""
        return self.lab.view(self.id)

    @property
    def verdict(self) -> Verdict | None:
        """Whether it learned, and whether it can be used; None before it is judged."""
        return self.view.conclusion

    @property
    def report(self) -> dict[str, Any]:
        """The run in numbers."""
        return self.lab.report(self.id)

    def wait(self) -> Run:
        """Until it has ended, showing how far it is: a bar that is drawn anew in a notebook, lines in a terminal. Raises RunFailed."""
        show = progress()
        view = self.lab.wait(self.id, show, every=1.0)
        if view.state != "finished":
            ending = view.ending
            raise RunFailed(
                (ending.what if ending else "") or "The run was stopped.",
                (ending.todo if ending else "") or "Go on with it: lab.resume(run.id).",
                code="run_failed",
            )
        return self

    def predict(self, asked: str | Iterable[str]) -> Any:
        """Its answer to a question, or its answers to several, in their order."""
        if isinstance(asked, str):
            return "".join(self.lab.ask(self.id, [{"role": "user", "content": asked}]))
        return [self.predict(one) for one in asked]

    def export(self, format: str = "adapter", variant: str = "") -> Taken:  # noqa: A002  (the field's own word)
        """Make a form to take away, proven against what was trained, and wait for it. Raises RunFailed where it could not be made."""
        work = Run(self.lab, self.lab.export(self.id, format, variant)).wait()
        told = dict(work.view.ending.result) if work.view.ending else {}
        path = Path(str(told["path"]))
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        weight = sum(file.stat().st_size for file in files)
        return Taken(work.id, format, str(told.get("variant") or variant), path, weight, str(told.get("parity", "")), told)

    def __repr__(self) -> str:
        view, found = self.view, self.verdict
        return f"Run {self.id}: {found.learned_words} {found.usable_words}" if found else f"Run {self.id}: {_standing(view)}"

    def _repr_html_(self) -> str:
        """For Jupyter and VS Code."""
        view = self.view
        title = escape(self.lab.job(self.id).title or self.id)
        found = self.verdict
        said = found.as_html() if found else f"<p>{escape(_standing(view))}</p>"
        took = f"{count(view.step, 'update')} in {duration(self.report['seconds'])}" if view.step else ""
        return f'<div style="{STYLE}"><b>{title}</b>{said}{curve(view)}<small>{took}</small></div>'


class Fitting:
    """Half of the Lab: from a file to a verdict in one call."""

    def fit(self: Any, data: Path | str, model: str = "starter", *, roles: dict[str, str] | None = None, **settings: Any) -> Run:
        """Read examples, choose what `settings` leave open, train and judge; the run, once it has its verdict.

        Raises UserError where the examples cannot be learned from, or which column is what is a guess and `roles` does not say it.
        """
        profile = self.profile(data, model, roles)
        if not profile.certain:
            todo = f"Say it: roles={profile.roles!r}."
            raise UserError(f"Which column of {profile.name} is what is a guess.", todo, code="roles_unclear")
        proposal = self.propose(profile, model, **settings)
        for problem in proposal.problems:
            if problem.severity == "error":
                raise UserError(problem.what, problem.todo, code=problem.code)
        return Run(self, self.start(proposal)).wait()

    def run(self: Any, name: str = "last") -> Run:
        """A run of the workspace by its id; `last`: the newest training that has learned something."""
        if name != "last":
            self.job(name)
            return Run(self, name)
        trained = next((row["id"] for row in self.runs() if row["kind"] == "train" and self.view(row["id"]).trained), "")
        if not trained:
            raise UserError("Nothing was trained here yet.", "Begin with lab.fit(file).", code="no_run")
        return Run(self, trained)


def _standing(view: RunView) -> str:
    share = f", {view.step:,} of {count(view.total_steps, 'update')}" if view.total_steps else ""
    left = f", about {duration(view.seconds_left)} left" if view.seconds_left else ""
    return f"{view.phase or view.state}{share}{left}" if view.active else f"{view.state}. {view.ending.what if view.ending else ''}".strip()


def progress() -> Callable[[RunView], None]:
    """What shows each new view: in a notebook one display that changes, in a terminal a line whenever something changed."""
    shown = sys.modules.get("IPython.display")  # a notebook has it open already; nobody else needs it
    inside = sys.modules.get("IPython")
    if shown is None or inside is None or inside.get_ipython() is None:
        return _lines()
    handle: Any = shown.display(shown.HTML(""), display_id=True)

    def draw(view: RunView) -> None:
        done = view.step / view.total_steps if view.total_steps else view.fraction or 0.0
        bar = f'<progress value="{done:.3f}" style="width: 100%"></progress>'
        handle.update(shown.HTML(f'<div style="{STYLE}">{bar}<br>{escape(_standing(view))}{curve(view)}</div>'))

    return draw


def _lines() -> Callable[[RunView], None]:
    said: list[str] = [""]

    def tell(view: RunView) -> None:
        tenth = 10 * view.step // view.total_steps if view.total_steps else 0
        now = f"{view.phase or view.state} {tenth}"
        if now != said[0]:
            said[0] = now
            sys.stderr.write(f"{_standing(view)}\n")

    return tell


def curve(view: RunView) -> str:
    """Loss while learning and on held-out examples as a small drawing; empty before there are two updates."""
    steps = [(s.step, s.loss) for s in view.steps if s.loss == s.loss]
    looks = [(e.step, e.loss) for e in view.evaluations if e.split != "final" and e.loss == e.loss]
    if len(steps) < 2:
        return ""
    values = [loss for _, loss in steps + looks]
    low, high, right = min(values), max(values), max(view.total_steps, view.step, 1)

    def line(points: list[tuple[int, float]], colour: str, width: float) -> str:
        at = (f"{WIDTH * x / right:.1f},{4 + (HEIGHT - 8) * (high - y) / ((high - low) or 1):.1f}" for x, y in points)
        return f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" points="{" ".join(at)}"/>'

    label = f"Loss from {figure(high)} to {figure(low)}; grey while learning, green on examples kept aside"
    drawn = line(steps, "#8b9691", 1.2) + line(looks, "#0d9488", 2.4)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" style="width: 100%; display: block">{drawn}</svg>'
