"""Owns what the values of masks mean: one marked area, classes by number, by place in a palette or by colour.

Invariant: every value that occurs is background or exactly one class, and what was guessed about it is told.
"""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Mapping, Sequence

from loralab.core.errors import Problem
from loralab.core.words import count, listed
from loralab.datasets.images.facts import MaskFact
from loralab.datasets.images.found import MaskTable

MARKED = "marked"  # what is marked, where nobody says its name
MOST_CLASSES = 64
SOFT = 0.02  # share of pixels between black and white that belong to blurred rims
VOID = 255  # beside small numbers: the rim around things, as Pascal VOC draws it
_HUES = (  # degrees on the circle of colours up to which one is called so
    *((15, "red"), (45, "orange"), (70, "yellow"), (165, "green"), (200, "cyan"), (260, "blue"), (290, "violet"), (335, "pink")),
    (361, "red"),
)

Names = Mapping[str, str]  # number, or #rrggbb -> name


def table_of(masks: Sequence[MaskFact], names: Names, word: str = "") -> tuple[MaskTable, tuple[str, ...], list[Problem]]:
    """What values mean, the classes in order, and what is to be told. `names`: what numbers or colours are called; `word`: what a single
    class is called where they do not say.
    """
    values: Counter[int] = Counter()
    rim: Counter[int] = Counter()
    for mask in masks:
        values.update(mask.values)
        rim.update(mask.edge)
    if not values:
        return MaskTable(), (word or MARKED,), []
    if any(mask.colours for mask in masks):
        return _colours(values, names)
    ground = 0 if 0 in values else max(values, key=lambda value: (rim[value], values[value]))
    if _is_soft(values):
        return MaskTable(above=max(values) // 2), (names.get(str(max(values)), word or MARKED),), _soft_note(values)
    if len(values) <= 2 or _both_mark(masks, ground):
        marks = sorted(value for value in values if value != ground) or [ground + 1]
        return MaskTable(dict.fromkeys(marks, 1)), (names.get(str(marks[-1]), word or MARKED),), []
    if _is_numbered(masks, values):
        return MaskTable(above=0), (word or MARKED,), [_numbered_note()]
    return _indices(values, ground, names)


def _is_soft(values: Counter[int]) -> bool:
    """Black and white with greys between them that are hardly any."""
    low, high = min(values), max(values)
    between = sum(n for value, n in values.items() if low < value < high)
    return high >= 128 and len(values) > 2 and low == 0 and between <= SOFT * values.total() and len(values) > 5


def _both_mark(masks: Sequence[MaskFact], ground: int) -> bool:
    """Whether some masks mark with 1 and others with 255, and none with both: two programs, one thing."""
    marked = {frozenset(mask.values) - {ground} for mask in masks}
    one, other = frozenset((1,)), frozenset((VOID,))
    return ground == 0 and {one, other} <= marked <= {frozenset(), one, other}


def _is_numbered(masks: Sequence[MaskFact], values: Counter[int]) -> bool:
    """Whether the numbers count things (1, 2, 3 ... in every picture) instead of naming classes."""
    if any(mask.many for mask in masks) or len(values) > MOST_CLASSES:
        return True
    runs = [len(mask.values) for mask in masks if len(mask.values) > 1]
    return len(values) > 20 and len(set(runs)) > len(runs) // 3 and all(_is_run(mask.values) for mask in masks)


def _is_run(values: Mapping[int, int]) -> bool:
    return sorted(values) == list(range(min(values), min(values) + len(values)))


def _indices(values: Counter[int], ground: int, names: Names) -> tuple[MaskTable, tuple[str, ...], list[Problem]]:
    notes: list[Problem] = []
    classes = sorted(value for value in values if value != ground)
    if VOID in classes and classes[-2:] != [VOID] and len(classes) > 1 and classes[-2] < 200 and str(VOID) not in names:
        classes.remove(VOID)
        what = "The masks mark rims with the value 255; they count as background."
        notes.append(Problem(code="mask_rims", what=what, todo="Nothing has to be done.", severity="info"))
    if not any(str(value) in names for value in classes):
        what = f"The masks have {count(len(classes), 'class', 'classes')} and no names for them: they are called by their number."
        todo = "Put a file classes.txt beside the masks, one name per line, the first for what has the value 0."
        notes.append(Problem(code="unnamed_classes", what=what, todo=todo, severity="info"))
    labels = _distinct([names.get(str(value), f"class {value}") for value in classes])
    return MaskTable({value: place for place, value in enumerate(classes, 1)}), labels, notes


def _colours(values: Counter[int], names: Names) -> tuple[MaskTable, tuple[str, ...], list[Problem]]:
    """Classes by colour: those that are named, else every colour that is no rare mixture at a rim; the commonest dark one is background."""
    named = {_number(colour): name for colour, name in names.items() if colour.startswith("#")}
    total = values.total()
    if named:
        classes = [value for value in named if named[value].casefold() not in ("background", "void", "unlabeled", "unlabelled", "")]
        known = set(named)
    else:
        common = [value for value, n in values.most_common(MOST_CLASSES) if n >= 0.0005 * total]
        ground = 0 if 0 in values else common[0]
        classes = sorted(value for value in common if value != ground)
        known = {*classes, ground}
    labels = _distinct([named.get(value) or colour_word(value) for value in classes])
    notes: list[Problem] = []
    if not named:
        what = f"The masks are in colours, and nothing says what they mean: {listed(labels)}."
        todo = "They are learned under the names of their colours. Say what each colour means, and the results are easier to read."
        notes.append(Problem(code="colours_unnamed", what=what, todo=todo, severity="warning"))
    if other := sum(n for value, n in values.items() if value not in known):
        what = f"{100 * other / total:.1f} % of the masks' pixels have colours of no class; they count as background."
        notes.append(Problem(code="other_colours", what=what, todo="Save masks as PNG, without smoothing.", severity="info"))
    return MaskTable({value: place for place, value in enumerate(classes, 1)}), labels, notes


def colour_word(value: int) -> str:
    """0xRRGGBB as a word; unusual ones with their code."""
    red, green, blue = value >> 16 & 255, value >> 8 & 255, value & 255
    hue, light, strong = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    if strong < 0.15 or light > 0.95 or light < 0.05:
        return "black" if light < 0.2 else "white" if light > 0.85 else "grey"
    word = next(name for limit, name in _HUES if hue * 360 < limit)
    return f"dark {word}" if light < 0.3 else f"light {word}" if light > 0.7 else word


def hexed(value: int) -> str:
    """0xRRGGBB as #rrggbb."""
    return f"#{value:06x}"


def _number(colour: str) -> int:
    try:
        return int(colour.removeprefix("#"), 16)
    except ValueError:
        return -1


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels, each once: a second one of the same name gets a number."""
    seen: Counter[str] = Counter()
    made: list[str] = []
    for label in labels:
        seen[label] += 1
        made.append(label if seen[label] == 1 else f"{label} {seen[label]}")
    return tuple(made)


def _soft_note(values: Counter[int]) -> list[Problem]:
    what = "The masks have grey rims between black and white; what is brighter than the middle counts as marked."
    return [Problem(code="soft_masks", what=what, todo="Nothing has to be done.", severity="info")]


def _numbered_note() -> Problem:
    what = "The masks number the things in a picture one by one; all of them are learned as one kind."
    return Problem(code="numbered_things", what=what, todo="Nothing has to be done.", severity="info")
