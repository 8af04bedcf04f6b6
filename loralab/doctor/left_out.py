"""Rows that could not be used: told with their commonest reason, loudly when they are many."""

from __future__ import annotations

import re
from collections import Counter

from loralab.doctor import Case
from loralab.errors import Problem


def check(case: Case) -> list[Problem]:
    """Warning from 5 % left-out rows on, else a note."""
    lost = case.loaded.left_out
    if not lost:
        return []
    kinds = Counter(re.sub(r"\d+", "…", row.reason) for row in lost)
    kind, count = kinds.most_common(1)[0]
    first = next(row for row in lost if re.sub(r"\d+", "…", row.reason) == kind)
    place = f"row {first.row}" if first.row else first.source
    rows = "row was" if len(lost) == 1 else "rows were"
    what = f"{len(lost):,} of {case.loaded.n_read:,} {rows} left out; the commonest reason ({count:,} times, first at {place}): {first.reason}"
    severity = "warning" if len(lost) >= 0.05 * case.loaded.n_read else "info"
    return [Problem(code="rows_left_out", what=what, todo="The list of left-out rows gives each one's reason.", severity=severity)]


CHECK = check
