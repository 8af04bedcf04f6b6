"""How numbers and small parts of sentences are said. Invariant: what is not a number is not said as one."""

from __future__ import annotations

import math

from loralab.core.words import count


def loss(value: float) -> str:
    """A loss: 3.21; small ones keep two places that matter."""
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def share(value: float) -> str:
    """A share of one as per cent: 42 %, below ten with a place."""
    percent = 100 * value
    return f"{percent:.0f} %" if abs(percent) >= 10 or percent == round(percent) else f"{percent:.1f} %"


def rate(value: float) -> str:
    """A learning rate as the plan page writes it: 0.0002."""
    return f"{value:.10f}".rstrip("0").rstrip(".") if value >= 1e-7 else f"{value:g}"


def time(seconds: float) -> str:
    """“40 seconds”, “12 minutes”, “2 hours and 5 minutes”."""
    if not math.isfinite(seconds):
        return "an unknown time"
    whole = max(1, round(seconds))
    if whole < 90:
        return count(whole, "second")
    minutes = round(whole / 60)
    if minutes < 90:
        return count(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    return count(hours, "hour") + (f" and {count(rest, 'minute')}" if rest else "")


def sentence(text: str) -> str:
    """With a capital letter and a full stop, once."""
    clean = text.strip()
    return f"{clean[:1].upper()}{clean[1:]}" + ("" if clean.endswith((".", "!", "?", "”", "…")) else ".") if clean else ""


def joined(*sentences: str) -> str:
    """Sentences one after the other; empty ones are left out."""
    return " ".join(sentence(text) for text in sentences if text and text.strip())
