"""Read any file, folder of a series or zip archive as a scan; content decides on the format before the name."""

import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from medshot.errors import InputError
from medshot.imaging.formats import (
    DETACHED_HEADERS,
    DICOM,
    NIFTI,
    NUMPY,
    ZIP,
    formats_holding,
    has_name_of,
    starts_as,
)
from medshot.imaging.npy import read_npy
from medshot.imaging.pictures import read_picture
from medshot.imaging.scan import Scan

SIZE_LIMIT = 4_000_000_000  # bytes of all files, unpacked
FILE_LIMIT = 20_000
RATIO_LIMIT = 200  # unpacked bytes for each packed one, of the whole archive
_SMALL = 50_000_000  # unpacked bytes that are never a bomb: one blank film packs a thousandfold
_CHUNK = 1 << 20


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack a zip archive into a temporary folder, for as long as the context lasts.

    Args:
        path: the archive.

    Raises:
        InputError: the archive is damaged or encrypted; it holds absolute names, names with `..`, links or archives;
            more than `FILE_LIMIT` files, `SIZE_LIMIT` bytes, or `RATIO_LIMIT` times its own size. A sentence raised
            inside the context names the archive in place of the folder.
    """
    with tempfile.TemporaryDirectory(prefix="medshot-") as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(path, archive, folder)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            cause = str(error).replace(name, "").rstrip(".") or type(error).__name__
            raise InputError(f"{path} is not a readable zip archive ({cause}); make it again.") from error
        try:
            yield folder
        except InputError as error:
            raise InputError(str(error).replace(name, str(path))) from error


def _unpack(path: Path, archive: zipfile.ZipFile, folder: Path) -> None:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > FILE_LIMIT:
        raise InputError(f"{path} holds {len(members):,} files, more than the limit of {FILE_LIMIT:,}; split it.")
    if not members:
        raise InputError(f"{path} is an empty zip archive; give one with images in it.")
    for member in members:
        _check_member(path, member)
    if len({member.filename for member in members}) < len(members):
        raise InputError(f"{path} holds several files of the same name; make the archive again.")
    total, packed = 0, path.stat().st_size
    for member in members:
        target = folder / PurePosixPath(member.filename)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("xb") as sink:
            while chunk := source.read(_CHUNK):
                if sink.tell() == 0 and starts_as(chunk, ZIP):
                    raise InputError(f"{path} holds the archive {_printable_name(member)}; unpack it first.")
                total += len(chunk)
                if total > SIZE_LIMIT or (total > _SMALL and total > RATIO_LIMIT * packed):
                    raise InputError(
                        f"{path} unpacks to more than {total:,} bytes from {packed:,}, beyond what medshot takes; "
                        "unpack it yourself if you trust it."
                    )
                sink.write(chunk)


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    if name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        raise InputError(
            f"{path} holds the name {_printable_name(member)}, which leads out of it; do not trust this archive."
        )
    if member.flag_bits & 1:
        raise InputError(f"{path} is encrypted; unpack it and give the folder.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InputError(f"{path} holds {_printable_name(member)}, a link or device; make the archive of files alone.")


def _printable_name(member: zipfile.ZipInfo) -> str:
    return repr(member.filename[:100])


_REFUSED = {
    "PDF": "is a PDF document, which is not an image; save its pictures as PNG.",
    "gzip": "is packed with gzip; unpack it.",
}


def read(path: Path | str, *, identity: bool = False) -> Scan:
    """Read a medical image: DICOM (a file, a folder with one series, or a zip of either), NIfTI, NRRD, MetaImage, PNG,
    JPEG, TIFF, GIF, BMP, WebP, JPEG 2000, HEIC (with medshot[heic]) or `.npy`.

    A value that the file lacks is None, or the value used instead is named in `Scan.assumed`.

    Args:
        path: a file, folder or zip archive.
        identity: return the file's patient, study and series themselves instead of their hashes.

    Raises:
        InputError: it cannot be read, or the result would be wrong; one sentence gives the reason and what to do.
    """
    path = Path(path)
    try:
        if folder := path.is_dir():
            start = b""
        else:
            with path.open("rb") as file:
                start = file.read(352)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} could not be read ({reason}); check that it is a file you may read.") from error
    if folder:
        return _read_folder(path, identity)
    if starts_as(start, ZIP):
        with unpacked(path) as inside:
            files = _files(inside)
            return read(files[0], identity=identity) if len(files) == 1 else _read_folder(inside, identity)
    return _read_file(path, start, identity)


def _read_file(path: Path, start: bytes, identity: bool) -> Scan:
    from medshot.imaging.dicom import read_dicom  # pydicom and nibabel are slow to import
    from medshot.imaging.volumes import read_volume_file

    if starts_as(start, DICOM):
        return read_dicom(path, identity=identity)
    if starts_as(start, *formats_holding("picture")):
        return read_picture(path)
    if starts_as(start, NUMPY) or has_name_of(path, NUMPY):
        return read_npy(path)
    if _is_volume(path, start):
        return read_volume_file(path)
    for known in formats_holding("other"):
        if starts_as(start, known):
            raise InputError(f"{path} {_REFUSED[known.name]}")
    return read_dicom(path, identity=identity)


def _is_volume(path: Path, start: bytes) -> bool:
    if has_name_of(path, *formats_holding("volume")) or path.name.lower().endswith(NIFTI.data):
        return True
    return starts_as(start, *formats_holding("volume"))


def _read_folder(folder: Path, identity: bool) -> Scan:
    from medshot.imaging.dicom import read_series  # pydicom is slow to import

    files = _files(folder)
    scan = read_series(folder, files, identity=identity)
    if scan is not None:
        return scan
    headers = [path for path in files if path.suffix.lower() in DETACHED_HEADERS]
    if len(headers) == 1 and len(files) == 2:
        return read(headers[0], identity=identity)
    what = f"{len(files)} files that are not DICOM" if files else "no files"
    raise InputError(f"{folder} holds {what}; give one of the files, or a folder of DICOM files.")


def _files(folder: Path) -> list[Path]:
    """Return all files below a folder that are not hidden, sorted by name; links are not followed."""
    found: list[Path] = []
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
        if hidden or path.is_symlink() or not path.is_file():
            continue
        found.append(path)
        if len(found) > FILE_LIMIT:
            raise InputError(f"{folder} holds more than {FILE_LIMIT:,} files; give the folder of one series.")
    return sorted(found)
