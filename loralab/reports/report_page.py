"""Owns the fine-tuning report: one run on one page, as HTML that needs nothing else and as Markdown. No torch.

Invariant: every number is read from the run's events and files; what was not measured is left out, never filled in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loralab.core.errors import UserError
from loralab.core.events import Adjusted, Evaluated, Incident, RunView
from loralab.core.paths import DATA
from loralab.core.records import Score
from loralab.core.report import judged, run_report
from loralab.core.version import __version__
from loralab.core.words import can_you_use_it, did_it_learn, duration, figure, size
from loralab.reports.card import SETTINGS
from loralab.reports.endings import endings
from loralab.reports.incidents import adjustment
from loralab.reports.markdown import shielded
from loralab.reports.pictures import NOT_MEDICAL
from loralab.tasks import setting_label

NOTHING = "–"  # where nothing was measured
LOSS_TABLE = ("update", "after", "while learning", "held-out", "learning rate", "memory")
MOST_ROWS, MOST_LOOKS = 25, 8  # of the loss table, and those of looks at held-out examples among them: evenly spread, with first and last
MACHINERY = (
    "micro_batch",
    "token_budget",
    "recompute",
    "offload",
    "optimizer",
    "attention",
    "max_grad_norm",
    "eval_every",
    "patience",
    "max_minutes",
    "heldout_share",
)
NO_SETTING = ("task", "title", "base_model", "dataset", "roles", "guessed", "parts")  # said elsewhere, or of this computer
LOW = 72  # height of a small curve
WIDTH, HEIGHT, MARGIN = 720, 260, 44  # of the curve, in pixels of its own scale
ANSWERS = 5


@dataclass(frozen=True)
class Line:
    """A polyline of the curve: `kind` names its colour, `points` are SVG coordinates."""

    kind: str
    label: str
    points: str


class _Card(Protocol):
    @property
    def total_bytes(self) -> int: ...


class Computer(Protocol):
    """What a report says about the computer a run was on."""

    @property
    def words(self) -> str: ...
    @property
    def accelerator(self) -> str: ...
    @property
    def memory_total(self) -> int: ...
    @property
    def gpus(self) -> Sequence[_Card]: ...


def report_page(form: str, view: RunView, plan: dict[str, Any], machine: Computer, title: str) -> str:
    """The report as `html` or `markdown`. Raises UserError for any other form."""
    made = {"html": report_html, "markdown": report_markdown}
    if form not in made:
        raise UserError(f"A report cannot be written as “{form}”.", "Choose html or markdown.", code="unknown_format")
    return made[form](view, plan, machine, title)


def report_html(view: RunView, plan: dict[str, Any], machine: Computer, title: str) -> str:
    """The report as one HTML file: no script, no font, no picture from anywhere else."""
    places = Environment(loader=FileSystemLoader(DATA / "templates"), autoescape=True, undefined=StrictUndefined)
    return places.get_template("report.html.jinja").render(**_content(view, plan, machine, title))


def report_markdown(view: RunView, plan: dict[str, Any], machine: Computer, title: str) -> str:
    """The report as Markdown; the curve is left to the table."""
    found = _content(view, plan, machine, title)
    return "\n".join(_markdown(found)) + "\n"


def _content(view: RunView, plan: dict[str, Any], machine: Computer, title: str) -> dict[str, Any]:
    final = next((e for e in reversed(view.evaluations) if e.split == "final"), None)
    return {
        "title": title,
        "run": view.run,
        "version": __version__,
        "warning": NOT_MEDICAL if view.facts and view.facts.medical else "",
        "answers": list(_answers(view, final)),
        "facts": list(_facts(view, plan, machine)),
        "scores": [_score(score) for score in (final.scores if final else ())],
        "losses": list(_losses(view)),
        "columns": LOSS_TABLE,
        "lines": curve(view),
        "ticks": _ticks(view),
        "size": (WIDTH, HEIGHT, MARGIN),
        "traces": traces(view),
        "low": LOW,
        "story": list(_story(view)),
        "samples": view.samples[:ANSWERS],
        "endings": endings(view),
        "settings": list(_settings(plan)),
        "machine": machine.words,
    }


def _settings(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every setting once, those that matter most first: also those that only one kind of training has."""
    for name in dict.fromkeys((*SETTINGS, *MACHINERY, *plan)):
        if name not in NO_SETTING and (said := str(plan.get(name, ""))):
            yield setting_label(name), said


def _answers(view: RunView, final: Evaluated | None) -> Iterator[tuple[str, str, str]]:
    """The two answers as (question, answer, why); of a run that an earlier version judged, what it said then."""
    found = view.conclusion
    if found is None:
        told = judged(final)
        yield "Did it get better?", (told["verdict"] or "not judged").capitalize(), told["words"]
        return
    yield "Did it learn?", did_it_learn(found), found.learned_words
    yield "Can you use it?", can_you_use_it(found), f"{found.usable_words} {found.but}".strip()


def _facts(view: RunView, plan: dict[str, Any], machine: Computer) -> Iterator[tuple[str, str]]:
    report = run_report(view, DATA)
    result = view.ending.result if view.ending else {}
    yield "Updates", f"{view.step:,} of {view.total_steps:,}" if view.total_steps else f"{view.step:,}"
    for label, name in (("Base model", "base_model"), ("Examples from", "dataset")):
        if plan.get(name):
            yield label, PurePath(str(plan[name])).name  # never a place on this computer
    yield "Training took", duration(report["seconds"])
    if view.started and view.ended and not view.active:
        yield "From start to verdict", duration(view.ended - view.started)
    if report["tokens_per_second"]:
        yield "Speed", f"{report['tokens_per_second']:,.0f} {_unit(view)} per second"
    peak, loaded = int(report["peak_memory_bytes"]), int(result.get("loaded_memory_bytes", 0))
    if peak:
        whole = machine.gpus[0].total_bytes if machine.accelerator == "cuda" else machine.memory_total
        yield "Peak memory", f"{size(peak)} of {size(whole)}, {100 * peak / whole:.0f} % of it"
        if 0 < loaded <= peak:
            share = f"{size(peak - loaded)}, {100 * (peak - loaded) / peak:.0f} % of the peak; the rest is the loaded model"
            yield "Of it for training", share
    if counts := view.measured:
        yield "Examples", f"{counts.n_train:,} learned from, {counts.n_heldout:,} kept aside"


def _score(score: Score) -> dict[str, str]:
    between = f"{_number(score, score.low, '+')} to {_number(score, score.high, '+')}" if math.isfinite(score.low + score.high) else ""
    return {
        "label": score.label or score.name.replace("_", " "),
        "before": _number(score, score.before),
        "after": _number(score, score.after),
        "difference": _number(score, score.difference, "+"),
        "between": between if (score.low, score.high) != (0.0, 0.0) else "",
        "n": f"{score.n:,}",
        "verdict": score.verdict,
        "help": score.help,
    }


def _number(score: Score, value: float, sign: str = "") -> str:
    if not math.isfinite(value):
        return "–"
    return f"{100 * value:{sign}.0f} %" if score.share or "accuracy" in score.name else f"{value:{sign}.3f}"


def _losses(view: RunView) -> Iterator[tuple[str, ...]]:
    """Rows (update, time since the start, loss while learning, held-out loss, learning rate, memory), evenly spread over the run."""
    looks = {e.step: e.loss for e in view.evaluations if e.split != "final"}
    seen = set(_spread(sorted(looks), MOST_LOOKS))
    wanted = seen | {step.step for step in _spread(view.steps, MOST_ROWS - 1 - len(seen))}
    chosen = [step for step in view.steps if step.step in wanted]
    if 0 in looks:
        yield "0", NOTHING, NOTHING, figure(looks[0]), NOTHING, NOTHING
    for step in chosen:
        took = duration(step.time - view.started) if 0 < view.started <= step.time else NOTHING
        held = figure(looks[step.step]) if step.step in looks else NOTHING
        memory = size(step.memory_bytes) if step.memory_bytes else NOTHING
        yield f"{step.step:,}", took, figure(step.loss), held, f"{step.learning_rate:.2g}", memory


def _spread(values: Sequence[Any], most: int) -> list[Any]:
    stride = max(1, math.ceil(len(values) / most))
    return [*values[::stride], *(values[-1:] if values and (len(values) - 1) % stride else ())]


# ---- the curve -------------------------------------------------------------------------------------------------------------


def curve(view: RunView) -> list[Line]:
    """Loss while learning and on held-out examples as polylines; empty where there is nothing to draw."""
    steps = [(s.step, s.loss) for s in _spread(view.steps, 400) if math.isfinite(s.loss)]
    looks = [(e.step, e.loss) for e in view.evaluations if e.split != "final" and math.isfinite(e.loss)]
    if len(steps) + len(looks) < 2:
        return []
    right, low, high = _bounds(view)
    drawn = [("raw", "while learning", steps), ("held", "on held-out examples", looks)]
    return [Line(kind, label, " ".join(_place(x, y, right, low, high) for x, y in points)) for kind, label, points in drawn if points]


@dataclass(frozen=True)
class Trace:
    """A small curve with its own scale: `low` and `high` are written at its ends."""

    label: str
    points: str
    low: str
    high: str


def _unit(view: RunView) -> str:
    """What costs of this run are counted in."""
    return view.measured.facts.unit if view.measured and view.measured.facts else "tokens"


def traces(view: RunView) -> list[Trace]:
    """Learning rate, length of the gradient and speed over the run; what did not change, or was not measured, is left out."""
    shown = (
        ("learning rate", "learning_rate"),
        ("length of the gradient", "grad_norm"),
        (f"{_unit(view)} per second", "tokens_per_second"),
    )
    found = []
    for label, name in shown:
        pairs = [(s.step, float(getattr(s, name))) for s in _spread(view.steps, 400)]
        pairs = [(x, y) for x, y in pairs if math.isfinite(y)]
        if len(pairs) < 2 or max(y for _, y in pairs) == min(y for _, y in pairs):
            continue
        low, high = min(y for _, y in pairs), max(y for _, y in pairs)
        right = float(max(view.total_steps, view.step, 1))
        points = " ".join(f"{WIDTH * x / right:.1f},{4 + (LOW - 8) * (high - y) / (high - low):.1f}" for x, y in pairs)
        found.append(Trace(label, points, f"{low:.2g}", f"{high:.2g}"))
    return found


def _bounds(view: RunView) -> tuple[float, float, float]:
    """(last update, lowest and highest loss drawn)."""
    values = [v for v in (*(s.loss for s in view.steps), *(e.loss for e in view.evaluations)) if math.isfinite(v)]
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.5
    return float(max(view.total_steps, view.step, 1)), low - room, high + room


def _place(x: float, y: float, right: float, low: float, high: float) -> str:
    across = MARGIN + (WIDTH - MARGIN - 8) * x / right
    down = 8 + (HEIGHT - MARGIN - 8) * (high - y) / (high - low)
    return f"{across:.1f},{down:.1f}"


def _ticks(view: RunView) -> list[tuple[str, str]]:
    """(position down, number) of the marks at the loss axis."""
    if not curve(view):
        return []
    right, low, high = _bounds(view)
    marks = [low + (high - low) * part for part in (0.05, 0.35, 0.65, 0.95)]
    return [(_place(0, mark, right, low, high).partition(",")[2], f"{mark:.2f}") for mark in marks]


# ---- words -----------------------------------------------------------------------------------------------------------------


def _story(view: RunView) -> Iterator[str]:
    """What happened besides learning, in order."""
    happened: list[Incident | Adjusted] = sorted((*view.incidents, *view.adjustments), key=lambda e: e.time)
    for event in happened:
        match event:
            case Incident():
                yield f"Update {event.step}: {event.text}"
            case Adjusted():
                yield f"Update {event.step}: {adjustment(event)}"
    if view.ending and view.ending.what:
        yield f"{view.ending.what} {view.ending.todo}".strip()


def _markdown(found: dict[str, Any]) -> Iterator[str]:
    yield from (f"# {shielded(found['title'])}", "", f"Run {shielded(found['run'])}, LoRALab {found['version']}", "")
    yield from (f"**{found['warning']}**", "") if found["warning"] else ()
    for question, answer, why in found["answers"]:
        yield from (f"## {question}", "", f"**{answer}.** {shielded(why)}", "")
    if found["scores"]:
        yield from ("| measure | before | after | difference | 95 % interval | examples | verdict |", "|---|--:|--:|--:|---|--:|---|")
        yield from (
            f"| {shielded(s['label'])} | " + " | ".join(s[k] for k in ("before", "after", "difference", "between", "n", "verdict")) + " |"
            for s in found["scores"]
        )
        yield ""
    yield from (
        "## The run",
        "",
        *(f"- {name}: {shielded(value)}" for name, value in found["facts"]),
        f"- Computer: {shielded(found['machine'])}",
        "",
    )
    if found["story"]:
        yield from ("## What happened", "", *(f"- {shielded(line)}" for line in found["story"]), "")
    yield from ("## Loss", "", f"| {' | '.join(LOSS_TABLE)} |", f"|{'--:|' * len(LOSS_TABLE)}")
    yield from ("| " + " | ".join(row) + " |" for row in found["losses"])
    if found["endings"]:
        yield from ("", "## Where answers end", "", *(f"- {line}" for line in found["endings"]))
    if found["samples"]:
        yield from ("", "## Before and after", "")
        for sample in found["samples"]:
            yield from (
                f"**{_said(sample.prompt)}**",
                "",
                f"- before: {_said(sample.before)}",
                f"- after: {_said(sample.after)}",
                *([f"- the example says: {_said(sample.reference)}"] if sample.reference else []),
                "",
            )
    yield from ("", "## Settings", "", "| setting | value |", "|---|---|", *(f"| {n} | {_said(v)} |" for n, v in found["settings"]))


def _said(text: str) -> str:
    return shielded(text) or "(nothing)"
