"""Boxes as YOLO writes them: a text file per picture, a line per box with the number of its class, its middle and its size as shares."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath

from loralab.core import strict_json
from loralab.core.errors import Problem
from loralab.core.records import Target
from loralab.core.words import count, plural
from loralab.datasets.images.boxes import NO_CLASS, NO_NUMBERS, NO_PICTURE, Box, Frame, around, regions
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import BoxCount, Format, Found, Item, Roles
from loralab.datasets.images.names import plain, side_in, slip_of
from loralab.datasets.images.notes import outlines_note, shows_nothing
from loralab.datasets.images.place import Place

_LISTS = ("classes.txt", "obj.names", "labels.txt", "names.txt", "predefined_classes.txt", "class_names.txt", "_darknet.labels")
_HOLDERS = frozenset(("images", "labels", "image", "label", "img", "obj_train_data", "jpegimages"))
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
LINE = re.compile(rf"^\s*\d+(?:\.0+)?(?:\s+{_NUMBER}){{4,}}\s*$")
_NAMES = re.compile(r"^names\s*:(.*?)(?=^\w|\Z)", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"""^\s*(?:-\s*|(\d+)\s*:\s*)(?:"([^"]*)"|'([^']*)'|([^#\n]*))""", re.MULTILINE)
_QUOTED = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,\[\]"']+))""")

Key = tuple[tuple[str, ...], str]


def claims(place: Place) -> bool:
    """Text files that belong to pictures hold lines of numbers."""
    pairs = pairs_of(place)
    looked = [label for label in pairs.values() if place.sizes.get(label, 1)][:20]
    lines = [line for label in looked for line in lines_of(place, label)]
    return bool(lines) and 2 * sum(bool(LINE.match(line)) for line in lines) > len(lines)


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures with the boxes of their text file; one without such a file, or with an empty one, shows nothing."""
    found = Found("detect", [], boxes=(boxes := BoxCount()))
    facts.gather(place.pictures)
    pairs = pairs_of(place)
    names = class_names(place, pairs)
    outlines = bare = 0
    highest = -1
    for name in place.pictures:
        fact = facts.of(name)
        lines = lines_of(place, pairs[name]) if name in pairs else []
        if fact.reason:
            found.lose(name, fact.reason)
            if lines:
                boxes.drop(NO_PICTURE, len(lines))
            continue
        bare += name not in pairs
        said: list[tuple[str, Box]] = []
        for line in lines:
            kind, box, outlined, reason = _box(line, fact.width, fact.height, names)
            if box is None:
                boxes.drop(reason)
                continue
            outlines += outlined
            highest = max(highest, kind)
            said.append((names.get(kind, f"class {kind}"), box))
        target = Target(regions=regions(said, Frame(), fact, boxes))
        found.items.append(Item(name, target=target, side=side_in(name)))
    lonely(place, pairs, found)
    found.labels = tuple(names.values()) if names else tuple(f"class {kind}" for kind in range(highest + 1))
    found.notes += [*outlines_note(outlines), *unnamed(names), *shows_nothing(found), *without_file(bare, len(found.items))]
    return found


def _box(line: str, width: int, height: int, names: dict[int, str]) -> tuple[int, Box | None, bool, str]:
    """Class, box in pixels, whether it was drawn as an outline, and why it is no box."""
    try:
        first, *rest = (float(word) for word in line.split())
        kind = int(first)
    except (ValueError, OverflowError):
        return -1, None, False, NO_NUMBERS
    if len(rest) < 4:
        return -1, None, False, NO_NUMBERS
    if kind != first or kind < 0 or (names and kind not in names):
        return -1, None, False, NO_CLASS
    if len(rest) >= 6 and len(rest) % 2 == 0:
        box = around([value * (width, height)[at % 2] for at, value in enumerate(rest)])
        return kind, box, True, NO_NUMBERS
    x, y, across, down = rest[:4]
    half = across / 2, down / 2
    return kind, ((x - half[0]) * width, (y - half[1]) * height, (x + half[0]) * width, (y + half[1]) * height), False, ""


def pairs_of(place: Place) -> dict[str, str]:
    """The text file of each picture: beside it, or in a folder “labels” where the picture is in “images”."""
    labels = {_key(name): name for name in place.ending(".txt") if PurePosixPath(plain(name)).name not in _LISTS}
    return {name: labels[key] for name in place.pictures if (key := _key(name)) in labels}


def _key(name: str) -> Key:
    way = PurePosixPath(plain(name))
    return tuple(folder for folder in way.parts[:-1] if folder not in _HOLDERS and not slip_of(folder, _HOLDERS)), way.stem


def lines_of(place: Place, name: str) -> list[str]:
    """The lines of a text file that are not empty."""
    return [line for line in place.read(name).decode("utf-8-sig", errors="replace").splitlines() if line.strip()]


def lonely(place: Place, pairs: dict[str, str], found: Found) -> None:
    """Count text files whose picture is not there, and their boxes."""
    used = set(pairs.values())
    for name in place.ending(".txt"):
        if name in used or PurePosixPath(plain(name)).name in _LISTS:
            continue
        if boxes := sum(bool(LINE.match(line)) for line in lines_of(place, name)):
            found.lose(name, "Its picture is not there.")
            if found.boxes is not None:
                found.boxes.drop(NO_PICTURE, boxes)


def class_names(place: Place, pairs: Mapping[str, str]) -> dict[int, str]:
    """Names by number: from data.yaml, a list with a name per line, or Label Studio's notes.json; none where there are none.

    Of several data.yaml that which names the most of what is there: copies of older ones are left lying about.
    """
    known = [_from_yaml(place.read(name).decode("utf-8-sig", errors="replace")) for name in place.ending(".yaml", ".yml")]
    if known := [names for names in known if names]:
        used = Counter(line.split()[0] for name in pairs.values() for line in lines_of(place, name)) if len(known) > 1 else Counter[str]()
        return max(known, key=lambda names: sum(n for kind, n in used.items() if kind.isdigit() and int(kind) in names))
    for name in place.texts:
        if PurePosixPath(plain(name)).name in _LISTS or plain(name).endswith(".names"):
            return dict(enumerate(line.strip() for line in lines_of(place, name)))
    for name in place.ending("notes.json"):
        try:
            said = strict_json.load(place.read(name))
            return {int(one["id"]): str(one["name"]) for one in said["categories"]}
        except (ValueError, KeyError, TypeError):
            continue
    return {}


def _from_yaml(text: str) -> dict[int, str]:
    """What stands under `names:`, as a list in a line, a list in lines, or names behind numbers."""
    found = _NAMES.search(text)
    if not found:
        return {}
    body = found.group(1)
    inline = body.strip()
    if inline.startswith("["):
        words = ["".join(parts).strip() for parts in _QUOTED.findall(inline.partition("]")[0])]
        return dict(enumerate(word for word in words if word))
    if inline.startswith("{"):
        pieces = [piece.partition(":") for piece in inline.strip("{}\n ").split(",")]
        return {int(number): word.strip(" '\"") for number, _, word in pieces if number.strip().isdigit()}
    named = [(number, (double or single or bare).strip()) for number, double, single, bare in _NAMED.findall(body)]
    return {int(number) if number else at: word for at, (number, word) in enumerate(named) if word}


def unnamed(names: dict[int, str]) -> list[Problem]:
    """That nothing names the classes."""
    if names:
        return []
    what = "Nothing says what the classes are called: they go by their numbers."
    todo = "Put a file classes.txt beside the pictures, one name per line, the first for class 0."
    return [Problem(code="unnamed_classes", what=what, todo=todo, severity="info")]


def without_file(bare: int, of: int) -> list[Problem]:
    """How many pictures have no file with labels."""
    if not bare:
        return []
    have, they = plural(bare, "has", "have"), plural(bare, "it counts as one that shows", "they count as pictures that show")
    what = f"{bare:,} of {count(of, 'picture')} {have} no file with labels; {they} nothing."
    most = 2 * bare > of
    todo = "Check whether files are missing." if most else "Nothing has to be done where that is meant."
    return [Problem(code="no_label_file", what=what, todo=todo, severity="warning" if most else "info")]


FORMAT = Format("YOLO", "detect", rank=30, claims=claims, read=read)
