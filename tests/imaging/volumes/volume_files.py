"""Volume files for tests, valid unless a test changes them, and the positions of their voxels."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from hypothesis import settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medshot.imaging.scan import Scan

DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"]


AFFINE = np.array([[-2.0, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1]])


LPS = np.diag([-1.0, -1.0, 1.0])


small = settings(max_examples=25, deadline=None)


seeds = st.integers(0, 2**32 - 1)


shapes = st.tuples(*[st.integers(1, 5)] * 3)


def voxels(shape: tuple[int, ...], dtype: str = "int16", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 120, shape).astype(dtype)


def rigid(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an affine of a rotation that may mirror, spacings and an origin."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=rng.integers(2**31)).as_matrix() * rng.choice([-1, 1])
    return rotation, rng.uniform(0.3, 5, 3), rng.uniform(-200, 200, 3)


def positions(scan: Scan) -> np.ndarray:
    """Return the position of each voxel by the scan's affine, in the order of the array."""
    indices = np.indices(scan.array.shape[:3]).reshape(3, -1)
    return (scan.affine[:3, :3] @ indices + scan.affine[:3, 3:]).T


def file_positions(sides: tuple[int, ...], to_world) -> np.ndarray:
    """Return the position of each voxel of a file with sides (i, j, k) by a library, in the order of our array."""
    i, j, k = sides
    return np.array([to_world((c, r, s)) for s in range(k) for r in range(j) for c in range(i)])


def itk_positions(image: SimpleITK.Image) -> np.ndarray:
    return file_positions(image.GetSize(), image.TransformIndexToPhysicalPoint) @ LPS


def nifti(path: Path, array: np.ndarray | None = None, affine: np.ndarray | None = AFFINE, **fields: object) -> Path:
    """Write a NIfTI-1 file with these header fields, even if nibabel would not write them."""
    image = nibabel.Nifti1Image(voxels((4, 3, 2)) if array is None else array, affine)
    image.header.set_xyzt_units("mm")
    content = bytearray(image.to_bytes())
    header = np.frombuffer(content, nibabel.Nifti1Header.template_dtype, 1)  # a view that writes through
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 4 3 2
space directions: (2,0,0) (0,1.5,0) (0,0,3)
kinds: domain domain domain
endian: little
encoding: raw
space origin: (-10,-20,-30)
space units: "mm" "mm" "mm"
"""


META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = -10 -20 -30
ElementSpacing = 2 1.5 3
DimSize = 4 3 2
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


DATA = voxels((2, 3, 4)).tobytes()


def nrrd(path: Path, old: str = "", new: str = "", data: bytes = DATA) -> Path:
    assert old in NRRD
    path.write_bytes(NRRD.replace(old, new, 1).encode() + b"\n" + data)
    return path


def meta(path: Path, old: str = "", new: str = "", data: bytes = DATA) -> Path:
    assert old in META
    path.write_bytes(META.replace(old, new, 1).encode() + data)
    return path
