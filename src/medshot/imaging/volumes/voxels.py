"""From the bytes of a volume file to the scan that they make."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from medshot.errors import InputError
from medshot.imaging.scan import Scan
from medshot.imaging.volumes.content import Compression, voxel_bytes
from medshot.imaging.volumes.place import Place


def raw_voxels(
    path: Path, offset: int, compression: Compression, dtype: np.dtype, shape: tuple[int, ...]
) -> tuple[Shaped[np.ndarray, "..."], list[str]]:
    """The numbers stored in a file from `offset` on in the machine's byte order, and what is odd about them.

    Args:
        path: where the voxels are.
        offset: as `take` has it.
        compression: as `take` has it.
        dtype: of one number, with the file's byte order.
        shape: the slowest axis first.
    """
    count = dtype.itemsize * int(np.prod(shape, dtype=object))
    content, odd = voxel_bytes(path, offset, count, compression)
    voxels = np.frombuffer(content, dtype).reshape(shape)
    return voxels.astype(dtype.newbyteorder("="), copy=False), odd


def scan_of(
    path: Path, array: Shaped[np.ndarray, "slices rows columns *colours"], place: Place, odd: list[str]
) -> Scan:
    """The scan of a volume file.

    Raises:
        InputError: voxels are NaN or infinite.
    """
    if array.dtype.kind == "f" and (wrong := array.size - int(np.isfinite(array).sum())):
        raise InputError(
            f"{path} has {wrong:,} voxels that are NaN or infinite; write the numbers that they stand for."
        )
    return Scan(
        array=array,
        kind="volume" if len(array) > 1 else "picture",
        affine=place.affine,
        spacing=place.spacing,
        assumed=(*place.assumed, *odd),
    )
