"""The formats that can be cleaned, recognised by content, and the functions that find and remove what identifies."""

import gzip
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from medshot.deidentify.dicom import CleanCopy, clean_dicom
from medshot.deidentify.identifying import identifying_text
from medshot.deidentify.manifests import identifying_in_table
from medshot.deidentify.pictures import clean_jpeg, clean_png, identifying_in_jpeg, identifying_in_png, same_pixels
from medshot.deidentify.tiff import clean_tiff, identifying_in_tiff, same_tiff_pixels
from medshot.deidentify.volumes import (
    CONTENT_LIMIT,
    clean_meta,
    clean_nifti,
    clean_nrrd,
    identifying_in_meta,
    identifying_in_nifti,
    identifying_in_nrrd,
    is_nifti,
    unzipped,
)
from medshot.errors import InputError
from medshot.imaging import formats
from medshot.imaging.dicom.identity import identifying_elements
from medshot.imaging.formats import starts_as
from medshot.imaging.pseudonyms import CannotClean, Identifying, Pseudonyms
from medshot.storage import printable_path


def identifying_in_arrays(content: bytes) -> list[Identifying]:
    """Find arrays of an `.npz` file whose names identify; CannotClean if it is damaged."""
    with _open(content) as archive:
        found = [Identifying("name of an array", kind) for name in archive.files for kind in identifying_text(name)]
    with zipfile.ZipFile(BytesIO(content)) as packed:
        comments = [packed.comment, *(entry.comment for entry in packed.infolist())]
    return found + [Identifying("zip comment", "free text")] * any(comments)


def clean_arrays(content: bytes) -> bytes:
    """Write the arrays of an `.npz` file to a new one; CannotClean if it is damaged or holds anything but numbers."""
    with _open(content) as archive:
        if any(identifying_text(name) or not re.fullmatch(r"\w{1,40}", name) for name in archive.files):
            raise CannotClean("has arrays whose names may identify")
        try:
            arrays = {name: archive[name] for name in archive.files}
        except Exception:
            raise CannotClean("is a damaged .npz file, or holds anything but arrays") from None
    if not arrays or any(array.dtype.kind not in "biuf" for array in arrays.values()):
        raise CannotClean("is an .npz file that holds anything but numbers")
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _open(content: bytes) -> np.lib.npyio.NpzFile:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        opened = np.load(BytesIO(content), allow_pickle=False)
    except Exception:
        raise CannotClean("is a damaged .npz file") from None
    if total > CONTENT_LIMIT:
        opened.close()
        raise CannotClean("is too large to be cleaned once unpacked")
    return opened


_WITHOUT_PREAMBLE = (b"\x08\x00", b"\x02\x00")


@dataclass(frozen=True)
class Format:
    """A file format that can be cleaned.

    Args:
        name: its usual name.
        suffix: the end of its file names.
        find: finds what identifies in the content.
        clean: returns the content without it.
        same: whether two files hold the same pixels, as far as can be checked.
    """

    name: str
    suffix: str
    find: Callable[[bytes], list[Identifying]]
    clean: Callable[[bytes, Pseudonyms], CleanCopy]
    same: Callable[[bytes, bytes], bool] = lambda before, after: True


def identifying(path: Path) -> list[Identifying]:
    """Find what identifies a patient in one file; `identifying_name` searches its name.

    DICOM attributes (nested and private ones too), PNG chunks, EXIF and other JPEG segments, TIFF tags, text and
    extensions of NIfTI headers, key/value pairs and comments of NRRD and MetaImage, columns of a manifest. Text that is
    burnt into pixels is not found.

    Raises:
        InputError: the file cannot be read, is damaged, or of an unknown format.
    """
    try:
        return identifying_content(read_limited(path))
    except CannotClean as reason:
        raise InputError(f"{printable_path(path)} {reason}; it may identify a patient, so do not share it.") from None


def identifying_content(content: bytes) -> list[Identifying]:
    """Find what identifies in the bytes of a file; CannotClean if they are damaged or of an unknown format."""
    try:
        return identifying_in_table(content)
    except CannotClean:  # it is not a table
        return format_of(content).find(content)


def read_limited(path: Path) -> bytes:
    """Read a file that is not a link and not too large; CannotClean otherwise."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise CannotClean("is a link or no file")
        if status.st_size > CONTENT_LIMIT:
            raise CannotClean("is too large to be cleaned")
        return path.read_bytes()
    except (OSError, ValueError):
        raise CannotClean("could not be read") from None


def format_of(content: bytes) -> Format:
    """Return the format of a file; CannotClean if it has none."""
    if starts_as(content, formats.DICOM) or content.startswith(_WITHOUT_PREAMBLE):
        return DICOM
    if starts_as(content, formats.PNG):
        return Format("PNG", ".png", identifying_in_png, _plain(clean_png), same_pixels)
    if starts_as(content, formats.JPEG):
        return Format("JPEG", ".jpg", identifying_in_jpeg, _plain(clean_jpeg), same_pixels)
    if starts_as(content, formats.TIFF):
        return Format("TIFF", ".tif", identifying_in_tiff, _plain(clean_tiff), same_tiff_pixels)
    if is_nifti(content):
        return Format("NIfTI", ".nii", identifying_in_nifti, _plain(clean_nifti))
    if starts_as(content, formats.GZIP):
        return PACKED_NIFTI
    if starts_as(content, formats.NRRD):
        return Format("NRRD", ".nrrd", identifying_in_nrrd, _plain(clean_nrrd))
    if starts_as(content, formats.NPZ):
        return Format("npz", ".npz", identifying_in_arrays, _plain(clean_arrays))
    if starts_as(content, formats.METAIMAGE):
        return Format("MetaImage", ".mha", identifying_in_meta, _plain(clean_meta))
    raise CannotClean("is of a format that cannot be cleaned")


def _plain(clean: Callable[[bytes], bytes]) -> Callable[[bytes, Pseudonyms], CleanCopy]:
    return lambda content, _: CleanCopy(clean(content))


def _unpacked_nifti(content: bytes) -> bytes:
    plain = unzipped(content)
    if not is_nifti(plain):
        raise CannotClean("is a gzip file that holds no NIfTI file")
    return plain


def _clean_packed(content: bytes, _: Pseudonyms) -> CleanCopy:
    return CleanCopy(gzip.compress(clean_nifti(_unpacked_nifti(content)), compresslevel=6, mtime=0))


DICOM = Format("DICOM", ".dcm", identifying_elements, clean_dicom)
PACKED_NIFTI = Format("NIfTI", ".nii.gz", lambda content: identifying_in_nifti(_unpacked_nifti(content)), _clean_packed)
