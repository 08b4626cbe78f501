"""Read voxels of volume files: never more bytes than the limit, and never from outside the header's folder."""

import gzip
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Float, Shaped

from medshot.errors import InputError
from medshot.imaging.scan import Scan

VOLUME_LIMIT = 1_000_000_000  # bytes of voxels, as stored and as returned
MOST_DEFLATED = 1032  # zlib cannot inflate a byte to more than this
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"

Compression = Literal["none", "gzip", "zlib"]


def file_size(path: Path) -> int:
    """Return the size of a plain file in bytes; InputError if it is missing, a folder, a device or empty."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} could not be read ({reason}); check that it is a file you may read.") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is not a file; give the path of a file.")
    if status.st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); replace the file or remove it from the data.")
    return status.st_size


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed by gzip as a whole."""
    return take(path, 0, len(GZIP), "none") == GZIP


def take(path: Path, offset: int, count: int, compression: Compression) -> bytearray:
    """Return at most `count` bytes from `offset` on; fewer if the file ends earlier.

    Args:
        path: a plain file.
        offset: the number of bytes to skip, counted in the inflated data if the whole file is gzip.
        count: the number of bytes to return; the rest of the file is neither read nor inflated.
        compression: "gzip" for a whole file, "zlib" for a stream (with a header of zlib or gzip) that starts at
            `offset`.

    Raises:
        InputError: the file cannot be read, or its compressed data is damaged.
    """
    file_size(path)
    try:
        with path.open("rb") as file:
            if compression == "gzip":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    _gather(unpacked.read, offset, keep=False)
                    return _gather(unpacked.read, count)
            file.seek(offset)
            return _gather(_Inflating(file).read if compression == "zlib" else file.read, count)
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{path} has damaged compressed data ({error}); replace the file.") from error
    except OSError as error:
        raise InputError(
            f"{path} could not be read ({error.strerror or error}); check that you may read it."
        ) from error


def _gather(read: Callable[[int], bytes], count: int, keep: bool = True) -> bytearray:
    """Read piece by piece, so that memory grows with the file and not with what its header promises."""
    gathered = bytearray()
    while count > 0 and (piece := read(min(CHUNK, count))):
        count -= len(piece)
        if keep:
            gathered += piece
    return gathered


class _Inflating:
    """The inflated bytes of a zlib stream within a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj(wbits=47)  # 47: a zlib or a gzip header
        self._waiting = b""

    def read(self, count: int) -> bytes:
        while not self._inflate.eof:
            self._waiting = self._waiting or self._file.read(CHUNK)
            if not self._waiting:
                raise EOFError("the stream ends too early")
            piece = self._inflate.decompress(self._waiting, count)
            self._waiting = self._inflate.unconsumed_tail
            if piece:
                return piece
        return b""


def voxel_bytes(path: Path, offset: int, count: int, compression: Compression) -> tuple[bytearray, list[str]]:
    """Return the `count` bytes that a header promises from `offset` on, and remarks about them.

    Raises:
        InputError: the bytes are more than `VOLUME_LIMIT`, or the file holds fewer.
    """
    refuse_large(path, count)
    size = file_size(path)
    most = size if compression == "none" else size * MOST_DEFLATED
    content = take(path, offset, count + 1, compression) if offset + count <= most else bytearray()
    if len(content) < count:
        held = max(0, size - offset) if compression == "none" else len(content)
        found = f"only {held:,}" if content or compression == "none" else "too few"
        raise InputError(
            f"{path} is truncated: its header promises {count:,} bytes of voxels and there are {found}; "
            "replace the file."
        )
    odd = ["The file holds more bytes than its header promises; the rest was left out."] * (len(content) > count)
    del content[count:]
    return content, odd


def refuse_large(path: Path, count: int) -> None:
    """Raise InputError if voxels would take more than `VOLUME_LIMIT` bytes."""
    if count > VOLUME_LIMIT:
        raise InputError(
            f"{path} promises {count:,} bytes of voxels, more than the limit of {VOLUME_LIMIT:,}; "
            "crop it or make its voxels larger."
        )


def beside(header: Path, name: str) -> Path:
    """Return the data file that a detached header names, in the same folder.

    Raises:
        InputError: the name is a path, a web address or a link to elsewhere, or a pattern of several files.
    """
    words = name.split()
    if not words or words[0].upper() in ("LIST", "SKIPLIST") or "%" in name:
        raise InputError(f"{header} spreads its voxels over several files ({name!r}); save it as one file.")
    parts = Path(name).parts
    if len(parts) != 1 or parts[0] == ".." or any(mark in name for mark in ("\\", ":", "\0")):
        raise InputError(f"{header} asks for the file {name!r}; put the data file beside the header and name it there.")
    path = header.parent / parts[0]
    return companion(header, path)


def companion(header: Path, path: Path) -> Path:
    """Return the path; InputError if it is a link out of the header's folder."""
    if path.resolve().parent != header.parent.resolve():
        raise InputError(
            f"{header} has its voxels in {path.name}, a link out of the folder; put the file itself there."
        )
    return path


Affine = Float[np.ndarray, "4 4"]
Spacing = tuple[float | None, float | None, float | None]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LEAST_VOLUME = 1e-6  # of the box that three axes of length 1 span
RIGHT_ANGLE = 1e-3  # cosine up to which rounding explains the difference


@dataclass(frozen=True)
class VolumeGeometry:
    """The affine and spacing of a volume as in `Scan`, and what was assumed for them."""

    affine: Affine | None
    spacing: Spacing
    assumed: tuple[str, ...] = ()


def geometry_from_affine(path: Path, affine: Affine, assumed: tuple[str, ...] = ()) -> VolumeGeometry:
    """Return the geometry of a file that has an affine.

    Args:
        path: the file, named in errors.
        affine: from the file's index `(i, j, k, 1)`, i fastest, to RAS millimetres.
        assumed: earlier assumptions.

    Raises:
        InputError: the affine is not finite, or its axes do not span a volume.
    """
    if not np.isfinite(affine).all():
        raise InputError(f"{path} has an affine with numbers that are not finite; mend its header.")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        axes = affine[:3, :3] / np.where(lengths > 0, lengths, 1)
        volume = abs(np.linalg.det(axes)) if np.isfinite(lengths).all() else 0.0
    if lengths.min() <= 0 or not volume > LEAST_VOLUME:
        raise InputError(f"{path} has a singular affine; mend its header.")
    cosine = np.abs(axes.T @ axes - np.eye(3)).max()
    if cosine > RIGHT_ANGLE:
        degrees = np.rad2deg(np.arcsin(min(1.0, cosine)))
        assumed = (*assumed, f"The axes are sheared, {degrees:.1f} degrees off the right angle; they were kept.")
    return VolumeGeometry(affine[:, [2, 1, 0, 3]], _three(lengths), assumed)


def geometry_from_spacing(path: Path, spacing: list[float] | None, assumed: tuple[str, ...]) -> VolumeGeometry:
    """Return the geometry of a file that has only a spacing along (i, j) or (i, j, k), or none.

    Raises:
        InputError: a spacing is zero, negative or not finite.
    """
    if spacing is None:
        return VolumeGeometry(None, (None, None, None), assumed)
    refuse_spacing(path, spacing)
    return VolumeGeometry(None, _three(spacing), assumed)


def refuse_spacing(path: Path, spacing: list[float]) -> None:
    """Raise InputError if a spacing is zero, negative or not finite."""
    if not all(0 < step < np.inf for step in spacing):
        steps = " × ".join(f"{step:g}" for step in spacing)
        raise InputError(f"{path} has a voxel spacing of {steps}; mend its header.")


def _three(along: Float[np.ndarray, " axes"] | list[float]) -> Spacing:
    """Return the spacing along (i, j, k) or (i, j) in the order (slice, row, column)."""
    slices, rows, columns = [None] * (3 - len(along)) + [float(step) for step in reversed(along)]
    return slices, rows, columns


def raw_voxels(
    path: Path, offset: int, compression: Compression, dtype: np.dtype, shape: tuple[int, ...]
) -> tuple[Shaped[np.ndarray, "..."], list[str]]:
    """Return the numbers stored in a file from `offset` on, in the machine's byte order, and remarks about them.

    Args:
        path: the file that holds the voxels.
        offset: as for `take`.
        compression: as for `take`.
        dtype: the type of a number, with the file's byte order.
        shape: the shape, slowest axis first.
    """
    count = dtype.itemsize * int(np.prod(shape, dtype=object))
    content, odd = voxel_bytes(path, offset, count, compression)
    voxels = np.frombuffer(content, dtype).reshape(shape)
    return voxels.astype(dtype.newbyteorder("="), copy=False), odd


def scan_of(
    path: Path, array: Shaped[np.ndarray, "slices rows columns *colours"], place: VolumeGeometry, odd: list[str]
) -> Scan:
    """Return the scan of a volume file.

    Raises:
        InputError: some voxels are NaN or infinite.
    """
    if array.dtype.kind == "f" and (wrong := array.size - int(np.isfinite(array).sum())):
        raise InputError(f"{path} has {wrong:,} voxels that are NaN or infinite; replace them by numbers.")
    return Scan(
        array=array,
        kind="volume" if len(array) > 1 else "picture",
        affine=place.affine,
        spacing=place.spacing,
        assumed=(*place.assumed, *odd),
    )
