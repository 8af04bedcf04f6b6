"""Numbers as people say them. Invariant: the same number reads the same in the app, in a terminal and in a run's log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loralab.core.verdict import Verdict

_LEARNED = {"yes": "Yes", "no": "No", "unknown": "Cannot tell yet"}
_USABLE = {"yes": "Yes", "partly": "For some things", "no": "Not yet", "you_decide": "You decide"}
_SHORT = {"yes": "you can use it", "partly": "for some things", "you_decide": "you decide", "no": "not usable yet"}


def count(number: float, one: str, many: str = "") -> str:
    """A number with its noun: no example is ever “1 examples”. “1 example”, “1,200 examples”; 2.5 rounds stay 2.5."""
    shown = f"{number:,.0f}" if float(number).is_integer() else f"{number:,g}"
    return f"{shown} {plural(number, one, many)}"


def plural(number: float, one: str, many: str = "") -> str:
    """The noun or verb that belongs to a number: row, rows; “is”, “are”."""
    return one if number == 1 else many or f"{one}s"


def times(number: float) -> str:
    """How often: once, twice, 5 times, 1.5 times."""
    return "once" if number == 1 else "twice" if number == 2 else f"{number:,g} times"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """“a, b and c”."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


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


def figure(value: float | None, digits: int = 3) -> str:
    """A loss; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def did_it_learn(verdict: Verdict) -> str:
    """The first answer in a word: Yes, No, Cannot tell yet."""
    return _LEARNED[verdict.learned]


def can_you_use_it(verdict: Verdict) -> str:
    """The second answer in a few words: Yes, Yes for 9 of 10 topics, For some things, Not yet, You decide."""
    if verdict.reach and verdict.usable in ("yes", "partly"):
        return f"{'Yes, ' if verdict.usable == 'yes' else 'Only '}{verdict.reach}"
    return _USABLE[verdict.usable]


def told_short(verdict: Verdict) -> str:
    """The two answers in a few words, for a list of runs."""
    match verdict.learned:
        case "yes":
            return f"Learned · {_SHORT[verdict.usable]}"
        case "no":
            return "Nothing learned"
        case "unknown":
            return "Cannot tell yet"
