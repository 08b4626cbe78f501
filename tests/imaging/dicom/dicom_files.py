"""DICOM files for tests, valid unless a test changes them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def more_files(name: str) -> Path:
    """Return a file of pydicom-data by its name, from this machine only."""
    import data_store

    return next(Path(data_store.__file__).parent.rglob(name))


def dataset(pixels: np.ndarray | None = None, **changes: Any) -> Dataset:
    """Make a CT slice of 4 × 5 pixels; `changes` set attributes, or delete them if None."""
    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5) if pixels is None else pixels
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Rows": pixels.shape[-2] if pixels.ndim < 4 and pixels.shape[-1] != 3 else pixels.shape[-3],
        "Columns": pixels.shape[-1] if pixels.ndim < 4 and pixels.shape[-1] != 3 else pixels.shape[-2],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8 * pixels.dtype.itemsize,
        "BitsStored": 8 * pixels.dtype.itemsize,
        "HighBit": 8 * pixels.dtype.itemsize - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelSpacing": [0.5, 0.75],
        "SliceThickness": 2.0,
        "ImagePositionPatient": [-10.0, -20.0, 30.0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "RescaleSlope": "1",
        "RescaleIntercept": "-1024",
        "PixelData": pixels.tobytes() + b"\0" * (pixels.nbytes % 2),
    }
    for keyword, value in {**values, **changes}.items():
        if value is not None:
            setattr(made, keyword, value)
    made["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    return made


def film(pixels: np.ndarray | None = None, **changes: Any) -> Dataset:
    """Make a radiograph: the same without a position in the patient and without rescaling."""
    bare = {
        "Modality": "DX",
        "RescaleSlope": None,
        "RescaleIntercept": None,
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
        "SliceThickness": None,
    }
    return dataset(pixels, **{**bare, **changes})


def magnetic(position: list[float], pixels: np.ndarray | None = None, **changes: Any) -> Dataset:
    """Make an MR slice at a position."""
    bare = {"SOPClassUID": MRImageStorage, "Modality": "MR", "RescaleSlope": None, "RescaleIntercept": None}
    return dataset(pixels, **{**bare, "ImagePositionPatient": position, **changes})


def write(path: Path, made: Dataset) -> Path:
    """Save with preamble and meta header."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    path.write_bytes(stream.getvalue())
    return path
