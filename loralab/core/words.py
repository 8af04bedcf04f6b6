"""Numbers as people say them. Invariant: the same number reads the same in the app, in a terminal and in a run's log."""

from __future__ import annotations

import math


def duration(seconds: float | None) -> str:
    """Seconds: 40 s, 3 min 20 s, 42 min, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def about(seconds: float) -> str:
    """An estimate of seconds, no finer than it is known: about 50 seconds, about 12 minutes, about 3.5 hours, about 6 days."""
    if seconds < 90:
        return f"about {max(10, round(seconds, -1)):.0f} seconds"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours" if seconds < 36 * 3600 else f"about {seconds / 86400:.0f} days"


def size(count: float) -> str:
    """Bytes, in decimal units as download pages have them: 512 MB, 1.4 GB, 16 GB."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(value) < 1000 or unit == "TB":
            break
        value /= 1000
    text = f"{value:.1f}" if unit in ("GB", "TB") or (unit != "bytes" and value < 10) else f"{value:.0f}"
    return f"{text.removesuffix('.0') if value >= 10 else text} {unit}"
