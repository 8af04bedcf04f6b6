"""All causes by name. Invariant: a name is the name of its file of kept runs."""

from __future__ import annotations

from functools import cache

from benchmarks.labfail.make import causes_data, causes_learning, causes_memory, causes_numbers
from benchmarks.labfail.make.cause import Cause


@cache
def causes() -> dict[str, Cause]:
    """All causes by name."""
    modules = (causes_numbers, causes_memory, causes_learning, causes_data)
    return {cause.name: cause for module in modules for cause in module.CAUSES}
