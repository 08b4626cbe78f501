"""Arrays of numbers in `.npz` files, as MedMNIST and volumes come."""

import re
import zipfile
from io import BytesIO

import numpy as np

from medshot.imaging.deidentification.names import identifying_text
from medshot.imaging.deidentification.volumes import CONTENT_LIMIT
from medshot.imaging.secrecy import CannotClean, Identifying

ZIP = b"PK\x03\x04"


def identifying_in_arrays(content: bytes) -> list[Identifying]:
    """Arrays of an `.npz` file whose names tell something; CannotClean where it is damaged."""
    with _opened(content) as archive:
        found = [Identifying("name of an array", kind) for name in archive.files for kind in identifying_text(name)]
    with zipfile.ZipFile(BytesIO(content)) as packed:
        comments = [packed.comment, *(entry.comment for entry in packed.infolist())]
    return found + [Identifying("zip comment", "free text")] * any(comments)


def clean_arrays(content: bytes) -> bytes:
    """The `.npz` file's arrays in a new one; CannotClean where it is damaged or holds other than numbers."""
    with _opened(content) as archive:
        if any(identifying_text(name) or not re.fullmatch(r"\w{1,40}", name) for name in archive.files):
            raise CannotClean("has arrays whose names may identify")
        try:
            arrays = {name: archive[name] for name in archive.files}
        except Exception:
            raise CannotClean("is a damaged .npz file, or holds other than arrays") from None
    if not arrays or any(array.dtype.kind not in "biuf" for array in arrays.values()):
        raise CannotClean("is an .npz file that holds other than numbers")
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _opened(content: bytes) -> np.lib.npyio.NpzFile:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        opened = np.load(BytesIO(content), allow_pickle=False)
    except Exception:
        raise CannotClean("is a damaged .npz file") from None
    if total > CONTENT_LIMIT:
        opened.close()
        raise CannotClean("is larger than can be cleaned once unpacked")
    return opened
