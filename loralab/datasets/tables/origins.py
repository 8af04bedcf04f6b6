"""Owns where rows say they are from: written by people, quoted from documents, or written by a language model.

Invariants: only a file that says it in the columns of a made data set is believed; what a language model wrote is never tested on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from loralab.core.records import Example
from loralab.datasets.large.store import StoredExamples
from loralab.datasets.readers import Table

SYNTHETIC = "synthetic"
PROVENANCE = frozenset(
    (
        *("origin", "kind", "topic", "source", "page", "offset", "evidence", "passage_id", "licence", "writer", "prompt_version", "seeds"),
        *("edited", "id"),
    )
)
_SIGNS = {"origin", "evidence", "prompt_version", "writer"}  # a file that has all of these was made here
_LOOKED = 2000  # examples of a large file; a share is told of them
USED_FOR = "where the row is from"


def tells_origin(columns: Sequence[str]) -> bool:
    """Whether these are the columns of a made data set."""
    return set(columns) >= _SIGNS


def origins(table: Table) -> Callable[[int], tuple[str, str]]:
    """The origin and the writer of the row of this number; empty where the file does not say."""
    if not tells_origin(table.columns):
        return lambda _number: ("", "")
    known = {row.number: (str(row.values.get("origin") or ""), str(row.values.get("writer") or "")) for row in table.rows}
    return lambda number: known.get(number, ("", ""))


def with_origin(example: Example, origin: tuple[str, str], *, held: bool) -> Example:
    """The example with what its file says of it; what a language model wrote is never there to test with."""
    found = {"held_out": held and origin[0] != SYNTHETIC, "origin": origin[0], "writer": origin[1]}
    return example.model_copy(update=found) if held or origin[0] else example


def words(examples: Sequence[Example], heldout: Sequence[Example] = ()) -> str:
    """What share of what is learned from was written by a language model; empty where the file does not say."""
    examples = examples.evenly(_LOOKED) if isinstance(examples, StoredExamples) else examples
    tested = heldout.evenly(_LOOKED) if isinstance(heldout, StoredExamples) else heldout
    if any(example.origin == SYNTHETIC for example in tested):
        who = next((example.writer for example in examples if example.writer), "a language model")
        return f"All of it was written by {who}: there is no row of a person to test it on, so what it shows is how well it copies {who}."
    found = Counter(example.origin for example in examples if example.origin)
    return origin_words(found, Counter(example.writer for example in examples if example.writer)) if found else ""


def origin_words(found: Mapping[str, int], writers: Mapping[str, int]) -> str:
    """“62 % of what it learns from was written by …”; where nothing was written by a model, where the rows are from."""
    total = sum(found.values())
    if not total:
        return ""
    if written := found.get(SYNTHETIC, 0):
        who = max(writers, key=lambda name: writers[name]) if writers else "a language model"
        return f"{100 * written / total:.0f} % of what it learns from was written by {who}; it is tested on none of that."
    if extracted := found.get("extracted", 0):
        return f"{100 * extracted / total:.0f} % of what it learns from is quoted from documents; none was written by a language model."
    return "All of it was written by people."
