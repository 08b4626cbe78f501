"""Reading files in threads leaves the process as it was, and what other threads do changes no result."""

import logging
import os
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import data_store
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from PIL import Image

from medshot.audit import audit
from medshot.deidentify.pictures import identifying_in_jpeg
from medshot.imaging import read
from medshot.imaging.dicom.identity import identifying_elements
from medshot.imaging.folders import patient_of
from medshot.imaging.npz import read_volume
from medshot.process import ChildProcess, capture_warnings, opencv_silent, opencv_single_threaded

PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
MORE = Path(data_store.__file__).parent / "data"
RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (40, 52, 3), dtype=np.uint8)
VOLUME = RANDOM.integers(0, 256, (9, 10, 11), dtype=np.uint8)
DICOM = {
    "native.dcm": PYDICOM / "CT_small.dcm",
    "rle.dcm": PYDICOM / "MR_small_RLE.dcm",
    "jpeg2000.dcm": PYDICOM / "JPEG2000.dcm",
    "jpeg-ls.dcm": PYDICOM / "MR_small_jpeg_ls_lossless.dcm",
    "jpeg-lossless.dcm": MORE / "JPEG-LL.dcm",
    "jpeg-12-bits.dcm": PYDICOM / "JPGExtended.dcm",
    "odd-header.dcm": PYDICOM / "SC_rgb_jpeg.dcm",
}
WRITTEN: dict[str, Callable[[Path], Any]] = {
    "colour.png": lambda path: path.write_bytes(picture("PNG")),
    "picture.jpg": lambda path: path.write_bytes(picture("JPEG")),
    "picture.tif": lambda path: path.write_bytes(picture("TIFF")),
    "deep.png": lambda path: cv2.imwrite(str(path), PICTURE.astype(np.uint16) * 257),
    "volume.nii.gz": lambda path: nib.save(nib.Nifti1Image(VOLUME, np.eye(4)), path),
    "volume.nrrd": lambda path: sitk.WriteImage(sitk.GetImageFromArray(VOLUME), str(path)),
    "volume.mha": lambda path: sitk.WriteImage(sitk.GetImageFromArray(VOLUME), str(path)),
    "volume.npz": lambda path: np.savez(path, image=VOLUME),
    "series.zip": lambda path: zip_file(path, PYDICOM / "CT_small.dcm"),
}
NAMES = [*DICOM, *WRITTEN]


def picture(kind: str) -> bytes:
    stream = BytesIO()
    Image.fromarray(PICTURE).save(stream, kind)
    return stream.getvalue()


def zip_file(path: Path, content: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(content, "a.dcm")


@pytest.fixture
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / request.param
    if request.param in WRITTEN:
        WRITTEN[request.param](path)
    else:
        path.write_bytes(DICOM[request.param].read_bytes())
    return path


def found_in(path: Path) -> tuple[Any, ...]:
    """Return everything that can be read of a file."""
    if path.suffix == ".npz":
        return (read_volume(path).tobytes(),)
    scan = read(path)
    return (scan.array.shape, scan.array.dtype, scan.array.tobytes(), scan.assumed, patient_of(path))


def state() -> dict[str, Any]:
    """Return the settings of the process that a reader might change."""
    logger = logging.getLogger("pydicom")
    return {
        "descriptors": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0,  # noqa: PTH208
        "stderr": (os.fstat(2).st_dev, os.fstat(2).st_ino),
        "filters": list(warnings.filters),
        "shown by": warnings.showwarning,
        "logger": (logger.disabled, logger.level, list(logger.filters), logging.root.manager.disable),
        "OpenCV": (cv2.getNumThreads(), cv2.utils.logging.getLogLevel()),
        "torch": torch.get_num_threads(),
    }


@contextmanager
def noise() -> Iterator[dict[str, int]]:
    """Warn, log and draw a progress bar in other threads; afterwards, the number of times that each was done."""
    stop, done = threading.Event(), {"warned": 0, "logged": 0, "drawn": 0}

    def repeat(what: str, work: Callable[[], None]) -> None:
        while not stop.wait(0.0002):
            work()
            done[what] += 1

    threads = [
        threading.Thread(target=repeat, args=("warned", lambda: warnings.warn("of another thread", stacklevel=1))),
        threading.Thread(target=repeat, args=("logged", lambda: logging.getLogger("pydicom").error("logged"))),
        threading.Thread(target=repeat, args=("drawn", lambda: (os.write(2, b"reading 12%\n"), None)[1])),
    ]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("file", NAMES, indirect=True)
def test_threads_leave_the_process_as_it_was_and_read_what_one_reads_alone(file: Path) -> None:
    alone = found_in(file)
    before = state()
    with ThreadPoolExecutor(8) as pool:
        assert all(found == alone for found in pool.map(lambda _: found_in(file), range(32)))
    assert state() == before


@pytest.mark.parametrize("file", NAMES, indirect=True)
def test_noise_of_other_threads_is_neither_swallowed_nor_blamed_on_a_file(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = found_in(file)
    shown: list[str] = []
    logged: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: logged.append(record.getMessage()))
    monkeypatch.setattr(logging.getLogger("pydicom"), "handlers", [handler])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_, **__: shown.append(str(message)))
        capfd.readouterr()
        with noise() as done, ThreadPoolExecutor(4) as pool:
            assert all(found == alone for found in pool.map(lambda _: found_in(file), range(24)))
    assert shown == ["of another thread"] * done["warned"]
    assert logged == ["logged"] * done["logged"]
    assert capfd.readouterr().err == "reading 12%\n" * done["drawn"]


@pytest.mark.parametrize(
    "work",
    [
        lambda: identifying_elements(DICOM["odd-header.dcm"].read_bytes()),
        lambda: identifying_in_jpeg(picture("JPEG")),
    ],
    ids=["DICOM", "JPEG"],
)
def test_deidentification_in_threads_leaves_the_process_as_it_was(work: Callable[[], Any]) -> None:
    alone = work()
    before = state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with noise(), ThreadPoolExecutor(8) as pool:
            assert all(found == alone for found in pool.map(lambda _: work(), range(32)))
    assert state() == before


def test_an_audit_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(20):
            image = RANDOM.integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / label / f"{number}.png")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        before = state()
        audit(tmp_path)
        after = state()
    finally:
        cv2.setNumThreads(threads)
    assert after.pop("descriptors") >= 0
    assert after == {name: value for name, value in before.items() if name != "descriptors"}


def test_captures_that_overlap_collect_each_their_own() -> None:
    before = state()
    barrier, collected = threading.Barrier(8), {}

    def work(number: int) -> None:
        for step in range(20):
            with capture_warnings() as outer:
                barrier.wait()
                warnings.warn(f"{number} {step} outer", stacklevel=1)
                with capture_warnings() as inner:
                    warnings.warn(f"{number} {step} inner", stacklevel=1)
                barrier.wait()
            collected[number, step] = (outer, inner)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert state() == before
    for (number, step), found in collected.items():
        assert found == ([f"{number} {step} outer"], [f"{number} {step} inner"])


def test_a_warning_that_was_shown_before_is_captured_again() -> None:
    def warn() -> None:
        warnings.warn("the same each time", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with warnings.catch_warnings(record=True):
            warn()
        for _ in range(2):
            with capture_warnings() as found:
                warn()
            assert found == ["the same each time"]


@pytest.mark.parametrize("guard", [capture_warnings, opencv_silent, opencv_single_threaded])
def test_an_error_inside_a_guard_restores_the_process(guard: Any) -> None:
    before = state()
    with pytest.raises(KeyError), guard(), guard():
        raise KeyError
    assert state() == before


def test_a_child_process_that_dies_is_started_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "sys.path[:] = sys.argv[1:]\n"
        "from medshot.process import answer_requests\n"
        "answer_requests(lambda request: os._exit(1) if request == b'die' else ({'size': len(request)}, request))\n"
    )
    child = ChildProcess(script)
    try:
        for _ in range(2):
            large = RANDOM.bytes(1_000_000)
            assert child.ask(large) == ({"size": len(large)}, large)
            with pytest.raises(ChildProcessError):
                child.ask(b"die")
    finally:
        child.close()
