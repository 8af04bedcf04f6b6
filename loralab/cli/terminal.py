"""Owns how things look in a terminal: the live line of a run, tables, answers side by side. Invariant: it makes text and asks nothing."""

from __future__ import annotations

import math
import shutil
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from loralab import lab as facade
from loralab.core.words import can_you_use_it, count, did_it_learn, duration, figure

if TYPE_CHECKING:
    from loralab.core.events import RunView
    from loralab.core.verdict import Verdict

PLAIN_EVERY = 5.0  # seconds between two lines where the output is a file and a line cannot be written over
BAR = 24


def line(view: RunView) -> str:
    """A run on one line: step and total, loss, speed, time left; before and after training, what it is doing."""
    if view.phase != "training" or not view.steps:
        words = view.phase or ("starting" if view.active else view.state)
        left = f", {duration(view.seconds_left)} left" if view.seconds_left and not view.steps else ""
        return f"{words} {view.fraction:.0%}{left}" if view.fraction is not None else words
    last = view.steps[-1]
    recent = view.steps[-10:]
    done = round(BAR * _share(view))
    looks = [look.loss for look in view.evaluations if look.split == "heldout"]
    held = f"  held-out {figure(looks[-1])}" if looks else ""
    speed = sum(step.tokens_per_second for step in recent) / len(recent)
    return (
        f"{'█' * done}{'░' * (BAR - done)} step {view.step}/{view.total_steps or '?'}  loss {figure(last.loss)}{held}  "
        f"{speed:,.0f} {view.facts.unit if view.facts else 'tokens'}/s  {duration(view.seconds_left)} left"
    )


def _share(view: RunView) -> float:
    """How much of the training is over, 0..1: by updates, or by time where a time limit will end it first."""
    by_steps = view.step / view.total_steps if view.total_steps else 0.0
    if not view.seconds_left:
        return min(1.0, by_steps)
    spent = view.steps[-1].time - view.steps[0].time
    return min(1.0, max(by_steps, spent / (spent + view.seconds_left)))


class LiveLine:
    """Draws a run's line as it changes: over itself in a terminal, as a new line now and then in a file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._over = stream.isatty()
        self._drawn = ""
        self._phase = ""
        self._when = -math.inf
        self._told = 0

    def __call__(self, view: RunView) -> None:
        """Draw `view` where it differs from what is on the screen; what the worker says, notices and changes gets lines of its own."""
        from loralab.core.events import Adjusted

        happened = sorted((*view.notes, *view.incidents, *view.adjustments), key=lambda event: event.time)
        for event in happened[self._told :]:
            self._write(f"  {facade.adjustment(event) if isinstance(event, Adjusted) else event.text}", keep=True)
        self._told = len(happened)
        text = line(view)
        late = time.monotonic() - self._when >= PLAIN_EVERY
        due = self._over or view.phase != self._phase or late or view.step == view.total_steps  # the last update is always told
        if text != self._drawn and due:
            self._write(text, keep=not self._over)
            self._drawn, self._phase, self._when = text, view.phase, time.monotonic()

    def close(self) -> None:
        """Leave the last line standing."""
        if self._over and self._drawn:
            self._stream.write("\n")
            self._stream.flush()

    def _write(self, text: str, *, keep: bool) -> None:
        if self._over:
            text = "\r\x1b[2K" + text[: max(20, width() - 1)]
        self._stream.write(text + ("\n" if keep else ""))
        self._stream.flush()


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((100, 30)).columns


def table(rows: Sequence[Sequence[Any]], heads: Sequence[str]) -> str:
    """Left-aligned columns as wide as their widest cell."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in cells)


def side_by_side(left: str, right: str, heads: tuple[str, str], columns: int) -> str:
    """Two texts beside each other, wrapped to half of `columns` each; under each other where that is too narrow to read."""
    half = (columns - 3) // 2
    if half < 24:
        return f"{heads[0]}:\n{left}\n{heads[1]}:\n{right}"
    sides = [[head, "─" * half, *_wrapped(text, half)] for head, text in zip(heads, (left, right), strict=True)]
    rows = max(len(side) for side in sides)
    one, other = ([*side, *[""] * (rows - len(side))] for side in sides)
    return "\n".join(f"{a.ljust(half)} │ {b}".rstrip() for a, b in zip(one, other, strict=True))


def _wrapped(text: str, wide: int) -> list[str]:
    lines = [part for line in text.strip().splitlines() for part in (textwrap.wrap(line, wide) or [""])]
    return lines or ["(nothing)"]


def answers(samples: Sequence[dict[str, Any]], columns: int) -> str:
    """Held-out prompts with their answers before and after."""
    blocks: list[str] = []
    for number, sample in enumerate(samples, 1):
        prompt = textwrap.shorten(sample["prompt"], 3 * columns, placeholder=" …")
        asked = "\n".join(textwrap.wrap(f"{number}. {prompt}", columns))
        wanted = textwrap.shorten(sample["reference"], columns - 12, placeholder=" …")
        asked += f"\n   (expected: {wanted})" if wanted else ""
        blocks.append(f"{asked}\n\n{side_by_side(sample['before'], sample['after'], ('before', 'after'), columns)}")
    return "\n\n".join(blocks)


def verdict(report: dict[str, Any], view: RunView) -> str:
    """What came of a run, in a few lines."""
    made = count(report["steps"], "update")
    lines = [f"{report['run']}: {report['outcome']} after {made} in {duration(report['seconds'])}."]
    if report["base_loss"] is not None and report["adapter_loss"] is not None:
        compared = f"{figure(report['base_loss'])} before, {figure(report['adapter_loss'])} after"
        lines.append(f"Held-out loss on {count(report['n_heldout'], 'example')}: {compared} (lower is better).")
    if view.conclusion:
        lines += two_answers(view.conclusion)
    elif report["judgement"]["verdict"]:  # judged by an earlier version
        lines.append(f"{report['judgement']['verdict'].capitalize()}: {report['judgement']['words']}")
    if report["adapter"]:
        lines.append(f"Adapter: {report['adapter']}")
    return "\n".join(lines)


def two_answers(found: Verdict) -> Iterator[str]:
    """Did it learn, can you use it, and what got worse: a line each."""
    yield f"Did it learn? {did_it_learn(found)}. {found.learned_words}"
    yield f"Can you use it? {can_you_use_it(found)}. {found.usable_words}"
    if found.but:
        yield found.but
