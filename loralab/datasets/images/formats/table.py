"""Classes in a table: one column names the picture, another one says what it shows."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count, listed
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.names import in_order, side_at_end, side_in, side_of
from loralab.datasets.images.place import Place
from loralab.datasets.images.several import Several, is_yes, words
from loralab.datasets.images.tabular import Meaning, cell, labelled_tables, picture_of
from loralab.datasets.readers import Row

MOST_OFFERED = 6  # labels that could be learned instead
_MISSING = "The table names it, and it is not there."
_SEVERAL = "Several pictures are called so, and the table does not say which."
_UNNAMED = "No table names it."
_TWO_LABELS = "The table gives it two different classes."
_AGAIN = "The table names it more than once."
_NO_LABEL = "The table does not say what it shows."


def claims(place: Place) -> bool:
    """A table names pictures and has a column that may be classes, and no boxes."""
    return any(
        not meaning.box and (meaning.label or meaning.one_hot or meaning.several) for _, meaning in labelled_tables(place, place.index)
    )


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """The pictures that a table names, with their class."""
    found = Found("classify", [])
    index = place.index
    tables = labelled_tables(place, index, dict(roles))
    tables = [(table, meaning) for table, meaning in tables if meaning.label or meaning.one_hot or meaning.several]
    facts.gather(place.pictures)
    said: dict[str, Item] = {}
    clashing: set[str] = set()
    for table, meaning in tables:
        found.lost += table.left_out
        for row in table.rows:
            wanted = cell(row, meaning.file)
            name, label = picture_of(row, meaning, table.source, index), _label(row, meaning, roles)
            if name is None:
                found.lose(f"{table.source}: {wanted}", _SEVERAL if index.known(wanted) else _MISSING)
                continue
            side = side_of(cell(row, meaning.side)) or (side_at_end(table.source) if len(tables) > 1 else "") or side_in(name)
            if name in said:
                found.lose(name, _AGAIN)
                clashing |= {name} if said[name].label != label else set()
                continue
            said[name] = Item(name, label or None, side=side, group=cell(row, meaning.group))
    for name in place.pictures:
        item = said.get(name)
        reason = _UNNAMED if item is None else facts.of(name).reason or (_TWO_LABELS if name in clashing else "")
        if item is None or reason:
            found.lose(name, reason)
        elif item.label is None:
            found.lose(name, _NO_LABEL)
        else:
            found.items.append(item)
    found.labels = tuple(in_order({item.label for item in found.items if item.label}))
    _tell(found, tables[0][0].columns, tables[0][1], roles)
    return found


def _label(row: Row, meaning: Meaning, roles: Roles) -> str:
    if meaning.several:
        return _one_of(row, meaning.several, _chosen(meaning.several, roles))
    if meaning.one_hot and not meaning.label:
        return next((column for column in meaning.one_hot if cell(row, column)[:1] == "1"), "")
    return " ".join(cell(row, meaning.label).split())


def _chosen(together: Several, roles: Roles) -> str:
    """Which of several labels is learned."""
    return roles["one"] if roles.get("one") in (*together.labels, *together.columns) else together.labels[0]


def _one_of(row: Row, together: Several, label: str) -> str:
    """Whether a picture has the label; nothing where its cell is empty."""
    text = cell(row, label if together.columns else together.column)
    there = is_yes(text) if together.columns else label in words(text)
    return (label if there else f"not {label}") if text else ""


def _tell_several(found: Found, together: Several, roles: Roles) -> None:
    """Which of the labels is learned, and which could be instead."""
    chosen = _chosen(together, roles)
    found.roles |= {"one": chosen}
    rest = [label for label in together.labels if label != chosen][:MOST_OFFERED]
    what = (
        f"A picture may have several of {count(len(together.columns or together.labels), 'label')} at once, and one is learned at a time."
    )
    if "one" not in roles:
        found.certain = False
        found.others = tuple({**found.roles, "one": label} for label in rest)
        what = f"{what} “{chosen}” is taken: whether it is there or not."
    todo = "Say which one it is to be; for each of them a model can be trained of the same pictures."
    found.notes.append(Problem(code="several_labels", what=what, todo=todo, severity="info" if "one" in roles else "warning"))


def _tell(found: Found, columns: tuple[str, ...], meaning: Meaning, roles: Roles) -> None:
    """Which columns are used, and which could be meant instead."""
    found.columns = columns
    found.roles = {"file": meaning.file, **({"label": meaning.label} if meaning.label else {})}
    if meaning.several:
        _tell_several(found, meaning.several, roles)
    elif meaning.others and "label" not in roles:
        found.certain = False
        found.others = tuple({"label": column} for column in meaning.others[:4])
        instead = listed([f"“{one}”" for one in meaning.others[:4]], "or")
        what = f"“{meaning.label}” is taken for what a picture shows; {instead} could be, too."
        found.notes.append(Problem(code="label_guessed", what=what, todo="Say which one is meant.", severity="warning"))


FORMAT = Format("table", "classify", rank=60, claims=claims, read=read)
