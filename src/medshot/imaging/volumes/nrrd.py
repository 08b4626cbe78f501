"""Read NRRD: a text header followed by its voxels (.nrrd), or with a separate data file (.nhdr).

SimpleITK opens any file that a header names and trusts its sizes, so it only serves as a reference in the tests.
Format: http://teem.sourceforge.net/nrrd/format.html
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

MAGIC = b"NRRD000"
TYPES = {
    "int8": ("signed char", "int8", "int8_t"),
    "uint8": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "uint16": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "uint32": ("uint", "unsigned int", "uint32", "uint32_t"),
    "int64": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "uint64": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "float32": ("float",),
    "float64": ("double",),
}
DTYPES = {name: dtype for dtype, names in TYPES.items() for name in names}
COMPRESSION: dict[str, Compression] = {"raw": "none", "gzip": "zlib", "gz": "zlib"}
SPACES = {  # to RAS
    "right-anterior-superior": np.eye(4),
    "ras": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "left-posterior-superior": LPS_TO_RAS,
    "lps": LPS_TO_RAS,
}
COLOURS = ("rgb-color", "3-color", "vector", "3-vector")
MILLIMETRES = {"mm": 1.0, "millimeter": 1.0, "m": 1000.0, "cm": 10.0, "um": 0.001, "µm": 0.001}


def read_nrrd(path: Path) -> Scan:
    """Read an NRRD file.

    Raises:
        InputError: the header contradicts itself or the voxels, or promises what cannot be read.
    """
    fields, offset = _fields(path)
    encoding = need(path, fields, "encoding").lower()
    if encoding not in COMPRESSION:
        raise InputError(f"{path} has voxels in the encoding {encoding[:20]!r}; save it with 'raw' or 'gzip'.")
    if any(fields.get(skip, "0") != "0" for skip in ("lineskip", "byteskip")):
        raise InputError(f"{path} skips lines or bytes before its voxels; save it again without.")
    kind = need(path, fields, "type").lower()
    if kind not in DTYPES:
        raise InputError(f"{path} holds voxels of type {kind[:20]!r}; save it with whole or real numbers.")
    dtype = _ordered(path, fields, np.dtype(DTYPES[kind]))
    sides = whole_numbers(path, "sizes", need(path, fields, "sizes"))
    if [len(sides)] != whole_numbers(path, "dimension", need(path, fields, "dimension")) or len(sides) > 16:
        raise InputError(f"{path} has {len(sides)} sizes and the dimension {fields['dimension']!r}; mend its header.")
    spatial, colour, odd = _axes(path, fields, sides, dtype)
    place = _geometry(path, fields, spatial, len(sides))
    where = _data_file(path, fields)
    shape = tuple(sides[axis] for axis in reversed(spatial))
    stored, more = raw_voxels(
        where, offset if where is path else 0, COMPRESSION[encoding], dtype, shape + (3,) * colour
    )
    array = stored.reshape((1,) * (3 - len(shape)) + stored.shape)
    return scan_of(path, array, place, odd + more)


def nrrd_data(path: Path) -> Path:
    """Return the file that holds the voxels, the header itself if they follow it; InputError if it is impossible."""
    return _data_file(path, _fields(path)[0])


def _data_file(path: Path, fields: dict[str, str]) -> Path:
    return beside(path, fields["datafile"]) if "datafile" in fields else path


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the header's fields by name, lower-case without blanks, and the position of the byte after the header."""
    start = head(path)
    end = re.search(rb"\r?\n\r?\n", start)
    fields: dict[str, str] = {}
    text = start[: end.start()] if end else start
    for line in text.decode("utf-8", "replace").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if line.startswith("#") or value.startswith("="):  # a comment or a custom key
            continue
        if not colon:
            raise InputError(f"{path} has the line {line[:40]!r} in its header, which is not a field; mend its header.")
        add_field(path, fields, name.replace(" ", "").lower(), value.strip())
    if end is None and "datafile" not in fields:
        raise InputError(f"{path} has no end to its header; replace the file.")
    return fields, end.end() if end else 0


def _ordered(path: Path, fields: dict[str, str], dtype: np.dtype) -> np.dtype:
    endian = fields.get("endian", "little" if dtype.itemsize == 1 else "")
    if endian not in ("little", "big"):
        raise InputError(f"{path} has neither 'endian: little' nor 'endian: big'; add it to its header.")
    return dtype.newbyteorder("<" if endian == "little" else ">")


def _axes(path: Path, fields: dict[str, str], sides: list[int], dtype: np.dtype) -> tuple[list[int], bool, list[str]]:
    """Return the spatial axes, whether the first axis is colour, and what was assumed."""
    kinds = fields.get("kinds", "domain " * len(sides)).lower().split()
    if len(kinds) != len(sides):
        raise InputError(f"{path} has {len(kinds)} kinds for {len(sides)} axes; mend its header.")
    spatial = [axis for axis, kind in enumerate(kinds) if kind in ("domain", "space", "???", "none")]
    further = [axis for axis in range(len(sides)) if axis not in spatial and sides[axis] > 1]
    while len(spatial) > 3 and sides[spatial[-1]] == 1:
        spatial.pop()
    colour = further == [0] and kinds[0] in COLOURS and sides[0] == 3 and dtype in (np.uint8, np.uint16)
    if len(spatial) > 3 or not spatial or (further and not colour):
        count = np.prod([sides[axis] for axis in further] or [sides[axis] for axis in spatial[3:]], dtype=object)
        raise InputError(f"{path} holds {count} values for each voxel; save the one to use as a file of its own.")
    vector = colour and "vector" in kinds[0]
    return spatial, colour, ["Vectors of three small numbers were taken for red, green and blue."] * vector


def _geometry(path: Path, fields: dict[str, str], spatial: list[int], axes: int) -> VolumeGeometry:
    scale, assumed = _scale(path, fields)
    if "spacedirections" not in fields:
        assumed += ("The header does not give the position of the voxels in the patient.",)
        words = fields.get("spacings", "").split()
        known = len(words) == axes and all(words[axis].lower() != "nan" for axis in spatial)
        steps = numbers(path, "spacings", " ".join(words[axis] for axis in spatial)) if known else None
        return geometry_from_spacing(path, steps and [step * scale for step in steps], assumed)
    vectors = re.findall(r"none|\([^()]*\)", fields["spacedirections"].lower())
    if len(vectors) != axes or any(vectors[axis] == "none" for axis in spatial):
        raise InputError(f"{path} has {len(vectors)} space directions for {axes} axes; mend its header.")
    directions = [_vector(path, "space directions", vectors[axis]) for axis in spatial]
    space = fields.get("space", "").lower()
    to_ras = SPACES.get(space)
    origin = _vector(path, "space origin", fields.get("spaceorigin", "()"))
    if to_ras is None or len(spatial) != 3 or not origin:
        lengths = [float(np.linalg.norm(vector)) * scale for vector in directions]
        why = f"the space {space!r}" if space and to_ras is None else "the space of the header"
        return geometry_from_spacing(
            path, lengths, (*assumed, f"The position in the patient does not follow from {why}.")
        )
    if any(len(vector) != 3 for vector in (*directions, origin)):
        raise InputError(f"{path} has space directions or an origin that are not of three numbers; mend its header.")
    refuse_spacing(path, [float(np.linalg.norm(vector)) for vector in directions])
    affine = np.eye(4)
    affine[:3] = scale * np.array([*directions, origin]).T
    return geometry_from_affine(path, to_ras @ affine, assumed)


def _scale(path: Path, fields: dict[str, str]) -> tuple[float, tuple[str, ...]]:
    """Return the millimetres per unit of the header."""
    units = set(re.findall(r'"([^"]*)"', fields.get("spaceunits", fields.get("units", "")))) - {""}
    if not units:
        return 1.0, ("The file does not give the unit of length; millimetres were assumed.",)
    if len(units) > 1 or not units <= set(MILLIMETRES):
        raise InputError(f"{path} measures space in {', '.join(sorted(units))[:40]}; save it in millimetres.")
    return MILLIMETRES[units.pop()], ()


def _vector(path: Path, field: str, text: str) -> list[float]:
    return numbers(path, field, text.strip("() ").replace(",", " "))
