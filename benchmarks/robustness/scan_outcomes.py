"""Outcomes of reading every DICOM file by medshot, plain pydicom, and MONAI, each in a separate process.

The files are pydicom's test files, `pydicom-data`, one real series and files made here. A reader "read" a file,
"raises" (in medshot one sentence that names the file), or is "silently wrong": it returned something without a message
although, by the file's own header, one of these holds:

* the file holds no pixels, is cut off, or its slope is zero or not a number;
* values are not finite, or differ from slope × stored + intercept (CT, PET, dose; stored is what pydicom decodes),
  or were not inverted in MONOCHROME1, or are palette indices or luminance and chroma instead of colours;
* a spacing of 1.0 was made up if the file has none;
* slices are not in the order of their positions, or are of several patients or series in one volume.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.arguments import ROOT, Places, make_parser, parse
from benchmarks.common.pages import write_page
from benchmarks.common.results import load, save
from benchmarks.common.tables import markdown, table

COMMAND = "python -m benchmarks.robustness.scan_outcomes"
KINDS = ("read", "raises", "silently wrong", "crashes", "hangs")
READERS = ("medshot", "pydicom", "monai")
TIMEOUT = 120


def files_to_read(made: Path, sample: Path) -> list[tuple[str, Path]]:
    """Return source and path of every file and folder."""
    import data_store
    import pydicom

    found = [("pydicom", path) for path in sorted((Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm"))]
    found += [("pydicom-data", path) for path in sorted(Path(data_store.__file__).parent.rglob("*.dcm"))]
    if sample.is_dir():
        found += [("series", sample)]
    return found + [("made", path) for path in make(made)]


def make(folder: Path) -> list[Path]:
    """Write files like those of hospitals, each with one difficulty for readers, and return their paths."""
    sys.path.insert(0, str(ROOT / "tests" / "imaging" / "dicom"))
    from dicom_files import dataset, film, magnetic, write

    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    twelve = {"BitsStored": 12, "HighBit": 11}
    singles = {
        "ct": dataset(ramp, **twelve),
        "monochrome1": film(ramp, PhotometricInterpretation="MONOCHROME1", **twelve),
        "no_spacing": film(ramp, PixelSpacing=None, **twelve),
        "detector_spacing": film(ramp, PixelSpacing=None, ImagerPixelSpacing=[0.1, 0.1], **twelve),
        "slope_zero": dataset(ramp, RescaleSlope="0", **twelve),
        "garbage_in_high_bits": dataset(ramp | 0xA000, **twelve),
        "several_windows": dataset(ramp, WindowCenter=[40, 500], WindowWidth=[400, 1500], **twelve),
        "truncated": dataset(ramp, **twelve, PixelData=ramp.tobytes()[:5000]),
        "slope_only": dataset(ramp, RescaleSlope="2", RescaleIntercept=None, **twelve),
        "claims_30000_squared": dataset(ramp, **{**twelve, "Rows": 30_000, "Columns": 30_000}),
    }
    not_a_number = film(np.full((8, 8), np.nan, np.float32))
    not_a_number.FloatPixelData = not_a_number.PixelData
    del not_a_number.PixelData, not_a_number.BitsStored, not_a_number.HighBit, not_a_number.PixelRepresentation
    singles["not_a_number"] = not_a_number
    paths = [write(folder / f"{name}.dcm", made) for name, made in singles.items()]
    orders = {
        "series_shuffled": ([0, 2, 4, 6], {}),
        "series_two_patients": ([0, 2, 4, 6], {"PatientID": "P2"}),
        "series_two_series": ([0, 2, 4, 6], {"SeriesInstanceUID": "9.9"}),
        "series_gap": ([0, 2, 6, 8], {}),
    }
    for name, (heights, last) in orders.items():
        (folder / name).mkdir()
        for index, height in enumerate(heights):
            changes = {"InstanceNumber": index + 1, **(last if index == 3 else {})}
            pixels = np.full((8, 8), 100 + 10 * index, np.uint16)
            write(folder / name / f"{(index * 3 + 2) % 4}.dcm", magnetic([0, 0, height], pixels, **changes))
        paths.append(folder / name)
    return paths


def read_one(reader: str, path: Path) -> dict[str, Any]:
    """Return the outcome of one file with one reader; runs in a separate process."""
    if reader == "medshot":
        from medshot.errors import MedshotError
        from medshot.imaging import read

        try:
            scan = read(path)
        except MedshotError as error:
            return {"outcome": "raises", "said": str(error).replace(f"{path.parent}/", "").replace("\n", " ")}
        array, spacing, message = scan.array, scan.spacing[-2:], " ".join(scan.assumed)
        return {"outcome": "read", "said": message, "wrong": judge(reader, path, array, spacing, message, scan.kind)}
    try:
        if reader == "pydicom":
            from pydicom import dcmread

            if path.is_dir():
                array = np.stack([dcmread(file).pixel_array for file in sorted(path.glob("*.dcm"))])
            else:
                array = dcmread(path).pixel_array
            spacing: Any = None
        else:
            from monai.transforms import LoadImage

            array = LoadImage(image_only=True)(path)
            affine = np.asarray(array.affine)
            spacing = np.linalg.norm(affine[:3, :2], axis=0).tolist()
            array = np.asarray(array)
    except Exception as error:
        message = f"{type(error).__name__}: {error}".replace(f"{path.parent}/", "")
        return {"outcome": "raises", "said": message.splitlines()[0][:200]}
    return {"outcome": "read", "said": "", "wrong": judge(reader, path, array, spacing, "", "")}


def judge(reader: str, path: Path, array: np.ndarray, spacing: Any, message: str, kind: str) -> str:
    """Return an error in the result that the reader did not report, or an empty text."""
    from pydicom import dcmread

    if path.is_dir():
        return judge_series(reader, path, array)
    header = dcmread(path, force=True, stop_before_pixels=True)
    if kind == "waveform":
        return ""
    if not np.isfinite(np.asarray(array, dtype=np.float64)).all():
        return "values that are not finite"
    photometric, modality = str(header.get("PhotometricInterpretation", "")), str(header.get("Modality", ""))
    coloured = 3 in array.shape
    if photometric == "PALETTE COLOR" and not coloured:
        return "palette indices taken for grey"
    if photometric.startswith("YBR_FULL") and coloured and not is_rgb(path, array, reader):
        return "luminance and chroma taken for RGB"
    if not coloured:
        try:
            stored = plane(dcmread(path, force=True).pixel_array)
        except Exception:  # without pydicom's decoding there is no truth to compare with
            return ""
        found = plane(array.T if reader == "monai" and array.ndim == 2 else array)
        if photometric == "MONOCHROME1" and modality not in ("CT", "PT") and stored.std() > 0:
            if stored.shape == found.shape and np.corrcoef(stored.ravel(), found.ravel())[0, 1] > 0.5:
                return "MONOCHROME1 not inverted"
        elif modality in ("CT", "PT", "RTDOSE") and stored.shape == found.shape:
            shared = (header.get("SharedFunctionalGroupsSequence") or [header])[0]
            told = (shared.get("PixelValueTransformationSequence") or [header])[0]
            scale = float(header.get("DoseGridScaling") or told.get("RescaleSlope") or 1)
            truth = stored.astype(np.float64) * scale + float(told.get("RescaleIntercept") or 0)
            if reader == "medshot" and "PerFrameFunctionalGroupsSequence" in header and truth.ndim == 3:
                truth = truth[along_normal(header)]
            if told.get("RescaleSlope") is not None and float(told.RescaleSlope) == 0:
                return "a slope of zero applied"
            if not np.allclose(found, truth, atol=1e-3 + 1e-5 * np.abs(truth).max()):
                return "values not rescaled"
    named = any(word in header for word in ("PixelSpacing", "SharedFunctionalGroupsSequence"))
    if reader == "monai" and not named and np.allclose(spacing, 1.0):
        return "a spacing of 1.0 made up"
    if reader == "medshot" and not named and spacing[0] is not None and not message:
        return "a spacing made up"
    return ""


def along_normal(header: Any) -> np.ndarray:
    """Return the frames of an enhanced file in the order of their positions, as medshot returns them."""
    shared, frames = header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence
    orientation = (shared if "PlaneOrientationSequence" in shared else frames[0]).PlaneOrientationSequence[0]
    row, column = np.reshape(np.array(orientation.ImageOrientationPatient, dtype=float), (2, 3))
    places = [np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float) for frame in frames]
    return np.argsort(np.array(places) @ np.cross(row, column), kind="stable")


def plane(array: np.ndarray) -> np.ndarray:
    """Return the numbers without axes of length one."""
    return np.squeeze(np.asarray(array, dtype=np.float64))


def is_rgb(path: Path, array: np.ndarray, reader: str) -> bool:
    """Whether colours agree with pydicom's own conversion to RGB more than with its raw samples."""
    from pydicom.pixels import pixel_array

    truth, raw = (pixel_array(path, raw=raw).astype(float) for raw in (False, True))
    found = np.squeeze(np.asarray(array, dtype=float))
    if reader == "monai" and found.ndim == 3:
        found = found.transpose(1, 0, 2)
    if found.shape != truth.shape or np.abs(truth - raw).mean() < 1:
        return True
    return bool(np.abs(found - truth).mean() < np.abs(found - raw).mean())


def judge_series(reader: str, path: Path, array: np.ndarray) -> str:
    """Return an error if the slices of a folder are not in the order of their positions or do not belong together."""
    from pydicom import dcmread

    headers = [dcmread(file) for file in path.glob("*.dcm")]
    if len({str(header.PatientID) for header in headers}) > 1 and len(headers) in array.shape:
        return "two patients in one volume"
    if len({str(header.SeriesInstanceUID) for header in headers}) > 1:
        return "two series in one volume" if len(headers) in array.shape else "one of two series taken"
    across, down = np.split(np.array(headers[0].ImageOrientationPatient, float), 2)
    headers.sort(key=lambda header: float(np.cross(across, down) @ np.array(header.ImagePositionPatient, float)))
    truth = np.array([header.pixel_array.mean() for header in headers])
    axis = 0 if reader != "monai" else 2
    found = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).mean(axis=1)
    if len(found) != len(truth):
        return "slices lost"
    return "" if np.allclose(found, truth) or np.allclose(found[::-1], truth) else "slices in the wrong order"


class Worker:
    """A process of one reader, started again after a file that killed or hung it."""

    def __init__(self, reader: str) -> None:
        self.reader = reader
        self.process: subprocess.Popen[str] | None = None

    def outcome(self, path: Path) -> dict[str, Any]:
        """Return the outcome of one file, also if it kills the process."""
        if self.process is None:
            module = "benchmarks.robustness.scan_outcomes"
            command = [sys.executable, "-W", "ignore", "-m", module, "--worker", self.reader]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                bufsize=1,
                cwd=ROOT,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(path, file=self.process.stdin, flush=True)
        timer = threading.Timer(TIMEOUT, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        hung = not timer.is_alive()
        timer.cancel()
        if not line.startswith("{"):
            code, self.process = self.process.wait(), None
            return {"outcome": "hangs" if hung else "crashes", "said": f"exit {code}"}
        found = json.loads(line)
        wrong = found.pop("wrong", "")
        return {"outcome": "silently wrong", "said": wrong} if wrong else found


def work(reader: str) -> None:
    """Read the files named on stdin, one path per line, and print the outcome of each."""
    for line in sys.stdin:
        print(json.dumps(read_one(reader, Path(line.rstrip("\n")))), flush=True)


def write_report(places: Places) -> None:
    """Write the page."""
    rows = load(places, "scan-outcomes")
    counts = {reader: Counter(row[reader]["outcome"] for row in rows) for reader in READERS}
    totals = table(["reader", *KINDS], [[reader, *(str(counts[reader][kind]) for kind in KINDS)] for reader in READERS])
    files = [
        [f"`{row['name']}` ({row['source']})", *(_cell(reader, row[reader]) for reader in READERS)] for row in rows
    ]
    names = {"medshot": "medshot", "pydicom": "pydicom", "monai": "MONAI"}
    wrong = ", ".join(f"{names[reader]} for {counts[reader]['silently wrong']}" for reader in READERS)
    write_page(
        places.docs / "results" / "scans.md",
        Path(__file__).with_name("scans.md"),
        command=COMMAND,
        files=len(rows),
        wrong=wrong,
        counts=markdown(totals),
        each=markdown(table(["file", "medshot", "pydicom", "MONAI"], files, 4)),
    )


def _cell(reader: str, found: dict[str, Any]) -> str:
    text = "" if found["outcome"] == "read" and reader != "medshot" else found["said"][:160]
    return (found["outcome"] + (f": {text}" if text else "")).replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    parser = make_parser("robustness.scan_outcomes", __doc__, work=False)
    parser.add_argument("--worker", choices=READERS, help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.worker:
        work(arguments.worker)
        return
    if arguments.report:
        write_report(arguments.places)
        return
    if find_spec("monai") is None:
        sys.exit("MONAI is not installed; run pip install -e '.[bench]' first.")
    rows, workers = [], {reader: Worker(reader) for reader in READERS}
    with tempfile.TemporaryDirectory() as folder:
        files = files_to_read(Path(folder), arguments.data / "dicom_series_sample")
        for source, path in files[:: 20 if arguments.quick else 1]:
            row: dict[str, Any] = {"source": source, "name": path.name}
            row |= {reader: workers[reader].outcome(path) for reader in READERS}
            rows.append(row)
            print(source, path.name, *(row[reader]["outcome"] for reader in READERS), sep=" | ", file=sys.stderr)
    save(arguments.places, "scan-outcomes", rows)
    write_report(arguments.places)


if __name__ == "__main__":
    main()
