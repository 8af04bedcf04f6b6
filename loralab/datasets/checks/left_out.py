"""Rows that could not be used: told with their commonest reason, loudly when they are many."""

from __future__ import annotations

import re
from collections import Counter

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case


def check(case: Case) -> list[Problem]:
    """Warning from 5 % left-out rows on, else a note."""
    lost = case.loaded.left_out
    if not lost:
        return []
    n_lost = len(lost) + case.loaded.more_left_out
    kinds = Counter(re.sub(r"\d+", "…", row.reason) for row in lost)
    kind, times = kinds.most_common(1)[0]
    first = next(row for row in lost if re.sub(r"\d+", "…", row.reason) == kind)
    place = f"row {first.row}" if first.row else first.source
    what = f"Left out: {n_lost:,} of {count(case.loaded.n_read, 'row')}. Most often ({times:,}×, first at {place}): {first.reason}"
    severity = "warning" if n_lost >= 0.05 * case.loaded.n_read else "info"
    return [Problem(code="rows_left_out", what=what, todo="The list of left-out rows gives every reason.", severity=severity)]


CHECK = check
