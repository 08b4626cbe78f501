"""Read NIfTI-1 and NIfTI-2: one file, or a header with a second file of voxels; plain or gzip.

nibabel parses the header. It gets bytes and never a path, so this module limits how many are read.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError

from medshot.errors import InputError
from medshot.imaging.scan import Scan
from medshot.imaging.volumes.volume import (
    Affine,
    VolumeGeometry,
    companion,
    geometry_from_affine,
    geometry_from_spacing,
    is_gzip,
    refuse_large,
    refuse_spacing,
    scan_of,
    take,
    voxel_bytes,
)

Header = Nifti1Header | Nifti1PairHeader

SIZES = {size.to_bytes(4, order): size for size in (348, 540) for order in ("little", "big")}
MAGIC = {b"n+1": Nifti1Header, b"ni1": Nifti1PairHeader, b"n+2": Nifti2Header, b"ni2": Nifti2PairHeader}
NUMBERS = (2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280)  # datatype codes: whole and real numbers of 8 to 64 bits
RGB = 128
MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}  # per unit, by the code of the unit
FURTHEST = 1 << 28  # byte at which voxels may start
AT_ODDS = 0.1  # voxels by which qform and sform may differ at a corner


def is_nifti(start: bytes) -> bool:
    """Whether the start of a file is a header of NIfTI, or of ANALYZE, its predecessor."""
    return start[:4] in SIZES


def read_nifti(path: Path) -> Scan:
    """Read a NIfTI file; for a pair, the path is that of the header.

    Raises:
        InputError: the header contradicts itself or the voxels, or promises what cannot be read.
    """
    header = _header(path)
    shape = _shape(path, header)
    code = int(header["datatype"])
    if code not in (*NUMBERS, RGB):
        kind = header._data_type_codes.label.get(code, "unknown") if code in header._data_type_codes else "unknown"
        raise InputError(f"{path} holds {kind} voxels (datatype {code}); save it with whole or real numbers, or RGB.")
    place = _geometry(path, header, shape)
    array, odd = _voxels(path, header, shape, colour=code == RGB)
    return scan_of(path, array, place, odd)


def _header(path: Path) -> Header:
    start = bytes(take(path, 0, 540, "gzip" if is_gzip(path) else "none"))
    size = SIZES.get(start[:4], 348)
    if len(start) < size:
        raise InputError(f"{path} is truncated within its header of {size} bytes; replace the file.")
    magic = start[344:348] if size == 348 else start[4:12]
    kind = MAGIC.get(magic[:3])
    if kind is None or magic[3:4] != b"\0":
        raise InputError(
            f"{path} is not a NIfTI file (ANALYZE files do not distinguish left from right); convert it to NIfTI."
        )
    return kind.from_fileobj(BytesIO(start[:size]), check=False)


def _shape(path: Path, header: Header) -> tuple[int, int, int]:
    """Return the number of voxels along (i, j, k)."""
    count, *sides = (int(side) for side in header["dim"])
    if not 1 <= count <= 7 or min(sides[:count]) < 1:
        raise InputError(f"{path} has the dimensions {[count, *sides]} in its header; mend or replace the file.")
    columns, rows, slices, moments, *further = sides[:count] + [1] * (7 - count)
    if max(further) > 1:
        raise InputError(f"{path} has {max(further)} values for each voxel; save the one to use as a file of its own.")
    if moments > 1:
        raise InputError(f"{path} holds {moments} volumes (4-D); save the one to use as a file of its own.")
    return columns, rows, slices


def _geometry(path: Path, header: Header, shape: tuple[int, int, int]) -> VolumeGeometry:
    unit = int(header["xyzt_units"]) & 7
    scale = MILLIMETRES.get(unit, 1.0)
    assumed: tuple[str, ...] = ()
    if unit not in MILLIMETRES:
        assumed += ("The file does not give the unit of length; millimetres were assumed.",)
    pixdim = [float(step) * scale for step in header["pixdim"][1 : 1 + min(3, int(header["dim"][0]))]]
    refuse_spacing(path, pixdim)
    by_sform, by_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if not by_sform and not by_qform:
        assumed += ("Neither qform nor sform is set: the position in the patient is unknown, the spacing is pixdim.",)
        return geometry_from_spacing(path, pixdim, assumed)
    qform = _qform(header) if by_qform else None
    if by_sform:
        affine = np.asarray(header.get_sform(), float)
        if by_qform and (qform is None or not _agree(qform, affine, shape)):
            assumed += ("qform and sform are at odds; the sform was taken.",)
        elif not by_qform and not np.allclose(np.linalg.norm(affine[:3, : len(pixdim)], axis=0) * scale, pixdim, 0.01):
            assumed += ("pixdim and sform are at odds; the sform was taken.",)
    elif qform is None:
        raise InputError(f"{path} has a qform whose quaternion is not a rotation; mend its header.")
    else:
        affine = qform
    return geometry_from_affine(path, np.diag([scale, scale, scale, 1]) @ affine, assumed)


def _qform(header: Header) -> Affine | None:
    """Return the affine of the qform; None if its numbers are invalid."""
    try:
        affine = np.asarray(header.get_qform(), float)
    except (HeaderDataError, ValueError):
        return None
    return affine if np.isfinite(affine).all() else None


def _agree(one: Affine, other: Affine, shape: tuple[int, int, int]) -> bool:
    """Whether two affines place each corner of the volume within a tenth of a voxel of each other."""
    corners = np.stack(np.meshgrid(*[(0, side - 1) for side in shape], [1]), axis=-1).reshape(-1, 4)
    apart = np.linalg.norm(corners @ (one - other).T, axis=1).max()
    return bool(apart <= AT_ODDS * np.linalg.norm(one[:3, :3], axis=0).min())


def _voxels(
    path: Path, header: Header, shape: tuple[int, int, int], colour: bool
) -> tuple[Shaped[np.ndarray, "slices rows columns *colours"], list[str]]:
    dtype = header.get_data_dtype()
    where, offset = _data_file(path, header)
    count = dtype.itemsize * shape[0] * shape[1] * shape[2]
    slope, inter = (None, None) if colour else _scaling(path, header)
    values = np.dtype(np.float32 if dtype.itemsize <= 2 or dtype == np.float32 else np.float64)
    if slope is not None:
        refuse_large(path, count // dtype.itemsize * values.itemsize)
    content, odd = voxel_bytes(where, offset, count, "gzip" if is_gzip(where) else "none")
    proxy = ArrayProxy(BytesIO(content), (shape, dtype, 0, slope or 1, inter or 0))
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused later
        array = proxy.get_unscaled() if slope is None else np.asarray(proxy, values)
    array = np.asarray(array).T
    if colour:
        return np.stack([array[name] for name in "RGB"], axis=-1), odd
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)), odd


def _data_file(path: Path, header: Header) -> tuple[Path, int]:
    """Return the file that holds the voxels, and their position in it."""
    offset = float(header["vox_offset"])
    least = header.single_vox_offset if header.is_single else 0
    if not least <= offset < FURTHEST or offset != int(offset):
        raise InputError(f"{path} claims that its voxels start at byte {offset:g}; mend or replace the file.")
    return (path if header.is_single else _image_of_pair(path)), int(offset)


def nifti_data(path: Path, start: bytes) -> Path:
    """Return the file that holds the voxels of NIfTI or ANALYZE, the header itself if they follow it.

    Args:
        path: the header.
        start: its first 348 bytes or more.

    Raises:
        InputError: the voxels of a pair are missing, or a link to elsewhere.
    """
    magic = start[344:348] if SIZES.get(start[:4]) == 348 else start[4:8]
    return path if magic[:3] in (b"n+1", b"n+2") else _image_of_pair(path)


def _image_of_pair(path: Path) -> Path:
    stem = path.name.removesuffix(".gz").removesuffix(".hdr")
    candidates = [path.with_name(stem + ending) for ending in (".img", ".img.gz")]
    for candidate in candidates:
        if candidate.is_file():
            return companion(path, candidate)
    raise InputError(f"{path} is a header without its voxels; put {candidates[0].name} beside it.")


def _scaling(path: Path, header: Header) -> tuple[float | None, float | None]:
    """Return slope and intercept from stored numbers to values; None if the numbers are the values."""
    try:
        slope, inter = header.get_slope_inter()  # none for a slope of 0, as in the standard, and for NaN
        infinite = np.isinf(header["scl_slope"])
    except HeaderDataError:
        infinite = True
    if infinite:
        stored = f"{header['scl_slope']:g} and {header['scl_inter']:g}"
        raise InputError(f"{path} scales its voxels by {stored}, which is not finite; mend its header.")
    return (None, None) if (slope, inter) in ((None, None), (1, 0)) else (slope, inter)
