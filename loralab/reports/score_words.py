"""Owns how a measured number is written for people, on every page and card.

Invariant: a share is told per cent and a difference of shares in points; what is not known is no number.
"""

from __future__ import annotations

import math

from loralab.core.records import Score


def value(score: Score, number: float, sign: str = "") -> str:
    """A share as per cent (a difference of shares as points), everything else as a number; `sign` “+” is for differences."""
    if not math.isfinite(number):
        return "–"
    share = score.share or "accuracy" in score.name
    digits = f"{100 * number:{sign}.0f}" if share else f"{number:{sign}.2f}"
    digits = digits if digits.strip("+-0.") else digits.lstrip("+-")  # nothing has no sign
    return digits.replace("-", "−") + (" points" if share and sign else " %" if share else "")


def between(score: Score) -> str:
    """The 95 % interval in words, empty where there is none."""
    if not math.isfinite(score.low + score.high) or score.low == score.high:
        return ""
    low = value(score, score.low, "+").removesuffix(" points")
    return f"{low} to {value(score, score.high, '+')}"
