"""Names of folders and classes that look like slips of the pen: “trian”, or “sqaure” beside “square”."""

from __future__ import annotations

from itertools import combinations

from loralab.core.errors import Problem
from loralab.core.words import listed
from loralab.datasets.images.names import folders_of, is_slip, meant, plain
from loralab.datasets.images.pictures import Pictures

SHORTEST = 5  # letters of a name below which two are easily alike
MOST_CLASSES = 200


def check(pictures: Pictures) -> list[Problem]:
    """Folders that are read as a part of the data set, and classes whose names hardly differ."""
    return [*_folders(pictures), *_classes(pictures)]


def _folders(pictures: Pictures) -> list[Problem]:
    slips = {folder: word for example in pictures.examples for folder in folders_of(example.source) if (word := meant(plain(folder)))}
    if not slips:
        return []
    what = f"{listed([f'The folder “{folder}” is read as “{word}”' for folder, word in list(slips.items())[:3]])}."
    return [Problem(code="folder_misspelt", what=what, todo="Give it another name if that is not what it is.", severity="info")]


def _classes(pictures: Pictures) -> list[Problem]:
    labels = pictures.labels if len(pictures.labels) <= MOST_CLASSES else ()
    alike = [pair for pair in combinations(labels, 2) if min(map(len, pair)) >= SHORTEST and is_slip(*map(plain, pair))]
    if not alike:
        return []
    named = listed([f"“{one}” and “{other}”" for one, other in alike[:3]])
    what = f"{named} are learned as classes of their own, and their names hardly differ."
    return [Problem(code="similar_classes", what=what, todo="If the same is meant, give them one name.", severity="warning")]


CHECK = check
