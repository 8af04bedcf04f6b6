"""What the rules about memory read out of a run: where it ran out, over what, and what an allocator's message says.

Invariant: a message that is worded otherwise gives nothing, never a wrong number. Bytes everywhere.
"""

from __future__ import annotations

import re
from typing import Literal

from advisor.diagnosis.case import Case
from advisor.text import TextPlan
from loralab.core.events import Incident

Doing = Literal["learning", "one example", "optimiser", "looking", "comparing"]

_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = r"(\d+(?:\.\d+)?) (bytes|KiB|MiB|GiB)"
_SAID = {
    "wanted": rf"Tried to allocate {_SIZE}",
    "total": rf"total capacity of {_SIZE}",
    "free": rf"of which {_SIZE} is free",
    "ours": rf"this process has {_SIZE} memory in use",
    "allocated": rf"{_SIZE} is allocated by PyTorch",
    "unused": rf"{_SIZE} is reserved by PyTorch but unallocated",
}
OTHERS_SHARE = 0.2  # of the card: what other programs hold is the cause from here on
SCATTERED_SHARE = 0.15  # of the card: reserved and not used, so much that what was wanted would have had room in it
LONG_RATIO = 1.5  # times a usual row: the longest rows are what does not fit
SELDOM_SHARE = 0.2  # of the updates: more often than that it is no matter of a few rows
SMALLER_SETTINGS = ("token_budget", "micro_batch", "recompute", "offload", "max_length", "precision")  # what makes an update smaller
WIDE_VOCABULARY = 100_000  # entries of a vocabulary: from here on the numbers for all words are among the largest of a step
TILE_POSITIONS = 1024  # positions at once that loralab/sessions/head.py computes them for
LONG_TEXT_TOKENS = 1024  # tokens: from here on plain attention's square of the length counts


def doing(incident: Incident) -> Doing:
    """What the run was doing when memory ran out, by the words of loralab/train/oom.py."""
    text = incident.text
    signs: tuple[tuple[str, Doing], ...] = (
        ("held-out examples", "looking"),
        ("comparing before and after", "comparing"),
        ("was being made", "optimiser"),
        ("One example", "one example"),
    )
    for sign, name in signs:
        if sign in text:
            return name
    return "learning"


def ran_out(case: Case, *where: Doing) -> list[Incident]:
    """The times memory ran out while doing one of these, in order."""
    return [one for one in case.signals.incidents("out_of_memory") if doing(one) in where]


def said(incident: Incident) -> dict[str, int]:
    """Bytes an allocator spoke of: wanted, total, free, ours, allocated, unused; empty where it spoke otherwise."""
    error, found = str(incident.data.get("error", "")), dict[str, int]()
    for name, pattern in _SAID.items():
        if match := re.search(pattern, error):
            found[name] = int(float(match.group(1)) * _UNITS[match.group(2).lower()])
    return found


def tokens(incident: Incident) -> int:
    """Padded tokens that were computed at once."""
    return int(incident.data.get("cost", incident.data.get("tokens", 0)))  # “tokens” in the logs of older runs


def unit_of(incident: Incident) -> str:
    """What that is counted in: token, pixel."""
    return str(incident.data.get("unit", "tokens")).removesuffix("s")


def row_length(incident: Incident) -> int:
    """Tokens of the longest example in it."""
    return tokens(incident) // max(1, len(incident.data.get("rows", ())))


# ---- what it was about -------------------------------------------------------------------------------------------------------


def held_by_others(case: Case) -> int:
    """Bytes of the card that other programs held, as the allocator said; as the machine is now where it did not; 0: not much."""
    for incident in ran_out(case, "learning", "one example", "optimiser", "looking"):
        found = said(incident)
        if {"total", "free", "ours"} <= found.keys():
            others = found["total"] - found["free"] - found["ours"]
            return others if others >= OTHERS_SHARE * found["total"] else 0
    machine = case.machine
    if machine is None or machine.accelerator != "cuda":
        return 0
    card = machine.gpus[0]
    others = sum(holder.bytes for holder in card.holders)
    return others if others >= OTHERS_SHARE * card.total_bytes else 0


def scattered(case: Case) -> Incident | None:
    """The time that memory ran out though there was enough of it, in pieces."""
    for incident in ran_out(case, "learning", "one example", "optimiser", "looking"):
        found = said(incident)
        if {"unused", "wanted"} <= found.keys() and found["unused"] > found["wanted"]:
            base = found.get("total") or found.get("allocated", 0)
            if found["unused"] >= SCATTERED_SHARE * base:
                return incident
    return None


def plain_attention(case: Case) -> Incident | None:
    """The time that memory ran out over a long text while attention was computed in the plain way."""
    if not isinstance(case.asked, TextPlan) or case.asked.attention != "eager":
        return None
    return next((one for one in ran_out(case, "learning", "one example") if row_length(one) >= LONG_TEXT_TOKENS), None)


def wide_vocabulary(case: Case) -> Incident | None:
    """The time that what was wanted is, to a tenth, the numbers for all words of a large vocabulary."""
    words = case.facts.vocabulary if case.facts else 0
    if words < WIDE_VOCABULARY:
        return None
    for incident in ran_out(case, "learning", "one example", "looking"):
        wanted = said(incident).get("wanted", 0)
        sizes = [words * positions * width for positions in {tokens(incident), TILE_POSITIONS} for width in (2, 4)]
        if wanted and any(0.9 * size <= wanted <= 1.1 * size for size in sizes):
            return incident
    return None


def only_longest(case: Case) -> bool:
    """Whether memory ran out over the longest rows alone: never over usual ones, and updates without such rows fitted as they were."""
    found, known = ran_out(case, "learning"), case.facts.tokens if case.facts else {}
    if not found or "p50" not in known or (found[0].step == 0 and not _others_fitted(case, found)):
        return False
    return all(row_length(one) >= max(LONG_RATIO * known["p50"], known.get("p90", 0)) for one in found)


def _others_fitted(case: Case, found: list[Incident]) -> bool:
    """Whether a run whose first update did not fit went on as it was planned for a while, and nearly all updates of that while fitted."""
    changes = case.view.adjustments if case.view else ()
    until = min((change.step for change in changes if change.setting in SMALLER_SETTINGS), default=len(case.signals.steps))
    return sum(one.step <= until for one in found) < SELDOM_SHARE * until
