"""Owns the way from tables to Examples and their split. App and worker call the same functions, so both see the same rows.

Invariant: rows kept + rows left out = rows read, and no example has a copy of itself, or of its question, on the other side of the split;
nor a near copy, unless there are so many of it that they would be most of what is held out.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from loralab.core.errors import Offered, UserError
from loralab.core.records import Choice, Example, FieldUse, LeftOut, Part, Record
from loralab.core.words import count, listed
from loralab.datasets.account import Tally, column_uses, joined
from loralab.datasets.conversations.chats import PROGRAM
from loralab.datasets.conversations.contents import PICTURES
from loralab.datasets.conversations.members import with_names
from loralab.datasets.conversations.spoken import PICTURED
from loralab.datasets.examples import convert
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.large.store import StoredExamples
from loralab.datasets.near_duplicates import near_pairs
from loralab.datasets.readers import Table
from loralab.datasets.tables.columns import NAMES_A_PERSON, key
from loralab.datasets.tables.guesses import choices
from loralab.datasets.tables.marked import FEWEST, Marks, are_named, held_rows
from loralab.datasets.tables.origins import SYNTHETIC, origins, with_origin
from loralab.datasets.tables.shapes import Recognised, check_roles, recognise, taken, with_everybody
from loralab.datasets.tables.tidy import tidy

MIN_HELDOUT = FEWEST
TELLING_HELDOUT = 30  # held-out examples that tell more than a large gain from chance
ENOUGH_TO_SPARE = 125  # examples of which a fifth may go: a hundred are left to learn from
MIN_EXAMPLES = MIN_HELDOUT + 1  # one must be left to learn from
MOST_LISTED = 1000  # rows left out that are listed of a large file
SHOWN, CELL = 5, 300  # rows of a table that are shown, characters of a cell

T = TypeVar("T")
Numbers = np.ndarray[Any, np.dtype[Any]]


class Loaded(Record):
    """What reading a file of examples found besides the examples."""

    name: str
    path: str
    shape: str
    roles: dict[str, str]
    columns: tuple[str, ...]
    certain: bool
    encoding: str
    speakers: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()
    n_read: int
    left_out: tuple[LeftOut, ...] = ()
    more_left_out: int = 0  # beside those listed
    choices: tuple[Choice, ...] = ()
    fields: tuple[FieldUse, ...] = ()


def examples_of(
    path: Path, tables: Sequence[Table], roles: dict[str, str] | None = None, parts: Sequence[str] = (), *, beside: Sequence[str] = ()
) -> tuple[tuple[Example, ...], Loaded]:
    """Convert every row of the tables that were read from `path`. `roles` (role -> column) override recognition where a table has them.

    `parts`: the sheets of a workbook, or the text or tables of a document, that are read; without them the largest of each file.
    `beside`: the files that belong to the same data, where these tables are only some of it.
    Raises UserError when nothing can be learned from them, or when the roles or parts fit none of it.
    """
    wanted = given(roles)
    tables, found_parts = choose_parts([tidy(table) for table in with_names(tables)], parts)
    left_out = [lost for table in tables for lost in table.left_out]
    tables = [table for table in tables if table.rows]
    if not tables:
        raise UserError(f"{Path(path).name} holds no rows to learn from.", "Choose a file with examples in it.", code="no_examples")
    if wanted and not any(_fits(table, wanted) for table in tables):
        raise _no_such_column(tables, wanted)
    tables, understood, strange = _all_understood(tables, wanted)
    left_out += strange
    examples, tally, unread = list[Example](), Tally(), len(left_out)
    named = are_named([*beside, *(table.source for table in tables)])
    for table, found in zip(tables, understood, strict=True):
        held, origin = held_rows(table, named), origins(table)
        for unit in convert(table, found.roles, tally):
            if isinstance(unit, Example):
                examples.append(with_origin(unit, origin(unit.row), held=held(unit.row)))
            else:
                left_out.append(unit)
    main = max(range(len(tables)), key=lambda place: len(tables[place].rows))
    loaded = Loaded(
        name=Path(path).name,
        path=str(path),
        shape=understood[main].shape,
        roles=understood[main].roles,
        columns=tables[main].columns,
        certain=all(found.certain for found in understood) and (bool(wanted) or not any(table.guessed for table in tables)),
        encoding=tables[main].encoding,
        speakers=tuple(dict.fromkeys(name for found in understood for name in found.speakers)),
        parts=found_parts,
        cells=_cells(tables[main]),
        n_read=len(examples) + len(left_out),
        left_out=tuple(left_out),
        choices=() if understood[main].certain else choices(tables[main], understood[main].roles, understood[main].speakers),
        fields=(*column_uses(tables, [found.roles for found in understood]), *tally.uses()),
    )
    if not examples:
        raise _nothing(loaded, [lost.reason for lost in left_out[unread:] or left_out])
    return tuple(examples), loaded


def _nothing(loaded: Loaded, reasons: Sequence[str]) -> UserError:
    """What is said where no row is kept: why most of them are not."""
    reason = Counter(reasons).most_common(1)[0][0]
    what = f"No row of {loaded.name} can be learned from. {reason}"
    if reason == PICTURED and loaded.roles:
        return without_pictures(what, loaded.columns, loaded.roles)
    who = listed([f"“{name}”" for name in loaded.speakers[:12]])
    todo = f"Those who speak in it: {who}. Say which of them answers." if who else "Choose other columns or another file."
    return UserError(what, todo, code="no_examples")


def without_pictures(what: str, columns: Sequence[str], roles: dict[str, str]) -> Offered:
    """The offer to learn the words of answers that are about pictures."""
    column = next((one for one in columns if key(one) in PICTURES), next(iter(roles.values())))
    todo = "You can have the words learned without the pictures: then it answers without seeing any. Or choose another file."
    return Offered(what, todo, "only_pictures", "Learn the words without the pictures", {"pictures": column, **roles})


def _all_understood(tables: Sequence[Table], roles: dict[str, str]) -> tuple[list[Table], list[Recognised], list[LeftOut]]:
    """The tables with what they are, and the rows of those that are nothing, or a guess beside conversations: a list of a chat's members.

    Raises UserError where there is nothing else.
    """
    found: list[tuple[Table, Recognised]] = []
    lost: list[LeftOut] = []
    errors: list[UserError] = []
    for table in tables:
        try:
            found.append((table, _understand(table, roles)))
        except UserError as error:
            errors.append(error)
            lost += [LeftOut(row=row.number, source=table.source, reason=error.problem.what) for row in table.rows]
    if not found:
        raise errors[0]
    talks = any("messages" in known.roles for _, known in found)
    chat = any(PROGRAM in table.columns for table, _ in found)
    odd = [at for at, (_, known) in enumerate(found) if talks and "messages" not in known.roles and (chat or not known.certain)]
    reason = "It holds no conversation, as the other files do."
    lost += [LeftOut(row=row.number, source=found[at][0].source, reason=reason) for at in odd for row in found[at][0].rows]
    kept = [one for at, one in enumerate(found) if at not in odd]
    return [table for table, _ in kept], [known for _, known in kept], lost


def given(roles: dict[str, str] | None) -> dict[str, str]:
    """The roles that somebody gave (role -> column). Raises UserError where nothing could be learned with them."""
    wanted = {role: column for role, column in (roles or {}).items() if column}
    if wanted:
        check_roles(wanted)
    return wanted


def merged(before: Loaded, more: Loaded) -> Loaded:
    """What reading found, of two pieces of one file or folder; the first says the shape. Only the first rows left out are listed."""
    listed = (*before.left_out, *more.left_out)
    found = before if before.shape else more
    return found.model_copy(
        update={
            "columns": tuple(dict.fromkeys((*found.columns, *more.columns))) if found.shape == more.shape else found.columns,
            "certain": before.certain and more.certain,
            "speakers": tuple(dict.fromkeys((*before.speakers, *more.speakers))),
            "n_read": before.n_read + more.n_read,
            "left_out": listed[:MOST_LISTED],
            "more_left_out": before.more_left_out + more.more_left_out + max(0, len(listed) - MOST_LISTED),
            "fields": joined(before.fields, more.fields),
        }
    )


def _no_such_column(tables: Sequence[Table], wanted: dict[str, str]) -> UserError:
    known = {column for table in tables for column in table.columns}
    missing = next((column for column in wanted.values() if column not in known), next(iter(wanted.values())))
    has = ", ".join(f"“{column}”" for column in tables[0].columns[:12])
    return UserError(f"The file has no column “{missing}”; it has {has}.", "Choose the columns again.", code="no_such_column")


def choose_parts(tables: Sequence[Table], wanted: Sequence[str] = ()) -> tuple[list[Table], tuple[Part, ...]]:
    """The tables that are read, and all parts there are: of each file those that are wanted, without a wish its largest that is not hidden.

    Raises UserError where a wish names no part.
    """
    sources = {table.source for table in tables if table.rows}
    named = {place: table.part if len(sources) == 1 else f"{table.source}/{table.part}" for place, table in enumerate(tables) if table.part}
    known = [name for place, name in named.items() if tables[place].rows]
    if unknown := [name for name in wanted if name not in known]:
        has = ", ".join(f"“{name}” ({count(len(tables[place].rows), 'row')})" for place, name in named.items() if name in known)
        raise UserError(f"The file has no part “{unknown[0]}”.", f"It has {has or 'one part only'}.", code="no_such_part")
    taken: set[int] = {place for place, table in enumerate(tables) if not table.part}
    for source in sources:
        own = [place for place in named if tables[place].source == source and tables[place].rows]
        asked = [place for place in own if named[place] in wanted]
        taken |= set(asked or ([max(own, key=lambda at: (not tables[at].hidden, len(tables[at].rows)))] if own else ()))
    parts = [
        Part(name=named.get(at, ""), rows=len(one.rows), columns=one.columns, about=one.about, is_prose=one.is_prose, taken=at in taken)
        for at, one in enumerate(tables)
        if one.rows and (one.about or (at in named and len(known) > 1))
    ]
    several = len(taken & named.keys()) > 1
    kept = [_with_part(table) if several and place in named else table for place, table in enumerate(tables) if place in taken]
    return kept, tuple(parts)


def _with_part(table: Table) -> Table:
    """The table under a name that tells it from the other parts of its file."""
    source = f"{table.source}/{table.part}"
    return replace(table, source=source, left_out=[lost.model_copy(update={"source": source}) for lost in table.left_out])


def _cells(table: Table) -> tuple[tuple[str, ...], ...]:
    """The first rows of a table, as short texts."""
    if table.is_prose:
        return ()
    return tuple(tuple(cell_text(row.values.get(column))[:CELL] for column in table.columns) for row in table.rows[:SHOWN])


def _fits(table: Table, roles: dict[str, str]) -> bool:
    return {column for role, column in roles.items() if role != NAMES_A_PERSON} <= set(table.columns)


def _understand(table: Table, roles: dict[str, str]) -> Recognised:
    return with_everybody(table, taken(table, roles) if roles and _fits(table, roles) else recognise(table))


# ---- split -----------------------------------------------------------------------------------------------------------------


def normalised(text: str) -> str:
    """Text without what does not make it different: case, accents' spelling, punctuation, blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", folded).strip() or " ".join(folded.split())


def fingerprint(example: Example) -> str:
    """Equal for examples that say the same."""
    if example.media:
        return "\n".join([*example.media, example.text, example.label or "", repr(example.target)])
    if not example.messages:
        return normalised(example.text)
    return "\n".join(f"{message.role}: {normalised(message.said)}" for message in example.messages)


def question_of(example: Example) -> str:
    """What the model is asked: everything before the last answer, or what it is shown."""
    if example.media:
        return "\n".join(example.media)
    if not example.messages:
        return normalised(example.text)
    return "\n".join(f"{message.role}: {normalised(message.said)}" for message in example.messages[:-1])


def copies(examples: Sequence[Example]) -> Sequence[Example]:
    """Examples that say the same as one before them."""
    if isinstance(examples, StoredExamples):
        later = np.ones(len(examples), dtype=bool)
        later[np.unique(examples.contents, return_index=True)[1]] = False
        return examples.take(np.flatnonzero(later))
    seen: set[str] = set()
    return [example for example in examples if (mark := fingerprint(example)) in seen or seen.add(mark)]


def count_duplicates(examples: Sequence[Example]) -> int:
    """How many say the same as one before them."""
    return len(copies(examples))


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the positions 0..count-1, evenly spread, always the same ones."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []


def stratified(examples: Sequence[Example], most: int) -> list[int]:
    """Positions of at most `most` examples, in file order: evenly spread, each class or repeated answer with about its share."""
    answers = [e.label if e.label is not None else e.messages[-1].content.strip() if e.messages else "" for e in examples]
    repeated = Counter(answers)
    order = sorted(range(len(examples)), key=lambda place: answers[place] if repeated[answers[place]] > 1 else "")
    return sorted(order[place] for place in spread(len(order), most))


def usual_share(rows: int) -> float:
    """Share of so many examples to hold out: a tenth, or a fifth where a tenth is too few to tell a small gain from chance."""
    return 0.2 if rows >= ENOUGH_TO_SPARE and rows < 10 * TELLING_HELDOUT else 0.1


def split(
    examples: Sequence[Example], share: float = 0.1, seed: int = 0, by: str = "likeness"
) -> tuple[Sequence[Example], Sequence[Example]]:
    """(train, held-out), each in file order: `share` held out, at least 8 rows, never more than half.

    Examples that the file marks to test with are the held-out ones instead, as long as 8 are left to learn from; fewer than 8 of them are
    filled up, and what asks the same as one goes with it.
    Examples with the same question stay together, so that no held-out question was trained on; where one question is more than a
    twentieth of all rows (the same instruction everywhere) only equal examples stay together. Texts that differ by a word stay together,
    too, where they are no more than a quarter of what is held out: else they would be most of the test. The same seed gives the same split.

    `by`: a plan's `heldout_by`. With “question”, neither marks nor near copies count: what runs begun before they did have learned from
    must not be held out when they are gone on with or judged again.
    """
    if isinstance(examples, StoredExamples):
        aside = _aside(examples.questions, examples.contents, examples.marked, share, seed, by_model=examples.written)
        return examples.take(np.flatnonzero(~aside)), examples.take(np.flatnonzero(aside))
    marked = np.array([example.held_out and by == "likeness" for example in examples], dtype=bool)
    texts = list(map(fingerprint, examples))
    written = np.array([example.origin == SYNTHETIC for example in examples], dtype=bool)
    near = texts if by == "likeness" else ()
    aside = _aside(_numbered(map(question_of, examples)), _numbered(texts), marked, share, seed, near, written)
    train = tuple(example for example, away in zip(examples, aside, strict=True) if not away)
    return train, tuple(example for example, away in zip(examples, aside, strict=True) if away)


def _numbered(texts: Iterable[str]) -> Numbers:
    """A number for each text, the same for the same."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(text, len(known)) for text in texts], dtype=np.int64)


def _aside(
    questions: Numbers, contents: Numbers, marked: Numbers, share: float, seed: int, texts: Sequence[str] = (), by_model: Any = None
) -> Numbers:
    """Whether each example is held out, by what it asks, what it says and whether the file marks it; with the `texts`, which have to be in
    memory, also by what is nearly the same. What is written `by_model` stays to be learned from, and no group that has some of
    it is taken, unless there is nothing else.
    """
    n = len(questions)
    target = min(n // 2, max(MIN_HELDOUT, round(share * n)))
    groups, sizes = _groups(questions, contents)
    aside = _followed(marked, groups)
    if texts:
        groups, sizes = _with_near_copies(groups, texts, max(2, target // 4))
    held = int(aside.sum())
    free = np.setdiff1d(np.arange(len(sizes)), groups[aside]).tolist() if held < MIN_HELDOUT else []
    if by_model is not None and by_model.any() and not by_model.all():
        aside &= ~by_model
        free = np.setdiff1d(free, groups[by_model]).tolist()
    random.Random(seed).shuffle(free)
    chosen = np.zeros(len(sizes), dtype=bool)
    for group in free:
        if held + sizes[group] <= target:
            chosen[group] = True
            held += int(sizes[group])
    return aside | chosen[groups]


def _followed(marked: Numbers, groups: Numbers) -> Numbers:
    """What the file's own marks hold out; nothing where that would leave too few to learn from."""
    if not Marks(int(marked.sum()), len(marked)).followed:
        return np.zeros_like(marked)
    whole = np.isin(groups, groups[marked])
    return whole if len(marked) - int(whole.sum()) >= MIN_HELDOUT else marked


def _with_near_copies(groups: Numbers, texts: Sequence[str], most: int) -> tuple[Numbers, Numbers]:
    """The groups, joined where texts of two are nearly the same, and their sizes; those that would have more than `most` examples stay.

    Takes two hundredths of a second for 600 rows, one and a half seconds for 50,000.
    """
    joined = groups.copy()
    for pair in near_pairs(texts):
        one, other = sorted(joined[list(pair)].tolist())
        if one != other:
            joined[joined == other] = one
    sizes = np.bincount(joined)
    _, found, counted = np.unique(np.where(sizes[joined] <= most, joined, groups), return_inverse=True, return_counts=True)
    return found, counted


def _groups(questions: Numbers, contents: Numbers) -> tuple[Numbers, Numbers]:
    """The group of each example that must not be parted, numbered by first appearance, and the sizes of the groups."""
    _, first, same, sizes = np.unique(questions, return_index=True, return_inverse=True, return_counts=True)
    _, first_copy, copy = np.unique(contents, return_index=True, return_inverse=True)
    everywhere = sizes[same] > max(2, len(questions) // 20)
    inner = np.where(everywhere, first_copy[copy], first[same])
    _, groups, counted = np.unique(first[same] * len(questions) + inner, return_inverse=True, return_counts=True)
    return groups, counted
