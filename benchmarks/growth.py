"""How the cost of training grows: tokens a second and memory with the length of rows and the size of the model, seconds to the first update
with the number of rows.

    python -m benchmarks.growth [--axes length,rows,model] [--out growth.json] [--plot docs/images/growth.svg]

Every point runs in a process of its own with the plan that the product proposes. Lengths: rows of exactly so many tokens, learned whole,
as many as make about 4,096 tokens an update. Rows: short conversations, none twice, from reading the file to the end of the first update.
Models: random weights on the rows of MedQuAD, cut at 256 tokens, 8 in an update.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.training import bases, rows
from benchmarks.training.engine import OURS, Engine, EngineFailed
from loralab.core.paths import CHECKOUT
from loralab.machine.hardware import measure_machine

AXES: dict[str, Sequence[Any]] = {
    "length": (128, 256, 512, 1024, 2048, 4096),
    "rows": (100, 1000, 10_000, 100_000, 1_000_000),
    "model": ("10m", "30m", "135m", "360m", "0.5b", "1b"),
}
QUICK: dict[str, Sequence[Any]] = {"length": (64, 128), "rows": (100, 1000), "model": ("tiny", "10m")}
UPDATE = 4096  # tokens of an update on the axis of lengths
WARM, TIMED = 1, 3  # updates
WEIGHTS = {"tiny": 3.2e6, "10m": 8.6e6, "30m": 30.1e6, "135m": 134.5e6, "360m": 361.8e6, "0.5b": 494.0e6, "1b": 1068e6}


def main() -> None:
    """Measure the axes that are asked for; write the numbers, and a plot."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--axes", default=",".join(AXES))
    options.add_argument("--base", default="135m", help="model of the axis of lengths")
    options.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    options.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "loralab-benchmarks")
    options.add_argument("--out", type=Path)
    options.add_argument("--plot", type=Path)
    options.add_argument("--quick", action="store_true", help="tiny models and few points: does it run")
    asked = options.parse_args()
    machine = measure_machine(asked.cache)
    found: dict[str, Any] = {"cpu": machine.cpu, "cores": machine.cores, "load": os.getloadavg(), "points": {}}
    for axis in asked.axes.split(","):
        points = found["points"][axis] = list[dict[str, Any]]()
        for value in (QUICK if asked.quick else AXES)[axis]:
            with tempfile.TemporaryDirectory(prefix="growth-") as scratch:
                try:
                    points.append(point(axis, value, "tiny" if asked.quick else asked.base, asked, Path(scratch)))
                except EngineFailed as error:
                    points.append({"at": value, "failed": str(error)})
            sys.stderr.write(f"{axis} {points[-1]}\n")
            if asked.out:
                asked.out.write_text(json.dumps(found, indent=1), "utf-8")
    if asked.plot:
        asked.plot.write_text(plot(found["points"]), "utf-8")
    sys.stdout.write(table(found["points"]))


def point(axis: str, value: Any, base: str, asked: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One point of an axis: seconds and bytes. Raises EngineFailed."""
    dataset, batch, longest = scratch / "examples.jsonl", 8, 256
    made = WARM + TIMED
    if axis == "length":
        batch, longest = max(1, UPDATE // value), value
        dataset.write_text("".join(json.dumps({"text": text}) + "\n" for text in _long(asked.data, value, batch * (made + 2))), "utf-8")
    elif axis == "rows":
        base, made = "tiny" if asked.quick else "10m", 1
        with dataset.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps({"messages": turns}) + "\n" for turns in itertools.islice(_short(asked.data), value))
    else:
        base = value
        rows.write("medquad", 100, asked.data, dataset)
    settings: dict[str, Any] = {
        "plan": {"rank": 16, "alpha": 32.0, "seed": 1, "effective_batch": batch, "max_length": longest, "precision": "fp32"},
        "dataset": str(dataset),
        "base": str(bases.folder(base, "fp32", asked.cache)),
        "adapter": str(scratch / "adapter"),
        "rows": str(scratch / "rows.json"),
        "steps": made,
    }
    begun = time.monotonic()
    engine = Engine(OURS, Path(sys.executable), settings, scratch / OURS)
    try:
        first = engine.ask("step", count=1)
        found = {"at": value, "seconds_to_first": time.monotonic() - begun, "load": os.getloadavg()[0], **engine.about}
        if made > 1:
            timed = engine.ask("step", count=TIMED)
            rates = [tokens / seconds for (tokens, _), seconds in zip(timed["sizes"], timed["seconds"], strict=True)]
            found |= {"tokens_per_second": statistics.median(rates), "lowest": min(rates), "highest": max(rates)}
            first = timed
        return found | {"peak": max(first["peak"], engine.about["peak_opening"]), "over_base": first["peak"] - engine.about["loaded"]}
    finally:
        engine.end()


def _long(data: Path, tokens: int, count: int) -> Iterable[str]:
    """Running text of real answers, each longer than so many tokens (at more than seven characters one)."""
    with tempfile.TemporaryDirectory() as scratch:
        lines = rows.write("medquad", 16_000, data, Path(scratch) / "all.jsonl").read_text("utf-8").splitlines()
    words = " ".join(json.loads(line)["messages"][1]["content"] for line in lines)
    size = 7 * tokens
    return [words[i * size % (len(words) - size) :][:size] for i in range(count)]


def _short(data: Path) -> Iterable[list[dict[str, str]]]:
    """Small talk without end, numbered in its second round and later so that no row is another's copy."""
    with (data / "text" / "chat_english.jsonl").open(encoding="utf-8") as lines:
        turns = [json.loads(line)["messages"][:2] for line in lines]
    for number in itertools.count():
        for asked, answer in turns:
            yield [asked | {"content": f"{asked['content']} ({number})"} if number else asked, answer]


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """All points in Markdown."""
    lines = ["| axis | at | tokens/s (lowest to highest) | s to the first update | of them planning | MB over the base | MB in all |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for axis, points in found.items():
        for one in points:
            if "failed" in one:
                lines.append(f"| {axis} | {one['at']} | did not run: {one['failed'].replace('|', '/')} | | | | |")
                continue
            rate = f"{one['tokens_per_second']:.0f} ({one['lowest']:.0f} to {one['highest']:.0f})" if "lowest" in one else ""
            memory = f"{one['over_base'] / 1e6:,.0f} | {one['peak'] / 1e6:,.0f}"
            lines.append(f"| {axis} | {one['at']} | {rate} | {one['seconds_to_first']:.1f} | {one['planning']:.1f} | {memory} |")
    return "\n".join(lines) + "\n"


# ---- the plot ----------------------------------------------------------------------------------------------------------------
WIDE, HIGH, EDGE = 300, 190, 44


def plot(found: dict[str, list[dict[str, Any]]]) -> str:
    """A column for every axis, in it what is looked for above and memory below, both on logarithmic scales, as an SVG."""
    panels: list[str] = []
    for column, (axis, points) in enumerate(found.items()):
        whole = [one for one in points if "failed" not in one]
        at = [float(WEIGHTS.get(str(one["at"]), 0) or one["at"]) for one in whole]
        first = "seconds_to_first" if axis == "rows" else "tokens_per_second"
        second = "peak" if axis == "rows" else "over_base"
        words = {"length": "tokens of a row", "rows": "rows of the file", "model": "weights of the model"}[axis]
        above = ("seconds to the first update" if axis == "rows" else "tokens a second", [one[first] for one in whole])
        below = ("MB at most" if axis == "rows" else "MB over the loaded base", [one[second] / 1e6 for one in whole])
        for row, (title, values) in enumerate((above, below)):
            panels.append(_panel(column * (WIDE + EDGE), row * (HIGH + EDGE), at, values, title, words))
    size = f"{len(found) * (WIDE + EDGE) + EDGE} {2 * (HIGH + EDGE) + EDGE}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *panels, "</svg>", ""])


def _panel(left: int, top: int, at: list[float], values: list[float], title: str, words: str) -> str:
    """One line with its points, each labelled with its value."""
    if not values:
        return ""
    across, up = _scale(at, WIDE - 40), _scale(values, HIGH - 50)
    places = [(left + EDGE + 16 + across(x), top + EDGE + HIGH - 30 - up(y)) for x, y in zip(at, values, strict=True)]
    line = " ".join(f"{x:.0f},{y:.0f}" for x, y in places)
    marks = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="#4477aa"/>'
        f'<text x="{x:.0f}" y="{y - 8:.0f}" text-anchor="middle">{_short_number(value)}</text>'
        f'<text x="{x:.0f}" y="{top + EDGE + HIGH - 4}" text-anchor="middle" fill="#666">{_short_number(where)}</text>'
        for (x, y), value, where in zip(places, values, at, strict=True)
    )
    frame = f"M{left + EDGE} {top + EDGE}v{HIGH - 18}h{WIDE - 8}"
    return (
        f'<text x="{left + EDGE}" y="{top + EDGE - 10}" font-weight="bold">{title}</text>'
        f'<text x="{left + EDGE + WIDE}" y="{top + EDGE + HIGH + 10}" text-anchor="end" fill="#666">{words}</text>'
        f'<path d="{frame}" fill="none" stroke="#888"/><polyline points="{line}" fill="none" stroke="#4477aa"/>{marks}'
    )


def _scale(values: list[float], size: int) -> Any:
    low, high = math.log(min(values)), math.log(max(values))
    return lambda value: size * (math.log(value) - low) / ((high - low) or 1)


def _short_number(value: float) -> str:
    for unit, one in (("M", 1e6), ("k", 1e3)):
        if value >= one:
            return f"{value / one:.3g}{unit}"
    return f"{value:.3g}"


if __name__ == "__main__":
    main()
