"""Owns which mask belongs to which picture, by their names alone.

Invariant: a mask belongs to one picture at most, and what is called a mask is never learned from as a picture.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from loralab.datasets.images.names import plain, side_of, slip_of

_MASK_WORD = r"masks?|labels?|annotations?|segmentations?|segs?|gts?|groundtruths?|ground[-_ ]truths?|annots?|manual\d?|trimaps?"
_PICTURE_WORD = r"images?|imgs?|pictures?|photos?|inputs?|originals?|jpegimages|raws?"
_SIDE = r"(?:[-_ ]?(tr|ts|train|test|val|valid))?$"
_FOLDER = re.compile(rf"^(?:(.+?)[-_ ]?)??(?:{_MASK_WORD}|segmentationclass(?:raw)?|segmentationobject){_SIDE}")
_OF_PICTURES = re.compile(rf"^(?:(.+?)[-_ ]?)??(?:{_PICTURE_WORD}){_SIDE}")
_WORDS = frozenset(
    ("mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "image", "images", "pictures", "photos")
)
_AFTER = re.compile(rf"[-_ ](?:{_MASK_WORD}|labelids|l)(?:[-_ ]?\d+)?$")
_BEFORE = re.compile(r"^(?:masks?|segs?|labels?|gts?)[-_ ]")

Key = tuple[tuple[str, ...], str]  # folders and stem without the words that say “mask” or “picture”


@dataclass
class Paired:
    """Masks of each picture, each with the name of what it marks where a folder says one; pictures and masks without the other."""

    masks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)
    lonely: list[str] = field(default_factory=list)

    @property
    def plausible(self) -> bool:
        """Whether the pictures come with masks: at least two do, and a third of all that are no masks."""
        with_mask = len(self.masks) - len(self.bare)
        return with_mask >= 2 and 3 * with_mask >= len(self.masks)


def pair(names: Sequence[str]) -> Paired:
    """The pictures of a data set with their masks."""
    pictures: dict[Key, list[str]] = defaultdict(list)
    masks: dict[Key, list[str]] = defaultdict(list)
    plains: list[str] = []
    for name in names:
        key, is_mask = _key(name)
        (masks if is_mask else pictures)[key].append(name)
        if not is_mask:
            plains.append(name)
    paired = Paired(masks={name: [] for name in plains})
    alone: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, same in pictures.items():
        alone[key[0]].extend(same)
    for key, same in masks.items():
        for mask in same:
            owner, label = _owner(key, pictures, alone)
            if owner:
                paired.masks[owner].append((mask, label))
            else:
                paired.lonely.append(mask)
    paired.bare = [name for name in plains if not paired.masks[name]]
    return paired


def _owner(key: Key, pictures: dict[Key, list[str]], alone: dict[tuple[str, ...], list[str]]) -> tuple[str, str]:
    """The picture of a mask, and what the mask marks where its folder says so (masks/kidney/7.png): of the same way, one folder up, or the
    only one of its folder (7/images/7.png with 7/masks/a.png).
    """
    way, name = key
    if same := pictures.get(key):
        return same[0], ""
    if way and (above := pictures.get((way[:-1], name))):
        return above[0], way[-1]
    if len(inside := alone.get(way, [])) == 1:
        return inside[0], ""
    if way and (holder := pictures.get((way[:-1], way[-1]))):  # masks/7/a.png of images/7.png
        return holder[0], ""
    return "", ""


def _key(name: str) -> tuple[Key, bool]:
    """What a mask and its picture have in common, and whether this is the mask."""
    way, is_mask = list[str](), False
    for written in PurePosixPath(plain(name)).parts[:-1]:
        folder = slip_of(written, _WORDS) or written
        if found := _FOLDER.match(folder):
            is_mask = True
        elif not (found := _OF_PICTURES.match(folder)):
            way.append(folder)
            continue
        way.extend(part for part in found.groups() if part)
    stem = PurePosixPath(plain(name)).stem
    if bare := _AFTER.sub("", stem):
        is_mask, stem = is_mask or bare != stem, bare
    if bare := _BEFORE.sub("", stem):
        is_mask, stem = is_mask or bare != stem, bare
    return (tuple(way), stem), is_mask


def label_word(name: str) -> str:
    """What a folder of masks says they mark (nuclei_masks: nuclei); empty where it says nothing."""
    for folder in reversed(PurePosixPath(name).parts[:-1]):
        found = _FOLDER.match(plain(folder))
        if found and found.group(1) and not side_of(found.group(1)):
            return found.group(1)
    return ""
