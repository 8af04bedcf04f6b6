"""From raw turns to what is said of them: rates, ratios, memory and agreement."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.training.engine import OURS, kind


def compared(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell with, for every engine: tokens a second (real, learned) and ours over it, each as (median, lowest, highest) of the rounds;
    bytes over the loaded base; the largest difference of a step's loss and the difference of the held-out loss from ours.
    """
    ours = cell["engines"][OURS]
    for kept in cell["engines"].values():
        kept["tokens_per_second"] = _spread([_rate(made, 0) for made in kept["rounds"]])
        kept["learned_per_second"] = _spread([_rate(made, 1) for made in kept["rounds"]])
        pairs = zip(ours["rounds"], kept["rounds"], strict=True)
        kept["ours_over"] = _spread([_rate(first, 0) / _rate(made, 0) for first, made in pairs])
        kept["peak"] = max(made["peak"] for made in [kept["compared"], *kept["rounds"]])
        kept["over_base"] = kept["peak"] - kept["about"]["loaded"]
        losses = zip(ours["compared"]["losses"], kept["compared"]["losses"], strict=True)
        kept["loss_difference"] = max(abs(one - other) for one, other in losses)
        kept["heldout_difference"] = kept["heldout"] - ours["heldout"]
    made = [seconds for one in ours["rounds"] for seconds in one["seconds"]]
    cell["efficiency"] = min(cell["best_seconds"]) / (sum(made) / len(made))
    cell["load_before"] = cell["load"][0]
    return cell


def table(cell: dict[str, Any]) -> str:
    """The cell in Markdown."""
    timed = sum(len(made["seconds"]) for made in cell["engines"][OURS]["rounds"])
    ours = cell["engines"][OURS]
    sizes = [size for made in ours["rounds"] for size in made["sizes"]]
    tokens, learned = (sum(size[i] for size in sizes) for i in (0, 1))
    where = f"{ours['about']['kernels']}, {ours['about']['threads']} threads, load before {cell['load_before']:.2f}"
    what = f"{timed} timed steps of {tokens / len(sizes):,.0f} tokens on average, {learned / tokens:.0%} of them learned"
    heads = ("engine", "tokens/s", "learned/s", "LoRALab is faster by", "MB loaded", "MB on top", "loss differs")
    lines = [
        f"**{cell['base']}, {cell['rows']}, {cell['precision']}** ({where}; {what})",
        "",
        f"| {' | '.join(heads)} | held-out differs | gradient cosine |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_line(kind(name).words, kept) for name, kept in cell["engines"].items()]
    lines += [f"| {kind(name).words} | did not run: {why.replace('|', '/')} |" + " |" * 7 for name, why in cell["failed"].items()]
    held = f"held-out loss {cell['heldout_before']:.4f} before, {ours['heldout']:.4f} after {len(ours['compared']['losses'])} updates"
    efficiency = f"matrix efficiency {cell['efficiency']:.0%} (an update's useful products take {min(cell['best_seconds']):.2f} s at best)"
    return "\n".join([*lines, "", f"LoRALab: {efficiency}; {held}.", ""])


def _line(words: str, kept: dict[str, Any]) -> str:
    cosine = "-" if kept["cosine"] is None else f"{kept['cosine']:.6f}"
    cells = [
        words,
        _shown(kept["tokens_per_second"], 1),
        _shown(kept["learned_per_second"], 1),
        _shown(kept["ours_over"], 2),
        f"{kept['about']['loaded'] / 1e6:,.0f}",
        f"{kept['over_base'] / 1e6:,.0f}",
        f"{kept['loss_difference']:.1e}",
        f"{kept['heldout_difference']:+.4f}",
        cosine,
    ]
    return f"| {' | '.join(cells)} |"


def _rate(made: dict[str, Any], which: int) -> float:
    return sum(size[which] for size in made["sizes"]) / sum(made["seconds"])


def _spread(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


def _shown(spread: tuple[float, float, float], digits: int) -> str:
    middle, low, high = (f"{value:.{digits}f}" for value in spread)
    return f"{middle} ({low} to {high})"
