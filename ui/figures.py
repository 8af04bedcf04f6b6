"""How numbers are said on the page."""

from __future__ import annotations

import math


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 40 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def figure(value: float | None, digits: int = 3) -> str:
    """A loss or another small number; what is not a number is said as it is."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if math.isfinite(value) else "not a number"


def count(number: float, one: str, many: str = "") -> str:
    """“1 row”, “1,204 rows”."""
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"
