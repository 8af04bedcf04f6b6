"""How numbers are said on the page."""

from __future__ import annotations

import math


def figure(value: float | None, digits: int = 3) -> str:
    """A loss or another small number; what is not a number is said as it is."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if math.isfinite(value) else "not a number"
