"""Find identifying fields of NIfTI, NRRD and MetaImage volumes, and keep only the geometry."""

import gzip
import math
import re
import zlib

import nibabel as nib
import numpy as np

from medshot.deidentify.identifying import identifying_text
from medshot.imaging.pseudonyms import CannotClean, Identifying

CONTENT_LIMIT = 1 << 30  # bytes, packed and unpacked
_NRRD_KEPT = frozenset(
    [
        "type",
        "dimension",
        "space",
        "sizes",
        "encoding",
        "endian",
        "kinds",
        "centers",
        "centerings",
        "spacings",
        "thicknesses",
        "min",
        "max",
    ]
) | {
    "space dimension",
    "space directions",
    "space origin",
    "space units",
    "measurement frame",
    "axis mins",
    "axis maxs",
}
_NRRD_WIDTHS = {"char": 1, "int8": 1, "byte": 1, "int16": 2, "short": 2, "int": 4, "int32": 4, "float": 4}
_NRRD_WIDTHS |= {"int64": 8, "long long": 8, "longlong": 8, "double": 8}
_META_KEPT = frozenset(
    [
        "objecttype",
        "ndims",
        "binarydata",
        "binarydatabyteordermsb",
        "elementbyteordermsb",
        "compresseddata",
        "transformmatrix",
        "offset",
        "position",
        "origin",
        "orientation",
        "rotation",
        "centerofrotation",
        "anatomicalorientation",
        "elementspacing",
        "elementsize",
        "dimsize",
        "elementtype",
        "elementnumberofchannels",
        "elementmin",
        "elementmax",
    ]
)
_META_WIDTHS = {"char": 1, "short": 2, "int": 4, "long": 4, "float": 4, "double": 8, "long_long": 8}
_PLAIN = re.compile(r"[\w .,;:()+\-\"]*")


def is_nifti(content: bytes) -> bool:
    """Whether the bytes begin with a NIfTI-1 or NIfTI-2 header, the voxels in the same file."""
    return content[344:348] == b"n+1\0" or content[4:8] == b"n+2\0"


def unzipped(content: bytes) -> bytes:
    """Unpack a gzip file up to the limit of size."""
    worker = zlib.decompressobj(wbits=31)
    try:
        plain = worker.decompress(content, CONTENT_LIMIT)
    except zlib.error:
        raise CannotClean("is a damaged gzip file") from None
    if worker.unconsumed_tail:
        raise CannotClean("is too large to be cleaned once unpacked")
    if not worker.eof:
        raise CannotClean("is a truncated gzip file")
    return plain


def identifying_in_nifti(content: bytes) -> list[Identifying]:
    """Find the text fields and extensions of an unpacked NIfTI file; CannotClean if it is damaged."""
    header, offset = _nifti_header(content)
    fields = header.structarr
    found = [
        Identifying(f"NIfTI {name}", "free text")
        for name in _nifti_text(fields)
        if fields[name].item().strip(b"\0 ") and not fields[name].item().startswith((b"FSL", b"ITK", b"SPM", b"TE="))
    ]
    between = content[fields.dtype.itemsize : offset]
    if any(between[:4]) or any(between[4:]):
        found.append(Identifying("NIfTI extension", "free text"))
    return found


def clean_nifti(content: bytes) -> bytes:
    """Remove text fields and extensions of an unpacked NIfTI file; CannotClean if it is damaged."""
    header, offset = _nifti_header(content)
    fields = header.structarr
    size = math.prod(header.get_data_shape()) * int(fields["bitpix"]) // 8
    voxels = content[offset : offset + size]
    if len(voxels) < size or size <= 0:
        raise CannotClean("is a truncated NIfTI file")
    for name in _nifti_text(fields):
        fields[name] = b""
    for name in ("extents", "session_error", "regular", "glmax", "glmin"):
        if name in fields.dtype.names:
            fields[name] = b"" if fields.dtype[name].kind == "S" else 0
    fields["vox_offset"] = fields.dtype.itemsize + 4
    return bytes(header.binaryblock) + bytes(4) + voxels


def identifying_in_nrrd(content: bytes) -> list[Identifying]:
    """Find the comments, key/value pairs and free fields of an NRRD file; CannotClean if it is damaged."""
    lines, _ = _nrrd_parts(content)
    found = []
    for number, line in enumerate(lines[1:], 2):
        if line.startswith("#"):
            if not line.startswith(("# Complete NRRD file format", "# http://teem.sourceforge")):
                found.append(Identifying(f"NRRD comment on line {number}", "free text"))
        elif line.partition(":")[0].strip().lower() not in _NRRD_KEPT or ":=" in line:
            found.append(Identifying(f"NRRD field on line {number}", "free text"))
    return found


def clean_nrrd(content: bytes) -> bytes:
    """Keep the fields that place the voxels; CannotClean if the NRRD file is damaged or in several files."""
    lines, data = _nrrd_parts(content)
    fields = {}
    for line in lines[1:]:
        name, separator, value = line.partition(":")
        name = name.strip().lower()
        if line.startswith("#") or value.startswith("="):
            continue
        if name in ("data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip"):
            raise CannotClean("is an NRRD file whose voxels lie elsewhere")
        if separator and name in _NRRD_KEPT:
            if not _PLAIN.fullmatch(value) or identifying_text(value):
                raise CannotClean("has an NRRD header with unexpected text")
            fields[name] = value.strip()
    encoding = fields.get("encoding", "").lower()
    kind = fields.get("type", "").lower().removesuffix("_t").removeprefix("signed ").removeprefix("unsigned ")
    width = _NRRD_WIDTHS.get(kind) or _NRRD_WIDTHS.get(kind.removeprefix("u"), 0)
    size = _product(fields.get("sizes", "")) * width
    if encoding in ("gzip", "gz"):
        data = gzip.compress(_sized(unzipped(data), size), mtime=0)
    elif encoding == "raw":
        data = _sized(data, size)
    else:
        raise CannotClean("is an NRRD file of an encoding that is not read")
    head = [lines[0], *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\n".join(head).encode() + data


def identifying_in_meta(content: bytes) -> list[Identifying]:
    """Find the comments and free fields of a MetaImage file; CannotClean if it is damaged."""
    fields, _ = _meta_parts(content)
    known = _META_KEPT | {"elementdatafile", "compresseddatasize", "headersize"}
    return [
        Identifying(f"MetaImage field on line {number}", "free text")
        for number, (name, _) in enumerate(fields, 1)
        if name.lower() not in known
    ]


def clean_meta(content: bytes) -> bytes:
    """Keep the fields that place the voxels; CannotClean if the MetaImage file is damaged or in two files."""
    fields, data = _meta_parts(content)
    named = {name.lower(): value for name, value in fields}
    if named.get("headersize", "0") not in ("0", "-1"):
        raise CannotClean("is a MetaImage file whose voxels lie elsewhere")
    kept = [(name, value) for name, value in fields if name.lower() in _META_KEPT]
    if any(not _PLAIN.fullmatch(value) or identifying_text(value) for _, value in kept):
        raise CannotClean("has a MetaImage header with unexpected text")
    kind = named.get("elementtype", "").lower().removeprefix("met_").removesuffix("_array")
    width = _META_WIDTHS.get(kind) or _META_WIDTHS.get(kind.removeprefix("u"), 0)
    size = _product(named.get("dimsize", "")) * _product(named.get("elementnumberofchannels", "1")) * width
    if named.get("compresseddata", "").lower() == "true":
        try:
            plain = zlib.decompressobj(wbits=47).decompress(data, CONTENT_LIMIT)
        except zlib.error:
            raise CannotClean("is a damaged MetaImage file") from None
        data = zlib.compress(_sized(plain, size))
        kept.append(("CompressedDataSize", str(len(data))))
    else:
        data = _sized(data, size)
    lines = [f"{name} = {value}" for name, value in [*kept, ("ElementDataFile", "LOCAL")]]
    return "\n".join([*lines, ""]).encode() + data


def _nifti_header(content: bytes) -> tuple[nib.Nifti1Header, int]:
    kind = nib.Nifti2Header if content[4:8] == b"n+2\0" else nib.Nifti1Header
    try:
        header = kind(content[: kind.sizeof_hdr], check=False)
        offset = int(header.structarr["vox_offset"])
        header.get_data_shape()
    except Exception:
        raise CannotClean("is a damaged NIfTI file") from None
    if offset < kind.sizeof_hdr:
        raise CannotClean("is a damaged NIfTI file")
    return header, offset


def _nifti_text(fields: np.ndarray) -> list[str]:
    names = fields.dtype.names or ()
    return [name for name in names if fields.dtype[name].kind == "S" and name not in ("magic", "regular", "eol_check")]


def _nrrd_parts(content: bytes) -> tuple[list[str], bytes]:
    found = re.search(rb"\r?\n\r?\n", content[: 1 << 20])
    if found is None:
        raise CannotClean("is an NRRD header without voxels, or a damaged NRRD file")
    text = content[: found.start()].decode("utf-8", "replace")
    return text.splitlines(), content[found.end() :]


def _meta_parts(content: bytes) -> tuple[list[tuple[str, str]], bytes]:
    found = re.search(rb"(?m)^ElementDataFile[ \t]*=[ \t]*LOCAL[ \t]*\r?\n", content[: 1 << 20])
    if found is None:
        raise CannotClean("is a MetaImage header without voxels, or a damaged MetaImage file")
    lines = content[: found.start()].decode("utf-8", "replace").splitlines()
    pairs = [line.partition("=") for line in lines]
    return [(name.strip(), value.strip()) for name, _, value in pairs if name.strip()], content[found.end() :]


def _sized(data: bytes, size: int) -> bytes:
    """Return the voxels without what follows them."""
    if size <= 0 or len(data) < size:
        raise CannotClean("is truncated, or of a type that is not read")
    return data[:size]


def _product(numbers: str) -> int:
    try:
        return math.prod(int(number) for number in numbers.split())
    except ValueError:
        return 0
