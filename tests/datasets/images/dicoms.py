"""DICOM files for tests, made with pydicom; with a person's name in as many places as there are."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid  # noqa: E402

CHEST_XRAY = "1.2.840.10008.5.1.4.1.1.1.1"
NAME, NUMBER = "Roebuckson^Janette", "HX-4711-99"


def dicom(values: np.ndarray, *, preamble: bool = True, implicit: bool = False, packed: bool = False, **entries: Any) -> bytes:
    """A file with a picture [height, width], [frames, height, width] or [height, width, 3]."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = UID(CHEST_XRAY)
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = CHEST_XRAY, data.file_meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate = NAME, NUMBER, "19560312"
    data.PatientSex, data.PatientAge, data.Modality, data.ViewPosition = "F", "067Y", "DX", "PA"
    data.StudyDescription, data.PatientComments, data.InstitutionName = f"Chest of {NAME}", f"{NAME} fell downstairs", "St. Elsewhere"
    data.StudyDate, data.ReferringPhysicianName, data.BodyPartExamined = "20240102", "Grey^Meredith", "ROEBUCKSON"
    data.add_new(0x00110010, "LO", "ACME IMAGING")
    data.add_new(0x00111001, "LO", f"private {NAME}")
    inner = Dataset()
    inner.PatientName = NAME
    data.RequestAttributesSequence = [inner]
    coloured = values.ndim == 3 and values.shape[-1] == 3
    data.Rows, data.Columns = values.shape[-3:-1] if coloured else values.shape[-2:]
    if values.ndim == 3 and not coloured:
        data.NumberOfFrames = values.shape[0]
    data.SamplesPerPixel, data.PhotometricInterpretation = (3, "RGB") if coloured else (1, "MONOCHROME2")
    if coloured:
        data.PlanarConfiguration = 0
    bits = 8 * values.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    for name, value in entries.items():
        setattr(data, name, value)
    data.PixelData = values.tobytes()
    data["PixelData"].VR = "OB" if bits == 8 else "OW"
    if packed:
        data.compress(pydicom.uid.RLELossless)
    file = io.BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=preamble) if preamble else data.save_as(file, enforce_file_format=False)
    return file.getvalue()
