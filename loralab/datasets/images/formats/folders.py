"""Classes as folders: what a picture shows is the name of the folder it lies in."""

from __future__ import annotations

from collections import Counter, defaultdict

from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.names import folders_of, in_order, plain, side_in, side_of
from loralab.datasets.images.place import Place

FEW = 8  # pictures of a folder below which it may be a patient or a source, not a class
_HOLDERS = frozenset(  # folders that say what kind of file lies in them, not what it shows
    (
        *("images", "image", "img", "imgs", "pictures", "photos", "data", "dataset", "jpegimages", "annotations", "labels"),
        *("imagesets", "segmentationclass", "segmentationobject", "files", "all"),
    )
)


def claims(place: Place) -> bool:
    """Pictures lie in at least two folders that may be classes, most of them."""
    ways = [_way(name) for name in _pictures(place)]
    filed = [way for way in ways if way]
    alone = len(set(filed)) == len(filed) and place.paired.plausible  # a folder for each picture and its masks
    return len(set(filed)) >= 2 and 2 * len(filed) > len(ways) and not alone


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Every picture that opens, with its folder as class."""
    found = Found("classify", [])
    names = _pictures(place)
    facts.gather(names)
    ways = {name: _way(name) for name in names}
    for name in sorted(set(place.pictures).difference(names)):
        found.lose(name, "It is a mask, and masks are not learned here.")
    meaning = _level(ways, roles.get("label", ""))
    found.certain, found.others = meaning.certain, meaning.others
    if meaning.role:
        found.roles["label"] = meaning.role
    for name, way in ways.items():
        reason = facts.of(name).reason or ("" if way else "It lies in no folder that says its class.")
        if reason:
            found.lose(name, reason)
            continue
        label, group = meaning.split(way)
        found.items.append(Item(name, label=label, side=side_in(name), group=group))
    found.labels = tuple(in_order({item.label for item in found.items if item.label is not None}))
    return found


def _pictures(place: Place) -> list[str]:
    """The pictures, without masks that lie beside them."""
    return list(place.paired.masks) if place.paired.plausible else list(place.pictures)


def _way(name: str) -> tuple[str, ...]:
    """The folders of a picture that say what it shows: without parts of a data set, holders, and what lies around everything."""
    return tuple(folder for folder in folders_of(name) if not side_of(folder) and plain(folder) not in _HOLDERS)


class _Meaning:
    """Which of the folders on a picture's way is its class."""

    def __init__(self, skip: int, at: str, certain: bool = True, others: tuple[dict[str, str], ...] = ()) -> None:
        self.skip, self.role, self.certain, self.others = skip, at, certain, others

    def split(self, way: tuple[str, ...]) -> tuple[str, str]:
        """Label, and the group of pictures that belong together, of a way."""
        inner = way[self.skip :] or way[-1:]
        if self.role == "inner":
            return inner[-1], ""
        if self.role == "outer":
            return inner[0], "/".join(inner[1:])
        return "/".join(inner), ""


def _level(ways: dict[str, tuple[str, ...]], wanted: str) -> _Meaning:
    """Whether the inner or the outer folder is the class.

    Where the inner ones hold a few pictures each (ill/patient7) the outer one is, and the inner one is who it is of; where the same inner
    names stand in several outer ones (site1/ill, site2/ill) the inner one is; else the whole way is, and a person is asked.
    """
    filed = [way for way in ways.values() if way]
    skip = 0
    while len({way[: skip + 1] for way in filed}) == 1 and all(len(way) > skip + 1 for way in filed):
        skip += 1
    inner = [way[skip:] for way in filed]
    if all(len(way) == 1 for way in inner):
        return _Meaning(skip, "")
    if wanted in ("inner", "outer", "whole"):
        return _Meaning(skip, wanted)
    parents: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for way in inner:
        parents[way[-1]].add(way[:-1])
    outer = {way[0] for way in inner}
    sizes = sorted(Counter(inner).values())
    if len(outer) >= 2 and sizes[len(sizes) // 2] < FEW and len(sizes) >= 3 * len(outer):
        return _Meaning(skip, "outer")
    shared = sum(len(above) > 1 for above in parents.values())
    if len(parents) >= 2 and len(outer) >= 2 and 2 * shared > len(parents):
        return _Meaning(skip, "inner")
    if len(outer) < 2:
        return _Meaning(skip, "whole")
    return _Meaning(skip, "whole", certain=False, others=({"label": "outer"}, {"label": "inner"}))


FORMAT = Format("class folders", "classify", rank=90, claims=claims, read=read)
