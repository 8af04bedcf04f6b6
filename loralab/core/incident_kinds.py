"""Of which kind an incident is, by its code. Invariant: a code that is not here is told all the same, as “other”."""

from __future__ import annotations

from typing import Literal

Kind = Literal["skipped", "rolled back", "memory", "other"]

KINDS: dict[str, Kind] = {
    "non_finite": "skipped",
    "bad_row": "skipped",
    "diverged": "rolled back",
    "rolled_back": "rolled back",
    "out_of_memory": "memory",
    "killed_for_memory": "memory",
    "memory_spill": "memory",
    "does_not_fit": "memory",
}
