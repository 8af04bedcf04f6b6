"""Owns taking a zip or a folder of medical pictures in: written anew under neutral names, with what is to be learned and with a receipt.

Invariant: what is written holds pixels, classes, numbers for patients and listed words; the folder is whole or not there. It is read like
any other folder, so nothing after it needs the original.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from loralab.core import paths
from loralab.core.errors import Problem, UserError
from loralab.core.records import LeftOut, Record, Region, Target
from loralab.core.words import count, listed, plural
from loralab.datasets.images import archive
from loralab.datasets.images import place as places
from loralab.datasets.images.clinic import dicom
from loralab.datasets.images.clinic.marked import KEPT, TITLE, is_kept
from loralab.datasets.images.clinic.scrubbed import names_in, names_somebody, scrubbed
from loralab.datasets.images.clinic.secret import numbered, secret
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import Found, Item, Roles
from loralab.datasets.images.likeness import groups_by_name
from loralab.datasets.images.opened import ENDINGS, UNOPENED, Unreadable, mask_values, picture
from loralab.datasets.images.pairing import pair
from loralab.datasets.images.place import Place
from loralab.datasets.images.reading import read

RECEIPT = "receipt.json"
_TEXTS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".xlsx", ".names")
_HEAD = 132  # bytes in which a DICOM file is known
_LOOKED = 20  # files without an ending that are looked into
_NAMED = {"PatientName": "names", "PatientID": "numbers", "PatientBirthDate": "birthdays", "StudyDate": "dates"}

Source = tuple[str, Callable[[], bytes]]
_FOUND = TypeAdapter(Found)


class Receipt(Record):
    """What was removed, counted, without a value."""

    pictures: int
    patients: int
    removed: dict[str, int]  # entries by their name in the standard
    kept: tuple[str, ...]  # names of entries of which a listed word may be kept
    other_files: int = 0  # that were not taken
    several: int = 0  # files with more than one picture
    written_on: int = 0  # pictures that may have writing in them
    unknown: int = 0  # pictures that do not say whom they are of


class Reading(Record):
    """One way to understand what was taken in."""

    roles: dict[str, str]
    written: str  # the way labels were written down
    found: str  # JSON of Found
    tags: dict[str, dict[str, str]]


class Kept(Record):
    """What is written beside the pictures."""

    version: int = 1
    readings: tuple[Reading, ...]
    receipt: Receipt


@dataclass
class _Taken:
    """What was read so far, in memory only."""

    at: dict[str, str] = field(default_factory=dict)  # name -> where it is written
    texts: dict[str, bytes] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)  # name -> number
    people: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # number -> words that name the patient
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    lost: list[LeftOut] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)
    other: int = 0
    several: int = 0
    written_on: int = 0


def is_clinical(path: Path) -> bool:
    """Whether there is a DICOM file in a zip or a folder, or it is one."""
    with _sources(path) as (sources, _):
        if any(name.lower().endswith(dicom.ENDINGS) or dicom.is_index(name) for name, _ in sources):
            return True
        bare = [load for name, load in sources if not PurePosixPath(name).suffix][:_LOOKED]
        return any(dicom.is_dicom("", _head(load)) for load in bare)


def take_in(path: Path, home: Path | None) -> Path:
    """The folder with what was taken in, made at the first use. Raises UserError where nothing can be learned from it."""
    key = secret(home)
    with _sources(path) as (sources, lost):
        mark = places.fingerprint(path) if path.is_file() else json.dumps([str(path), *_listing(path)])
        folder = places.store(home) / numbered(key, "pictures", mark)
        if is_kept(folder):
            return folder
        dicom.library()
        with places.made_whole(folder) as beside:
            (beside / "pictures").mkdir()
            taken = _Taken(lost=list(lost))
            masks = {mask for own in pair([name for name, _ in sources]).masks.values() for mask, _ in own}
            for name, load in sources:
                _take(name, load, beside, key, taken, name in masks)
            kept = _understood(beside, key, taken)
            paths.write_atomic(beside / KEPT, kept.model_dump_json())
            paths.write_atomic(beside / RECEIPT, kept.receipt.model_dump_json(indent=1))
    return folder


def kept_reading(folder: Path, roles: Roles) -> tuple[Found, Reading, list[Problem]]:
    """What was taken in, as these roles mean it, and what is to be told. Raises UserError where it was not understood so."""
    try:
        kept = Kept.model_validate_json((folder / KEPT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError("What was taken in is damaged.", "Choose the original pictures again.", code="bad_intake") from error
    fitting = [one for one in kept.readings if all(one.roles.get(role) == value for role, value in roles.items())]
    if not fitting:
        raise UserError("The pictures were not taken in with these choices.", "Choose the original pictures again.", code="other_roles")
    return _FOUND.validate_json(fitting[0].found), fitting[0], _told(kept.receipt)


@contextmanager
def _sources(path: Path) -> Generator[tuple[list[Source], list[LeftOut]], None, None]:
    """Files with how to read them, in name order, and those that are not opened. Raises UserError for a damaged zip."""
    if path.is_dir():
        yield [(name, partial(_bytes, path / name)) for name in places.names_of(path)], []
    elif zipfile.is_zipfile(path):
        with archive.opened(path) as members:
            refused = [LeftOut(row=0, source="a file", reason=member.refused) for member in members if member.refused]
            yield [(member.name, member.content) for member in members if not member.refused], refused
    else:
        yield [(path.name, partial(_bytes, path))], []


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _head(load: Callable[[], bytes]) -> bytes:
    try:
        return load()[:_HEAD]
    except (UserError, OSError):
        return b""


def _listing(folder: Path) -> list[str]:
    return [f"{name} {(folder / name).stat().st_size} {(folder / name).stat().st_mtime_ns}" for name in places.names_of(folder)]


def _take(name: str, load: Callable[[], bytes], into: Path, key: bytes, taken: _Taken, is_mask: bool) -> None:
    """Write one file anew, or count it."""
    suffix = PurePosixPath(name).suffix.lower()
    try:
        raw = load()
    except (UserError, OSError):
        taken.lost.append(LeftOut(row=0, source=name, reason="It is damaged or cannot be opened."))
        return
    if dicom.is_index(name):
        taken.other += 1
    elif dicom.is_dicom(name, raw[:_HEAD]) or not suffix:
        _take_dicom(name if suffix in dicom.ENDINGS else f"{name}.dcm", raw, into, key, taken)
    elif suffix in ENDINGS | UNOPENED:
        _take_picture(name, raw, into, taken, is_mask)
    elif suffix in _TEXTS and len(raw) <= places.MOST_TEXT:
        taken.texts[name] = raw
    else:
        taken.other += 1


def _take_dicom(name: str, raw: bytes, into: Path, key: bytes, taken: _Taken) -> None:
    try:
        found = dicom.opened(raw)
    except dicom.NotDecoded as error:
        if error.reason == dicom.NO_PICTURE:
            taken.other += 1
        else:
            taken.lost.append(LeftOut(row=0, source=name, reason=error.reason))
        return
    taken.at[name] = _next(taken)
    Image.fromarray(found.pixels).save(into / taken.at[name], compress_level=1)
    taken.removed.update(found.removed)
    taken.tags[name] = found.tags
    taken.several += found.frames > 1
    taken.written_on += found.written_on
    if found.patient:
        taken.patients[name] = numbered(key, "patient", found.patient)
        taken.people[taken.patients[name]].update(found.names)


def _take_picture(name: str, raw: bytes, into: Path, taken: _Taken, is_mask: bool) -> None:
    """A picture that is no DICOM, without what its file holds beside the pixels; of a mask its numbers."""
    incoming = into / f"incoming{PurePosixPath(name).suffix.lower()}"
    incoming.write_bytes(raw)
    try:
        image = _as_mask(incoming) if is_mask else picture(incoming)
    except Unreadable as error:
        taken.lost.append(LeftOut(row=0, source=name, reason=error.reason))
        return
    finally:
        incoming.unlink()
    taken.at[name] = _next(taken)
    image.save(into / taken.at[name], compress_level=1)


def _as_mask(path: Path) -> Image.Image:
    values = mask_values(path)
    if values.max() > 0xFFFF:
        return Image.fromarray(np.stack([values >> 16 & 255, values >> 8 & 255, values & 255], -1).astype(np.uint8))
    return Image.fromarray(values.astype(np.uint8 if values.max() <= 255 else np.uint16))


def _next(taken: _Taken) -> str:
    return f"pictures/{len(taken.at) + 1:06d}.png"


def _understood(folder: Path, key: bytes, taken: _Taken) -> Kept:
    """What is to be learned, in every way in which it could be meant, under neutral names."""
    place = Place(folder, tuple(sorted((*taken.at, *taken.texts))), TITLE, "", at=taken.at, loaded=taken.texts)
    facts = Facts(place, None, remember=False)
    readings = [_reading(place, facts, {}, key, taken)]
    first = _FOUND.validate_json(readings[0].found)
    for roles in () if first.certain else first.others:
        try:
            readings.append(_reading(place, facts, roles, key, taken))
        except UserError:  # it could not be meant so after all
            continue
    return Kept(readings=tuple(readings), receipt=_receipt(taken))


def _reading(place: Place, facts: Facts, roles: Mapping[str, str], key: bytes, taken: _Taken) -> Reading:
    found, written = read(place, facts, roles)
    labels = {*found.labels, *(item.label for item in found.items if item.label)}
    _refuse_people(labels, found, taken)
    names = names_in([*place.names, *(one.source for one in (*taken.lost, *found.lost))], labels)
    groups = groups_by_name([item.name for item in found.items])
    neutral = replace(
        found,
        items=[_neutral(item, group, key, taken) for item, group in zip(found.items, groups, strict=True)],
        lost=[LeftOut(row=0, source="a file", reason=one.reason) for one in (*taken.lost, *found.lost)],
        notes=[scrubbed(note, names) for note in found.notes],
    )
    tags = {taken.at[item.name]: taken.tags.get(item.name, {}) for item in found.items}
    return Reading(roles={**found.roles, **roles}, written=written.name, found=_FOUND.dump_json(neutral).decode(), tags=tags)


def _neutral(item: Item, group: str, key: bytes, taken: _Taken) -> Item:
    """A picture under its neutral name, with a number for whom it is of."""
    target = item.target
    if target is not None:
        regions = tuple(
            Region(label=one.label, box=one.box, mask=taken.at.get(one.mask, ""), outline=one.outline) for one in target.regions
        )
        target = Target(regions=regions, mask=taken.at.get(target.mask, ""), value=target.value)
    whom = item.group or group
    number = taken.patients.get(item.name) or (numbered(key, "group", whom) if whom else "")
    return Item(taken.at[item.name], item.label, target, item.side, f"patient {number}" if number else "")


def _refuse_people(labels: set[str], found: Found, taken: _Taken) -> None:
    """Raise UserError where classes are called like the patients in them."""
    people: defaultdict[str, set[str]] = defaultdict(set)
    for item in found.items:
        if item.label is not None and item.name in taken.patients:
            people[item.label] |= taken.people[taken.patients[item.name]]
    called = [label for label in labels if names_somebody(label, people[label])]
    if called and 2 * len(called) >= len(labels):
        what = "The folders are named after patients, not after what the pictures show."
        todo = "Sort the pictures into folders named after what is to be told apart, for instance “healthy” and “ill”."
        raise UserError(what, todo, code="patients_as_classes")


def _receipt(taken: _Taken) -> Receipt:
    return Receipt(
        pictures=len(taken.at),
        patients=len(set(taken.patients.values())),
        removed=dict(taken.removed.most_common()),
        kept=tuple(sorted({tag for tags in taken.tags.values() for tag in tags})),
        other_files=taken.other,
        several=taken.several,
        written_on=taken.written_on,
        unknown=len(taken.tags) - len(taken.patients),
    )


def _told(receipt: Receipt) -> list[Problem]:
    """The receipt and what is to be minded, as findings."""
    removed = sum(receipt.removed.values())
    kinds = listed([word for name, word in _NAMED.items() if name in receipt.removed] or ["entries"])
    what = (
        f"{count(removed, 'entry', 'entries')} of {count(receipt.pictures, 'picture')} that could tell who somebody is "
        f"{plural(removed, 'was', 'were')} removed ({kinds} among them), and so were the names of all files. The originals are untouched."
    )
    kept = f" Kept are {listed(list(receipt.kept))}." if receipt.kept else ""
    todo = f"A receipt with the number of each entry lies beside the pictures.{kept}"
    notes = [Problem(code="medical_receipt", what=what, todo=todo, severity="info")]
    if n := receipt.written_on:
        them = plural(n, "it", "them")
        what = f"{count(n, 'picture')} may have writing in {them}, like a name or a date: ultrasound, screens, or what says so itself."
        todo = "Look at them before anybody else does, and cover what tells who somebody is."
        notes.append(Problem(code="burned_in_text", what=what, todo=todo, severity="warning"))
    if n := receipt.several:
        what = f"{count(n, 'file')} {plural(n, 'holds', 'hold')} several pictures, a film or a volume; the middle one of each is learned."
        notes.append(Problem(code="several_frames", what=what, todo="Save the others as files of their own if needed.", severity="info"))
    if n := receipt.unknown:
        what = f"{count(n, 'picture')} {plural(n, 'does', 'do')} not say whom {plural(n, 'it is', 'they are')} of."
        todo = "Pictures of one patient may be parted: a table with a column “patient” keeps them together."
        notes.append(Problem(code="patient_unknown", what=what, todo=todo, severity="warning"))
    return notes
