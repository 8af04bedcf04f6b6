"""Captions: what each picture shows in words, in text files of the same names or in a table; from such pictures one learns to draw.

Invariant: a picture whose caption is missing keeps its place: it is told by the name of its folder, and the trigger word says the rest.
"""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count, plural
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.names import folders_of, plain, side_in, side_of
from loralab.datasets.images.place import Place
from loralab.datasets.images.tabular import Meaning, cell, labelled_tables, picture_of
from loralab.datasets.readers import Table
from loralab.datasets.tables.columns import key

DRAW = "draw"  # the kind of training
MOST = 500  # characters of a caption that are kept
_LOOKED = 20
_ENDINGS = (".txt", ".caption")
_COLUMNS = ("caption", "captions", "prompt", "prompts", "text")
_HOLDERS = frozenset(("images", "image", "img", "pictures", "photos", "data", "dataset", "files", "all"))


def claims(place: Place) -> bool:
    """Most pictures have a text file of the same name with words in it, or a table has sentences about them."""
    texts = _texts(place)
    pairs = [texts[way] for name in place.pictures if (way := _way(name)) in texts]
    if 2 * len(pairs) > len(place.pictures):
        written = [place.read(name).decode("utf-8", errors="replace") for name in pairs[:_LOOKED]]
        if 2 * sum(any(letter.isalpha() for letter in text) for text in written) > len(written):
            return True
    return bool(_tables(place, {}))


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Every picture that opens, with its caption."""
    found = Found(DRAW, [])
    said, sides = _from_tables(place, found, roles)
    texts = _texts(place)
    facts.gather(place.pictures)
    bare = 0
    for name in place.pictures:
        if reason := facts.of(name).reason:
            found.lose(name, reason)
            continue
        caption = said.get(name, "") or (_clean(place.read(texts[way])) if (way := _way(name)) in texts else "")
        bare += not caption
        found.items.append(Item(name, side=sides.get(name, "") or side_in(name), caption=caption or _folder(name)))
    if bare:
        what = (
            f"{count(bare, 'picture')} {plural(bare, 'has', 'have')} no caption, and {plural(bare, 'is', 'are')} told by the folder's name."
        )
        found.notes.append(Problem(code="no_captions", what=what, todo="A few words about each make it obey better.", severity="info"))
    return found


def _from_tables(place: Place, found: Found, roles: Roles) -> tuple[dict[str, str], dict[str, str]]:
    """Captions and sides that tables give, by picture; the column is noted as the role “caption”."""
    said, sides = dict[str, str](), dict[str, str]()
    for table, meaning, column in _tables(place, roles):
        found.lost += table.left_out
        found.columns, found.roles = table.columns, {"file": meaning.file, "caption": column}
        for row in table.rows:
            name = picture_of(row, meaning, table.source, place.index)
            if name is None:
                found.lose(f"{table.source}: {cell(row, meaning.file)}", "The table names it, and it is not there.")
                continue
            said[name] = _clean(cell(row, column).encode())
            sides[name] = side_of(cell(row, meaning.side))
    return said, sides


def _tables(place: Place, roles: Roles) -> list[tuple[Table, Meaning, str]]:
    """Tables with sentences about pictures, and no boxes, with the column of these."""
    found: list[tuple[Table, Meaning, str]] = []
    for table, meaning in labelled_tables(place, place.index):
        named = {key(column): column for column in reversed(table.columns) if column != meaning.file}
        column = roles.get("caption", "") or next((named[name] for name in _COLUMNS if name in named), "") or meaning.text
        if column in table.columns and not meaning.box and column != meaning.label:
            found.append((table, meaning, column))
    return found


def _texts(place: Place) -> dict[str, str]:
    """Text files by their names without an ending."""
    return {_way(name): name for name in place.ending(*_ENDINGS)}


def _way(name: str) -> str:
    return plain(name).rpartition(".")[0]


def _clean(raw: bytes) -> str:
    """A caption in one line, no longer than is kept."""
    return " ".join(raw.decode("utf-8-sig", errors="replace").split())[:MOST]


def _folder(name: str) -> str:
    """The innermost folder that says something, as words."""
    said = [one for one in folders_of(name) if not side_of(one) and plain(one) not in _HOLDERS]
    return " ".join(said[-1].replace("_", " ").replace("-", " ").split()) if said else ""


FORMAT = Format("captions", DRAW, rank=85, claims=claims, read=read)
