"""Owns one DICOM file: its picture as it is looked at, whom it is of, and the few entries that may be kept.

Grey values go through the modality LUT, then the window or the VOI LUT (DICOM PS3.3 C.11.1, C.11.2); MONOCHROME1 is inverted, so that
bright is bright everywhere. Of several pictures in a file the middle one is taken.

Invariant: what is kept of the entries is one of a few listed words, never a text that somebody typed.
"""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from loralab.core.errors import UserError
from loralab.datasets.images.opened import MOST_PIXELS, Pixels, Values, eight_bits

ENDINGS = (".dcm", ".dicom", ".dic", ".ima")
INDEX = "dicomdir"  # a list of files, with names of patients
NO_PICTURE = "It holds no picture."
_MAGIC = slice(128, 132)
_WORDS = {  # entry -> the words of it that may be kept
    "Modality": ("CR", "DX", "CT", "MR", "US", "MG", "XA", "RF", "NM", "PT", "OP", "OPT", "ES", "GM", "SM", "XC", "IO", "PX"),
    "ViewPosition": ("AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT", "CC", "MLO", "ML", "LM"),
    "PatientSex": ("F", "M", "O"),
    "Laterality": ("L", "R", "B", "U"),
    "ImageLaterality": ("L", "R", "B", "U"),
    "BodyPartExamined": (
        *("CHEST", "ABDOMEN", "HEAD", "NECK", "PELVIS", "BREAST", "BRAIN", "SKULL", "HEART", "EYE", "KNEE", "HAND", "FOOT", "HIP"),
        *("SHOULDER", "ELBOW", "WRIST", "ANKLE", "SPINE", "CSPINE", "TSPINE", "LSPINE", "LIVER", "KIDNEY", "PROSTATE", "LUNG", "SKIN"),
    ),
}
_TECHNICAL = 0x0028  # the group of entries that say how the picture is written
_PIXELS = 0x7FE0
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # SOP classes of secondary capture: screens and scanned paper


@dataclass(frozen=True)
class Slice:
    """A picture of a DICOM file [height, width], or with 3 colours, and what is known of it; `patient` and `names` never leave memory."""

    pixels: Pixels
    patient: str  # what tells the patient apart; empty where nothing does
    names: tuple[str, ...]  # words that name the patient
    tags: dict[str, str]
    removed: Counter[str] = field(default_factory=Counter)  # entries that are not kept, by their name
    frames: int = 1
    written_on: bool = False  # there may be writing in the picture itself


class NotDecoded(UserError):
    """A DICOM file whose picture cannot be had; `reason` names no file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, code="unreadable_picture")
        self.reason = reason


def is_dicom(name: str, head: bytes) -> bool:
    """By its mark, or by its ending: old files have no mark."""
    return head[_MAGIC] == b"DICM" or name.lower().endswith(ENDINGS)


def is_index(name: str) -> bool:
    """Whether a file is the index of a disc."""
    return PurePosixPath(name).name.casefold() == INDEX


def library() -> Any:
    """pydicom, which is an optional part. Raises UserError where it is not here."""
    logging.getLogger("pydicom").disabled = True  # it repeats what stands in entries, and logs are written, too
    try:
        return importlib.import_module("pydicom")
    except ImportError as error:
        what = "These are medical pictures (DICOM), and the part that opens them is not on this computer yet."
        todo = "Add the part “Medical pictures” under “About this computer”, or save the pictures as PNG."
        raise UserError(what, todo, code="no_pydicom", part="pydicom") from error


def opened(raw: bytes) -> Slice:
    """The picture of a file. Raises NotDecoded where there is none, or where it is packed in a way that is not opened."""
    pydicom = library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # entries against the standard are common, and none of them is kept
        try:
            data = pydicom.dcmread(io.BytesIO(raw), force=True)
            has_picture = "PixelData" in data and "Rows" in data and "Columns" in data
        except Exception as error:  # a damaged file makes the library fail in any way there is
            raise NotDecoded("It is damaged or cut short.") from error
        if not has_picture:
            raise NotDecoded(NO_PICTURE)
        if int(data.Rows) * int(data.Columns) > MOST_PIXELS:
            raise NotDecoded(f"It has more than {MOST_PIXELS // 1_000_000} million pixels.")
        try:
            pixels, frames = _pixels(data)
        except Exception as error:  # likewise
            raise NotDecoded(_why(data)) from error
        return Slice(pixels, _patient(data), _names(data), _tags(data), _removed(data), frames, _written_on(data))


def _pixels(data: Any) -> tuple[Pixels, int]:
    """The picture as it is looked at, and how many there are in the file."""
    tools = importlib.import_module("pydicom.pixels")
    _with_syntax(data)
    frames = max(1, int(data.get("NumberOfFrames", 1) or 1))
    values: Values = tools.pixel_array(data, index=frames // 2) if frames > 1 else tools.pixel_array(data)
    photometric = str(data.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        return (np.asarray(tools.apply_color_lut(values, data)) >> 8).astype(np.uint8)[..., :3], frames
    if int(data.get("SamplesPerPixel", 1)) >= 3:
        return eight_bits(values[..., :3]), frames
    while values.ndim > 2:
        values = values[values.shape[0] // 2]
    grey = _windowed(np.asarray(tools.apply_modality_lut(values, data), dtype=np.float64), values, data, tools)
    return (255 - grey if photometric == "MONOCHROME1" else grey), frames


def _with_syntax(data: Any) -> None:
    """Say how the file is written where its own head does not: files without a preamble."""
    uid = importlib.import_module("pydicom.uid")
    if not hasattr(data, "file_meta"):
        data.file_meta = importlib.import_module("pydicom.dataset").FileMetaDataset()
    if "TransferSyntaxUID" not in data.file_meta:
        implicit, little = data.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little is not False else uid.ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = explicit if implicit is False else uid.ImplicitVRLittleEndian


def _windowed(values: Values, stored: Values, data: Any, tools: Any) -> Pixels:
    """Grey values 0..255 by VOI LUT, else by the first window, else from their 0.5th to their 99.5th percentile."""
    if data.get("VOILUTSequence"):
        looked_up = np.asarray(tools.apply_voi_lut(values.astype(stored.dtype), data, prefer_lut=True), dtype=np.float64)
        return _scaled(looked_up, 0, float(looked_up.max()))
    centre, width = _first(data.get("WindowCenter")), _first(data.get("WindowWidth"))
    kind = str(data.get("VOILUTFunction", "LINEAR"))
    if centre is not None and width is not None and width > 0:
        if kind == "SIGMOID":
            return _scaled(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -50, 50))), 0, 1)
        if kind == "LINEAR_EXACT" or width <= 1:
            return _scaled(values, centre - width / 2, centre + width / 2)
        return _scaled(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    padding = _first(data.get("PixelPaddingValue"))
    inner = values[stored != padding] if padding is not None and (stored != padding).any() else values
    low, high = (float(value) for value in np.percentile(inner, (0.5, 99.5)))
    return _scaled(values, low, high)


def _scaled(values: Values, low: float, high: float) -> Pixels:
    return np.round(np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)


def _first(value: Any) -> float | None:
    """The first number of an entry that may have several, or be empty."""
    try:
        return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
    except (TypeError, ValueError, IndexError):
        return None


def _patient(data: Any) -> str:
    """What tells a patient apart: the number with who gave it, else name and birthday, else the examination."""
    if number := _text(data, "PatientID"):
        return f"{_text(data, 'IssuerOfPatientID')} {number}"
    if name := _text(data, "PatientName"):
        return f"{name} {_text(data, 'PatientBirthDate')}"
    return _text(data, "StudyInstanceUID")


def _names(data: Any) -> tuple[str, ...]:
    return tuple(filter(None, (_text(data, "PatientID"), *_text(data, "PatientName").replace("^", " ").replace("=", " ").split())))


def _text(data: Any, name: str) -> str:
    return str(data.get(name, "") or "").strip()


def _tags(data: Any) -> dict[str, str]:
    """The entries that are kept: only words that are listed, and the age in tens of years."""
    kept = {name: word for name, words in _WORDS.items() if (word := _text(data, name).upper()) in words}
    age = _text(data, "PatientAge")
    if len(age) == 4 and age[:3].isdigit() and age[3] == "Y":
        decade = int(age[:3]) // 10 * 10
        kept["Age"] = f"{decade}-{decade + 9}" if decade < 90 else "90 or more"
    return kept


def _removed(data: Any) -> Counter[str]:
    """How many entries are not kept, by their name in the standard; no value."""
    counted: Counter[str] = Counter()
    for element in data.iterall():
        if element.tag.group in (_TECHNICAL, _PIXELS) or element.keyword in _WORDS:
            continue
        counted["private entries" if element.tag.is_private else element.keyword or "entries without a name"] += 1
    return counted


def _written_on(data: Any) -> bool:
    """Whether there may be writing in the picture: it says so, or it is of a kind that has it: ultrasound, screens, scanned paper."""
    said = _text(data, "BurnedInAnnotation").upper()
    kind = _text(data, "SOPClassUID")
    return said == "YES" or (said != "NO" and (_text(data, "Modality").upper() in ("US", "SC", "OT") or kind.startswith(_CAPTURE)))


def _why(data: Any) -> str:
    syntax = getattr(getattr(data, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is not None and getattr(syntax, "is_compressed", False):
        return f"Its picture is packed as {syntax.name}, which is not opened here."
    return "Its picture is damaged or cut short."
