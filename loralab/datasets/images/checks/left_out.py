"""Pictures that are not learned from: damaged ones first, then those that nothing says anything about."""

from __future__ import annotations

from collections import Counter

from loralab.core.errors import Problem
from loralab.core.words import count, plural
from loralab.datasets.images.pictures import Pictures

MANY = 0.05  # share of all from which on it is a warning
MOST_REASONS = 4


def check(pictures: Pictures) -> list[Problem]:
    """How many were left out, and why."""
    lost, read = pictures.loaded.left_out, pictures.loaded.n_read
    if not lost:
        return []
    n = len(lost) + pictures.loaded.more_left_out
    reasons = Counter(one.reason for one in lost).most_common()
    told = " ".join(f"{times:,}: {reason}" for reason, times in reasons[:MOST_REASONS])
    more = f" {count(len(reasons) - MOST_REASONS, 'other reason')}." if len(reasons) > MOST_REASONS else ""
    what = f"{n:,} of {count(read, 'picture')} {plural(n, 'is', 'are')} left out. {told}{more}"
    first = "" if pictures.medical else f"The first is {lost[0].source}. "
    todo = f"{first}Mend them, or go on without."
    return [Problem(code="pictures_left_out", what=what, todo=todo, severity="warning" if n >= MANY * read else "info")]


CHECK = check
