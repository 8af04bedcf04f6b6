"""Owns whether a true number is said of the right thing: which row it belongs to, before or after, by or to, because of what.

Invariant: a number may be said only where the sentence names its row better than every other row of that kind; in doubt it may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from advisor.assistant import claims, figures, retold
from advisor.assistant.evidence import Pack, Row
from advisor.assistant.figures import Figure
from advisor.assistant.retold import NAMED, NEGATION, plain, words

KINDS = ("update", "example", "token", "round")  # of what is counted
_TWO = ("before", "after")
_ABOUT = r"(?: about| around| roughly| now| still)? $"
_DIFFERENCE = re.compile(rf"\b(?:by|(?:reduction|drop|decrease|increase|gain|rise|fall|improvement|decline|change|difference) of){_ABOUT}")
_LEVEL = re.compile(rf"\b(?:to|was|is|at|of|from|were|reached|stayed|became|been){_ABOUT}")
_BOUND = re.compile(rf"\b(?:than|over|under|above|below|least|most|nearly|almost|exceed\w*|only|just|up to|beyond|within){_ABOUT}")
_IS_DIFFERENCE = re.compile(r"\bby which\b|\babove\b|\bdifference\b|\bfell\b|\brose\b|\btimes\b")
_LESS = re.compile(r"\s*(?:less|lower|smaller)\b")
_SHARE = re.compile(r"\b(?:share|fraction|ratio|proportion)\b")
_RATE_OF = re.compile(r"\b(?:per|each|every|apiece|a second|a minute|an hour)\b")
_FOREIGN = re.compile(
    r"\b(?:(?:train(?:ing)?|validation|test|evaluation) loss|accurac\w+|scores?|perplexit\w+|probabilit\w+|errors?|qualit\w+|performance|"
    r"confidence|gradients?|speed|bandwidth|recall|f1|bleu|deviation|average|mean|median|variance|percentile|people|users?|days?|weeks?|"
    r"years?|dollars?|cost|money|lines?|files?)\b"
)


def objection(sentence: str, found: Sequence[Figure], pack: Pack, rows: Sequence[Row]) -> str:
    """Why a sentence may not be shown, or an empty string. `rows`: those it cites; `found`: its figures."""
    return next(_objections(sentence.lower(), found, pack, rows), "")


def _objections(text: str, found: Sequence[Figure], pack: Pack, rows: Sequence[Row]) -> Iterator[str]:
    ground = "\n".join([pack.found, *(row.words for row in rows)]).lower()
    ways = " ".join(way.words for way in pack.ways).lower()
    advises = claims.advises(text)
    if text.rstrip("\"'”’) ").endswith("?"):
        yield "asks instead of answering"
    if why := retold.judged(text, f"{ground} {ways if advises else ''}"):
        yield why
    if advises:
        if NEGATION.search(text) and not NEGATION.search(ways):
            yield "advises against what was vetted"
        return
    if found and not rows:
        yield "a number without its source"
    if rows and (found or _moves(text, rows)):
        yield from _of_numbers(text, found, pack, rows, ground)
    elif why := retold.retold(text, pack):
        yield why
    if why := retold.because(text, pack):
        yield why


def _moves(text: str, rows: Sequence[Row]) -> bool:
    """“The held-out loss fell”, citing what it was before and after: the direction is looked at elsewhere."""
    ends = {end for row in rows for end in _TWO if end in plain(row.evidence.what).split()}
    return (claims.rises(text) or claims.falls(text)) and ends == set(_TWO) and not re.search(r"lowest|highest|\bbest\b", text)


def _of_numbers(text: str, found: Sequence[Figure], pack: Pack, rows: Sequence[Row], ground: str) -> Iterator[str]:
    """What is wrong with the numbers of a sentence that cites rows."""
    if NEGATION.search(text) and not NEGATION.search(" ".join(row.words for row in rows).lower()):
        yield "denies a number"
    if found and _RATE_OF.search(text) and not _RATE_OF.search(ground):
        yield "makes a rate of a number"
    if found and (strange := _stranger(text, rows, ground)):
        yield f"speaks of another quantity ({strange})"
    said = plain(text)
    owners = [[row for row in rows if figures.supported(figure, [row.evidence])] for figure in found]
    for figure, owned in zip(found, owners, strict=True):
        if owned and not any(_fits(figure, row, said, pack) for row in owned):
            yield "a true number said of another thing"
    yield from _places(found, owners)
    yield from _order(said, found, owners)


def _stranger(text: str, rows: Sequence[Row], ground: str) -> str:
    """A quantity that a sentence names and no row it cites does."""
    names = " ".join(f"{plain(row.words)} {row.words.lower()}" for row in rows)
    quantity = next(
        (word for word in figures.quantities(plain(text)) if word not in names and (word != "time" or "second" not in names)), ""
    )
    return quantity or next((m.group() for m in _FOREIGN.finditer(text) if claims.stem(m.group()) not in ground), "")


# ---- one number --------------------------------------------------------------------------------------------------------------
def _fits(figure: Figure, row: Row, said: str, pack: Pack) -> bool:
    """Whether a sentence says this row's number of what the row is about, and as what it is."""
    one = row.evidence
    if _BOUND.search(figure.lead) or not _as_it_is(figure, row, said):
        return False
    if figure.value == one.step and figure.value != one.value:
        return _likeness(said, row) >= NAMED and _best(said, row, pack, by_step=True)
    end, ends = _end_of(figure), plain(one.what).split()
    if end and "loss" in ends and any(word in ends for word in _TWO):
        return end in ends
    return _best(said, row, pack) and (_likeness(said, row) >= NAMED or (bool(one.unit) and not _rivals(row, pack)))


def _as_it_is(figure: Figure, row: Row, said: str) -> bool:
    """A level is said as a level, a difference as a difference, a share as a share."""
    what, share = row.evidence.what.lower(), bool(_SHARE.search(row.evidence.what)) and not row.evidence.unit
    if share and _LESS.match(figure.tail):
        return bool(figure.unit) and claims.falls(what)
    if _DIFFERENCE.search(figure.lead):
        return bool(_IS_DIFFERENCE.search(what)) and (not share or bool(figure.unit))
    return not share or bool(_SHARE.search(said)) or (bool(figure.unit) and not _LEVEL.search(figure.lead))


def _end_of(figure: Figure) -> str:
    """Whether a number is that before or that after, where “from” or “to” says so."""
    return "before" if figure.lead.endswith("from ") else "after" if figure.lead.endswith("to ") else ""


def _likeness(said: str, row: Row) -> float:
    named = words(row.evidence.what)
    return len(named & words(said)) / len(named) if named else 0.0


def _best(said: str, row: Row, pack: Pack, *, by_step: bool = False) -> bool:
    """Whether the sentence names this row better than any other whose number it could have been."""
    own = _likeness(said, row)
    rivals = [other for other in _rivals(row, pack) if not by_step or other.evidence.step is not None]
    return all(_likeness(said, other) < own or _both(said, row, other) for other in rivals)


def _rivals(row: Row, pack: Pack) -> list[Row]:
    """Rows of the same kind with another number."""
    return [other for other in pack.rows if other.evidence.value != row.evidence.value and _kind(other) == _kind(row)]


def _kind(row: Row) -> str:
    """What a row's number counts, or its unit."""
    one = row.evidence
    unit = one.unit.lower() or ("share" if _SHARE.search(one.what) else "")
    counted = next((kind for kind in KINDS if unit.startswith(kind)), "")
    if counted or not isinstance(one.value, int):
        return counted or unit
    return next((kind for kind in KINDS if kind in one.what.lower()), unit)


# ---- several -----------------------------------------------------------------------------------------------------------------
def _both(said: str, row: Row, other: Row) -> bool:
    """Whether a sentence names both of two rows in full by what sets them apart; then their order tells (`_order`)."""
    held = words(said)
    return all(own and own <= held for own in (_apart(row, other), _apart(other, row)))


def _apart(row: Row, other: Row) -> set[str]:
    return words(row.evidence.what) - words(other.evidence.what)


def _places(found: Sequence[Figure], owners: Sequence[Sequence[Row]]) -> Iterator[str]:
    """Where a number was measured at an update, no other update is named for it."""
    steps = {row.evidence.step for owned in owners for row in owned} - {None}
    named = {figure.value for figure in found if figure.unit.startswith(("update", "step")) or figure.lead.endswith(("update ", "step "))}
    if steps and not named <= steps:
        yield "names another update than the one it was measured at"


def _order(said: str, found: Sequence[Figure], owners: Sequence[Sequence[Row]]) -> Iterator[str]:
    """Where a sentence names two rows by what sets them apart, their names stand in the order of their numbers; what rises is said to."""
    told = [(figure, owned[0]) for figure, owned in zip(found, owners, strict=True) if len(owned) == 1 and not _end_of(figure)]
    for (_, one), (_, other) in pairwise(told):
        rivals = one.evidence.value != other.evidence.value and _both(said, one, other)
        if rivals and _place(said, _apart(one, other)) > _place(said, _apart(other, one)):
            yield "turns two numbers round"
    for first, second in pairwise(found):
        if not (first.lead.endswith("from ") and second.lead.endswith("to ") and first.unit == second.unit):
            continue
        if (claims.rises(said) and second.value < first.value) or (claims.falls(said) and second.value > first.value):
            yield "turns a direction round"


def _place(said: str, marks: set[str]) -> int:
    """Where the first of some words stands."""
    return next((m.start() for m in re.finditer(r"[a-z][a-z-]{2,}", said) if claims.stem(m.group()) in marks), len(said))
