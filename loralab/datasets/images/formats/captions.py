"""Captions: sentences about pictures, in text files of the same names or in a table. Recognised, so that one can be told of them."""

from __future__ import annotations

from typing import NoReturn

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import Format, Roles
from loralab.datasets.images.names import plain
from loralab.datasets.images.place import Place
from loralab.datasets.images.tabular import labelled_tables

_LOOKED = 20


def claims(place: Place) -> bool:
    """Most pictures have a text file of the same name with words in it, or a table has sentences about them."""
    texts = {plain(name).rpartition(".")[0]: name for name in place.ending(".txt", ".caption")}
    pairs = [texts[way] for name in place.pictures if (way := plain(name).rpartition(".")[0]) in texts]
    if 2 * len(pairs) > len(place.pictures):
        written = [place.read(name).decode("utf-8", errors="replace") for name in pairs[:_LOOKED]]
        if 2 * sum(any(letter.isalpha() for letter in text) for text in written) > len(written):
            return True
    return any(meaning.text and not meaning.box for _, meaning in labelled_tables(place, place.index))


def read(place: Place, facts: Facts, roles: Roles) -> NoReturn:
    """Say that pictures are not drawn yet."""
    pictures = count(len(place.pictures), "picture")
    what = f"{place.title} holds {pictures} with captions, from which one learns to draw pictures. That is not here yet."
    todo = "To tell kinds of pictures apart instead, put the pictures of each kind into a folder named after it."
    raise UserError(what, todo, code="captions")


FORMAT = Format("captions", "generate", rank=95, claims=claims, read=read)
