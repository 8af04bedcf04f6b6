"""Quality against size, drawn for a notebook. Invariant: every point is in the table below it, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from html import escape

from loralab.core.words import size

WIDTH, HEIGHT, LEFT, FOOT = 560, 300, 56, 44  # pixels of its own scale; room for the axes
RIGHT, TOP = 110, 18  # room for the last name and the highest point
LINE, NAME = 13, 92  # height of a name, and about how wide it is
COLOURS = ("#0d9488", "#c2410c", "#6d5bd0", "#8b9691")
STYLE = "font: 14px/1.5 system-ui, sans-serif; max-width: 600px"


def against_size(rows: Iterable[tuple[str, float, float]], what: str = "quality") -> Drawing:
    """A drawing of quality against size: rows (name, bytes, quality), for a notebook's last line. The name's first word is its colour."""
    return Drawing(sorted(rows, key=lambda row: row[1]), what)


class Drawing:
    """Points with names: size to the right, by its logarithm, and quality upward."""

    def __init__(self, rows: list[tuple[str, float, float]], what: str) -> None:
        self.rows, self.what = rows, what

    def __repr__(self) -> str:
        wide = max((len(name) for name, *_ in self.rows), default=0)
        return "\n".join(f"{name:{wide}}  {size(int(weight)):>9}  {value:.3f}" for name, weight, value in self.rows)

    def _repr_html_(self) -> str:
        """As an SVG with its table below it."""
        if not self.rows:
            return "<p>Nothing to draw.</p>"
        told = "".join(
            f"<tr><td>{escape(name)}</td><td>{size(int(weight))}</td><td>{value:.3f}</td></tr>" for name, weight, value in self.rows
        )
        head = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.what)} against size" style="width: 100%"'
        table = f'<table style="font: inherit"><tr><th>form</th><th>size</th><th>{escape(self.what)}</th></tr>{told}</table>'
        return f'<div style="{STYLE}"><svg {head}>{"".join((*self._axes(), *self._dots()))}</svg>{table}</div>'

    def _axes(self) -> Iterator[str]:
        low, base = HEIGHT - FOOT + 8, 'font-size="11" fill="currentColor"'
        yield f'<path d="M{LEFT - 8} {TOP - 8} V{low} H{WIDTH}" fill="none" stroke="currentColor" stroke-opacity="0.3"/>'
        for value in sorted({self.rows[0][1], self.rows[-1][1]}):
            yield f'<text x="{self._across(value):.0f}" y="{low + 15}" text-anchor="middle" {base}>{size(int(value))}</text>'
        values = [row[2] for row in self.rows]
        for value in sorted({min(values), max(values)}):
            yield f'<text x="{LEFT - 14}" y="{self._down(value) + 4:.0f}" text-anchor="end" {base}>{value:.2f}</text>'
        yield f'<text x="{WIDTH}" y="{low + 30}" text-anchor="end" {base}>size →</text>'
        yield f'<text x="0" y="10" {base}>{escape(self.what)} ↑</text>'

    def _dots(self) -> Iterator[str]:
        """Each point with its name beside it, moved down where another name stands there."""
        kinds = list(dict.fromkeys(name.partition(" ")[0] for name, *_ in self.rows))
        taken: list[tuple[float, float]] = []
        for name, weight, value in self.rows:
            x, y = self._across(weight), self._down(value)
            colour, line = COLOURS[kinds.index(name.partition(" ")[0]) % len(COLOURS)], y
            while any(abs(x - a) < NAME and abs(line - b) < LINE for a, b in taken):
                line += LINE
            taken.append((x, line))
            yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>'
            yield f'<text x="{x + 8:.0f}" y="{line + 4:.0f}" font-size="11" fill="currentColor">{escape(name)}</text>'

    def _across(self, weight: float) -> float:
        sizes = [math.log10(max(1.0, row[1])) for row in self.rows]
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(max(1.0, weight)) - min(sizes)) / ((max(sizes) - min(sizes)) or 1)

    def _down(self, value: float) -> float:
        values = [row[2] for row in self.rows]
        return TOP + (HEIGHT - TOP - FOOT) * (max(values) - value) / ((max(values) - min(values)) or 1)
