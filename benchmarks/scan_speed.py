"""Time to read a DICOM series, beside pydicom's decoding of the same files and nothing else.

    OMP_NUM_THREADS=1 python benchmarks/scan_speed.py

Prints a Markdown table. Repeats are interleaved, so that a busy machine is busy for both; the ratio is the median of
the ratios of neighbours. Freed memory goes back to the system before each, so that none profits from the pages of the
one before it. Two series: `../shared/data/dicom_series_sample`, and 200 CT slices of 512 × 512 made here.
"""

import ctypes
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medshot.imaging import read

SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "dicom_series_sample"


def make_series(folder: Path, slices: int = 200, side: int = 512) -> Path:
    """A CT series of noise, one file for each slice, under names in no order."""
    random = np.random.default_rng(0)
    names = random.permutation(slices)
    for index in range(slices):
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
        made.StudyInstanceUID, made.SeriesInstanceUID, made.PatientID, made.Modality = "1.2", "1.2.3", "P", "CT"
        made.Rows = made.Columns = side
        made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
        made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
        made.PixelSpacing, made.SliceThickness = [0.7, 0.7], 1.5
        made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-179.2, -179.2, 1.5 * index]
        made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
        made.WindowCenter, made.WindowWidth = 40, 400
        made.PixelData = random.integers(0, 4096, (side, side), dtype=np.uint16).tobytes()
        made.save_as(folder / f"{names[index]}.dcm", enforce_file_format=True)
    return folder


def seconds(work: Callable[[], object]) -> float:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, folder: Path, repeats: int) -> str:
    """One row of the table."""
    files = sorted(folder.glob("*.dcm"))

    def raw() -> list[np.ndarray]:
        return [dcmread(path).pixel_array for path in files]

    def whole() -> object:
        return read(folder)

    def stacked() -> object:
        return np.stack(raw())

    raw(), whole()
    turns = [[seconds(work) for work in (whole, raw, stacked)] for _ in range(repeats)]
    ours, bare, array = (f"{1000 * statistics.median(column):.0f} ms" for column in zip(*turns, strict=True))
    to_bare, to_array = (statistics.median(turn[0] / turn[other] for turn in turns) for other in (1, 2))
    return f"| {name} | {len(files)} | {ours} | {bare} | {to_bare:.2f} | {array} | {to_array:.2f} |"


def main() -> None:
    print("| series | files | `medshot.imaging.read` | pydicom, pixels only | ratio | the same in one array | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    if SAMPLE.is_dir():
        print(compare("brain MR, 256 × 256 (`dicom_series_sample`)", SAMPLE, 15))
    else:
        print(f"no {SAMPLE}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        print(compare("CT, 512 × 512 (made)", make_series(Path(folder)), 7))


if __name__ == "__main__":
    main()
