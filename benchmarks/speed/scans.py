"""Time to read a DICOM series, compared with pydicom's decoding of the same files and nothing else.

Repeats are interleaved, so that a busy machine slows both; the ratio is the median of the ratios of neighbours. Freed
memory goes back to the system before each repeat, so that none profits from the memory pages of the one before it. The
series are `dicom_series_sample` and 200 CT slices of 512 × 512 made here. Run it with OMP_NUM_THREADS=1.
"""

import ctypes
import gc
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import seconds, take_turns
from benchmarks.speed.report import finish
from medshot.imaging import read


def make_series(folder: Path, slices: int = 200, side: int = 512) -> Path:
    """Write a CT series of noise, one file for each slice, under names in no order."""
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


def after_cleaning(work: Callable[[], object]) -> float:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return seconds(work)


def compare(name: str, folder: Path, repeats: int) -> list[str]:
    """Return one row of the table."""
    files = sorted(folder.glob("*.dcm"))

    def raw() -> list[np.ndarray]:
        return [dcmread(path).pixel_array for path in files]

    raw(), read(folder)
    times = take_turns([lambda: read(folder), raw, lambda: np.stack(raw())], repeats, timed=after_cleaning)
    ours, bare, array = (f"{1000 * time:.0f} ms" for time in np.median(times, axis=0))
    to_bare, to_array = np.median(times[:, :1] / times[:, 1:], axis=0)
    return [name, str(len(files)), ours, bare, f"{to_bare:.2f}", array, f"{to_array:.2f}"]


def main() -> None:
    arguments = parse(make_parser("speed.scans", __doc__, work=False))
    rows, sample = [], arguments.data / "dicom_series_sample"
    many, few, slices = (2, 1, 20) if arguments.quick else (15, 7, 200)
    if sample.is_dir():
        rows.append(compare("brain MR, 256 × 256 (`dicom_series_sample`)", sample, many))
    else:
        print(f"no {sample}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        rows.append(compare("CT, 512 × 512 (made)", make_series(Path(folder), slices), few))
    header = ("series", "files", "`medshot.imaging.read`", "pydicom, pixels only", "ratio", "the same in one array")
    finish(arguments, "scans", table([*header, "ratio"], rows))


if __name__ == "__main__":
    main()
