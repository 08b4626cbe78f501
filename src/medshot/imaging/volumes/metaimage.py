"""Read MetaImage: a text header followed by its voxels (.mha), or with a separate data file (.mhd).

SimpleITK opens any file that a header names and trusts its sizes, so it only serves as a reference in the tests.
Format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

import re
from pathlib import Path

import numpy as np

from medshot.errors import InputError
from medshot.imaging.scan import Scan
from medshot.imaging.volumes.text_header import add_field, head, need, numbers, whole_numbers
from medshot.imaging.volumes.volume import (
    LPS_TO_RAS,
    Compression,
    VolumeGeometry,
    beside,
    geometry_from_affine,
    geometry_from_spacing,
    raw_voxels,
    refuse_spacing,
    scan_of,
)

DTYPES = {
    "MET_CHAR": "int8",
    "MET_UCHAR": "uint8",
    "MET_SHORT": "int16",
    "MET_USHORT": "uint16",
    "MET_INT": "int32",
    "MET_UINT": "uint32",
    "MET_LONG_LONG": "int64",
    "MET_ULONG_LONG": "uint64",
    "MET_FLOAT": "float32",
    "MET_DOUBLE": "float64",
}
SAME = {  # other names of a field
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "Position": "Offset",
    "Origin": "Offset",
}


def is_metaimage(start: bytes) -> bool:
    """Whether the start of a file is a MetaImage header."""
    return re.match(rb"\s*(ObjectType|Comment|ObjectSubType|NDims)\s*=", start) is not None


def read_metaimage(path: Path) -> Scan:
    """Read a MetaImage file.

    Raises:
        InputError: the header contradicts itself or the voxels, or promises what cannot be read.
    """
    fields, offset = _fields(path)
    if fields.get("ObjectType", "Image").lower() != "image":
        raise InputError(
            f"{path} holds a {fields['ObjectType'][:20]!r} and no image; give a MetaImage file of an image."
        )
    if not _is_true(fields, "BinaryData", "True") or fields.get("HeaderSize", "0") != "0":
        raise InputError(f"{path} has its voxels as text or behind a second header; save it as plain binary data.")
    kind = need(path, fields, "ElementType").removesuffix("_ARRAY")
    if kind not in DTYPES:
        raise InputError(f"{path} holds voxels of type {kind[:20]!r}; save it with whole or real numbers.")
    swapped = _is_true(fields, "BinaryDataByteOrderMSB", "False")
    dtype = np.dtype(DTYPES[kind]).newbyteorder(">" if swapped else "<")
    sides = _sides(path, fields)
    channels = whole_numbers(path, "ElementNumberOfChannels", fields.get("ElementNumberOfChannels", "1"))
    colour = channels == [3] and dtype in (np.uint8, np.uint16)
    if channels != [1] and not colour:
        count = fields["ElementNumberOfChannels"][:20]
        raise InputError(f"{path} holds {count} values for each voxel; save the one to use as a file of its own.")
    place = _geometry(path, fields, len(sides))
    where = _data_file(path, fields)
    compression: Compression = "zlib" if _is_true(fields, "CompressedData", "False") else "none"
    shape = tuple(reversed(sides))
    stored, odd = raw_voxels(where, offset if where is path else 0, compression, dtype, shape + (3,) * colour)
    return scan_of(path, stored.reshape((1,) * (3 - len(shape)) + stored.shape), place, odd)


def metaimage_data(path: Path) -> Path:
    """Return the file that holds the voxels, the header itself if they follow it; InputError if it is impossible."""
    return _data_file(path, _fields(path)[0])


def _data_file(path: Path, fields: dict[str, str]) -> Path:
    name = fields["ElementDataFile"]
    return path if name.upper() == "LOCAL" else beside(path, name)


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields of the header, and the position of the byte after it."""
    start = head(path)
    end = re.search(rb"^ElementDataFile[ \t]*=[^\n]*(\n|\Z)", start, re.MULTILINE)
    if end is None:
        raise InputError(f"{path} has no 'ElementDataFile' in its header; mend or replace the file.")
    fields: dict[str, str] = {}
    for line in start[: end.end()].decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if not equals and line.strip():
            raise InputError(f"{path} has the line {line[:40]!r} in its header, which is not a field; mend its header.")
        if equals and name.strip() != "Comment":
            add_field(path, fields, SAME.get(name.strip(), name.strip()), value.strip())
    return fields, end.end()


def _is_true(fields: dict[str, str], name: str, otherwise: str) -> bool:
    return fields.get(name, otherwise).lower() in ("true", "t", "1", "yes", "y")


def _sides(path: Path, fields: dict[str, str]) -> list[int]:
    """Return the number of voxels along (i, j) or (i, j, k)."""
    sides = whole_numbers(path, "DimSize", need(path, fields, "DimSize"))
    if whole_numbers(path, "NDims", need(path, fields, "NDims")) != [len(sides)]:
        raise InputError(f"{path} has {len(sides)} sizes in DimSize and NDims = {fields['NDims']}; mend its header.")
    if len(sides) > 3 or len(sides) < 2:
        raise InputError(f"{path} has {len(sides)} dimensions; save the volume to use as a file of its own.")
    return sides


def _geometry(path: Path, fields: dict[str, str], axes: int) -> VolumeGeometry:
    """Read the geometry as ITK does: the rows of the matrix are the directions of i, j and k, in LPS."""
    text = fields.get("ElementSpacing", fields.get("ElementSize"))
    if text is None:
        return geometry_from_spacing(path, None, ("The header gives neither spacing nor position; both are unknown.",))
    spacing = _some(path, "ElementSpacing", text, axes)
    refuse_spacing(path, spacing)
    if axes != 3 or "TransformMatrix" not in fields or "Offset" not in fields:
        return geometry_from_spacing(
            path, spacing, ("The header does not give the position of the voxels in the patient.",)
        )
    matrix = np.reshape(_some(path, "TransformMatrix", fields["TransformMatrix"], 9), (3, 3))
    affine = np.eye(4)
    affine[:3, :3] = matrix.T * spacing
    affine[:3, 3] = _some(path, "Offset", fields["Offset"], 3)
    return geometry_from_affine(path, LPS_TO_RAS @ affine)


def _some(path: Path, field: str, text: str, count: int) -> list[float]:
    found = numbers(path, field, text)
    if len(found) != count:
        raise InputError(f"{path} has {len(found)} numbers in {field} where {count} were expected; mend its header.")
    return found
