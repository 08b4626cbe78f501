"""Laws of NIfTI, NRRD and MetaImage files: agreement with nibabel and SimpleITK, and a sentence for what is wrong."""

import gzip
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medshot.errors import InputError
from medshot.imaging.scan import Scan
from medshot.imaging.volumes import content, read_volume_file

DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
AFFINE = np.array([[-2.0, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1]])
LPS = np.diag([-1.0, -1.0, 1.0])

small = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(*[st.integers(1, 5)] * 3)


def voxels(shape: tuple[int, ...], dtype: str = "int16", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 120, shape).astype(dtype)


def rigid(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A rotation that may mirror, spacings and an origin."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=rng.integers(2**31)).as_matrix() * rng.choice([-1, 1])
    return rotation, rng.uniform(0.3, 5, 3), rng.uniform(-200, 200, 3)


def positions(scan: Scan) -> np.ndarray:
    """Where each voxel lies, by the scan's own affine, in the order of the array."""
    indices = np.indices(scan.array.shape[:3]).reshape(3, -1)
    return (scan.affine[:3, :3] @ indices + scan.affine[:3, 3:]).T


def file_positions(sides: tuple[int, ...], to_world) -> np.ndarray:
    """Where a library puts each voxel of a file with sides (i, j, k), in the order of our array."""
    i, j, k = sides
    return np.array([to_world((c, r, s)) for s in range(k) for r in range(j) for c in range(i)])


def itk_positions(image: SimpleITK.Image) -> np.ndarray:
    return file_positions(image.GetSize(), image.TransformIndexToPhysicalPoint) @ LPS


@small
@given(seed=seeds, shape=shapes, dtype=st.sampled_from(DTYPES), ending=st.sampled_from([".nii", ".nii.gz", ".img"]))
@pytest.mark.parametrize("version", [1, 2])
def test_a_nifti_file_is_read_as_nibabel_reads_it(version, seed, shape, dtype, ending):
    affine = np.eye(4)
    affine[:3] = np.random.default_rng(seed).normal(0, 3, (3, 4)) + 4 * np.eye(3, 4)  # sheared, as good as always
    kinds = {(1, False): "Nifti1Image", (2, False): "Nifti2Image", (1, True): "Nifti1Pair", (2, True): "Nifti2Pair"}
    kind = getattr(nibabel, kinds[version, ending == ".img"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan{ending}"
        image = kind(voxels(shape, dtype, seed), affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, path)
        twin, scan = nibabel.load(path), read_volume_file(path)
        assert scan.array.dtype == dtype
        np.testing.assert_array_equal(scan.array, np.asarray(twin.dataobj).T)
        expected = file_positions(shape, lambda index: nibabel.affines.apply_affine(twin.affine, index))
        np.testing.assert_allclose(positions(scan), expected, atol=1e-4)
        np.testing.assert_allclose(scan.spacing, nibabel.affines.voxel_sizes(twin.affine)[::-1], rtol=1e-6)
        assert scan.kind == ("volume" if shape[2] > 1 else "picture")


@small
@given(seed=seeds, shape=shapes, dtype=st.sampled_from(DTYPES), compress=st.booleans())
@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd", ".nii.gz"])
def test_a_file_of_simpleitk_is_read_as_simpleitk_reads_it(ending, seed, shape, dtype, compress):
    rotation, spacing, origin = rigid(seed)
    if ending == ".nii.gz":  # ITK writes float32 quaternions
        rotation = rotation * np.linalg.det(rotation)
    image = SimpleITK.GetImageFromArray(voxels(shape[::-1], dtype, seed))
    image.SetDirection(rotation.ravel())
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan{ending}"
        SimpleITK.WriteImage(image, path, compress)
        twin, scan = SimpleITK.ReadImage(path), read_volume_file(path)
        assert scan.array.dtype == dtype
        np.testing.assert_array_equal(scan.array, SimpleITK.GetArrayFromImage(twin))
        np.testing.assert_allclose(positions(scan), itk_positions(twin), atol=1e-3)
        np.testing.assert_allclose(scan.spacing, twin.GetSpacing()[::-1], rtol=1e-5)
        assert not [said for said in scan.assumed if "unit" not in said]


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_colour_is_read_as_colour(tmp_path, ending):
    colours = voxels((2, 3, 4, 3), "uint8")
    path = tmp_path / f"colour{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(colours, isVector=True), path)
    np.testing.assert_array_equal(read_volume_file(path).array, colours)


def test_rgb_voxels_of_nifti_are_colour(tmp_path):
    colours = voxels((2, 3, 4, 3), "uint8")
    rgb = colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0].T
    nibabel.save(nibabel.Nifti1Image(rgb, AFFINE), tmp_path / "colour.nii.gz")
    np.testing.assert_array_equal(read_volume_file(tmp_path / "colour.nii.gz").array, colours)


def nifti(path: Path, array: np.ndarray | None = None, affine: np.ndarray | None = AFFINE, **fields: object) -> Path:
    """A NIfTI-1 file whose header says what `fields` say, whatever nibabel thinks of it."""
    image = nibabel.Nifti1Image(voxels((4, 3, 2)) if array is None else array, affine)
    image.header.set_xyzt_units("mm")
    content = bytearray(image.to_bytes())
    header = np.frombuffer(content, nibabel.Nifti1Header.template_dtype, 1)  # a view that writes through
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_slope_and_intercept_are_applied(tmp_path):
    path = nifti(tmp_path / "scaled.nii", scl_slope=2.5, scl_inter=-1000)
    scan = read_volume_file(path)
    np.testing.assert_allclose(scan.array, nibabel.load(path).get_fdata().T)
    assert scan.array.dtype == np.float32


def test_big_endian_files_come_in_the_order_of_the_machine(tmp_path):
    image = nibabel.Nifti1Image(voxels((4, 3, 2)), AFFINE, nibabel.Nifti1Header(endianness=">"))
    nibabel.save(image, tmp_path / "big.nii")
    scan = read_volume_file(tmp_path / "big.nii")
    assert scan.array.dtype.isnative
    np.testing.assert_array_equal(scan.array, voxels((4, 3, 2)).T)


def test_a_single_last_moment_is_no_moment(tmp_path):
    scan = read_volume_file(nifti(tmp_path / "one.nii", voxels((4, 3, 2, 1))))
    assert scan.array.shape == (2, 3, 4)


@pytest.mark.parametrize(("unit", "scale"), [(1, 1000), (2, 1), (3, 0.001)])
def test_units_of_length_become_millimetres(tmp_path, unit, scale):
    scan = read_volume_file(nifti(tmp_path / "unit.nii", xyzt_units=unit))
    np.testing.assert_allclose(scan.spacing, np.array([3, 1.5, 2]) * scale)
    np.testing.assert_allclose(scan.affine[:3, 3], np.array([10, 20, -30]) * scale)
    assert scan.assumed == ()


def test_what_is_assumed_is_said(tmp_path):
    def said(**fields: object) -> str:
        return " ".join(read_volume_file(nifti(tmp_path / "said.nii", **fields)).assumed)

    assert said() == ""
    assert "millimetres were assumed" in said(xyzt_units=0)
    assert "qform and sform are at odds; the sform was taken" in said(qform_code=1, qoffset_x=55)
    assert "qform and sform are at odds; the sform was taken" in said(qform_code=1, quatern_b=3)
    assert "pixdim and sform are at odds" in said(pixdim=[1, 9, 9, 9, 0, 0, 0, 0])
    assert "sheared, 45.0 degrees" in said(srow_x=[-2, 1.5, 0, 10], qform_code=0)
    assert "more bytes than its header promises" in said(dim=[3, 4, 3, 1, 1, 1, 1, 1])


def test_without_qform_and_sform_only_the_spacing_is_known(tmp_path):
    scan = read_volume_file(nifti(tmp_path / "lost.nii", sform_code=0, qform_code=0))
    assert scan.affine is None
    assert scan.spacing == (3, 1.5, 2)
    assert "the place in the patient is unknown" in scan.assumed[0]


def test_the_qform_alone_places_a_file(tmp_path):
    path = nifti(tmp_path / "qform.nii", sform_code=0, qform_code=1)
    np.testing.assert_allclose(read_volume_file(path).affine[:, [2, 1, 0, 3]], AFFINE, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"array": voxels((4, 3, 2, 5))}, r"holds 5 volumes \(4-D\); save the one"),
        ({"array": voxels((4, 3, 2, 1, 3))}, "3 values for each voxel"),
        ({"array": voxels((4, 3, 2), "complex64")}, "complex64 voxels"),
        ({"array": np.array([[[0.0, np.nan, np.inf]]])}, "2 voxels that are NaN or infinite"),
        ({"scl_slope": np.inf}, "scales its voxels by inf"),
        ({"scl_slope": 1.0, "scl_inter": np.nan}, "scales its voxels by 1 and nan"),
        ({"scl_slope": 3e38}, "that are NaN or infinite"),
        ({"srow_x": 0}, "singular affine"),
        ({"srow_x": np.nan}, "not finite"),
        ({"srow_y": [-2, 0, 0, 0]}, "singular affine"),
        ({"pixdim": [1, 2, 0, 3, 0, 0, 0, 0]}, "voxel spacing of 2 × 0 × 3"),
        ({"pixdim": [1, 2, -1, 3, 0, 0, 0, 0]}, "voxel spacing of 2 × -1 × 3"),
        ({"pixdim": [1, np.nan, 1, 3, 0, 0, 0, 0]}, "voxel spacing of nan"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 3}, "quaternion is no rotation"),
        ({"dim": [3, 4, 3, -2, 1, 1, 1, 1]}, "has the dimensions"),
        ({"dim": [9, 4, 3, 2, 1, 1, 1, 1]}, "has the dimensions"),
        ({"dim": [3, 4, 3, 900, 1, 1, 1, 1]}, "is truncated"),
        ({"dim": [3, 32000, 32000, 32000, 1, 1, 1, 1]}, "more than the limit of 1,000,000,000"),
        ({"dim": [3, 30000, 16000, 1, 1, 1, 1, 1], "datatype": 2, "scl_slope": 2}, "more than the limit"),
        ({"vox_offset": 12}, "start at byte 12"),
        ({"vox_offset": np.nan}, "start at byte nan"),
        ({"datatype": 9999}, "unknown voxels"),
        ({"magic": b""}, "ANALYZE"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_nifti_file_that_cannot_be_used_is_refused(tmp_path, ending, fields, sentence):
    path = nifti(tmp_path / f"wrong{ending}", **fields)
    with pytest.raises(InputError, match=sentence) as refused:
        read_volume_file(path)
    assert str(refused.value).startswith(str(path))


def test_a_bomb_is_not_unpacked_beyond_what_its_header_promises(tmp_path):
    path = tmp_path / "bomb.nii.gz"
    plain = nibabel.Nifti1Image(voxels((4, 3, 2)), AFFINE).to_bytes()
    path.write_bytes(gzip.compress(plain + bytes(100_000_000), 1))
    tracemalloc.start()
    scan = read_volume_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert "more bytes" in scan.assumed[-1]


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


def test_the_three_formats_tell_the_same(tmp_path):
    scans = [
        nrrd(tmp_path / "scan.nrrd"),
        meta(tmp_path / "scan.mha"),
        nifti(tmp_path / "scan.nii", voxels((2, 3, 4)).T),
    ]
    one, *others = map(read_volume_file, scans)
    assert one.assumed == ()
    for other in others:
        np.testing.assert_array_equal(one.array, other.array)
        np.testing.assert_allclose(one.affine, other.affine)
        assert one.spacing == other.spacing


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("encoding: raw", "encoding: hex", "encoding 'hex'"),
        ("type: short", "type: block", "type 'block'"),
        ("endian: little\n", "", "'endian: little' or 'endian: big'"),
        ("endian: little", "endian: little\nbyte skip: -1", "skips lines or bytes"),
        ("endian: little", "endian: little\nline skip: 3", "skips lines or bytes"),
        ("endian: little", "endian: little\nendian: big", "'endian' twice"),
        ("endian: little", "nonsense", "no field"),
        ("sizes: 4 3 2", "sizes: 4 3 0", "numbers of 1 or more"),
        ("sizes: 4 3 2", "sizes: 4 3 -2", "numbers of 1 or more"),
        ("sizes: 4 3 2", "sizes: 4 3", "2 sizes and the dimension '3'"),
        ("sizes: 4 3 2", "sizes: 4 3 900", "is truncated"),
        ("sizes: 4 3 2", "sizes: 40000 30000 20000", "more than the limit"),
        ("sizes: 4 3 2\n", "", "has no 'sizes'"),
        ("domain domain domain", "domain domain list", "2 values for each voxel"),
        ("domain domain domain", "domain", "1 kinds for 3 axes"),
        ("(2,0,0)", "(0,0,0)", "voxel spacing of 0 × 1.5 × 3"),
        ("(2,0,0)", "(0,2,0)", "singular affine"),
        ("(2,0,0)", "(nan,0,0)", "which is not finite"),
        ("(2,0,0)", "(2,0)", "not of three numbers"),
        ("(2,0,0)", "(two,0,0)", "where numbers were expected"),
        ("(2,0,0)", "none", "space directions for 3 axes"),
        ('"mm" "mm" "mm"', '"inch" "inch" "inch"', "in inch"),
    ],
)
def test_an_nrrd_file_that_cannot_be_used_is_refused(tmp_path, old, new, sentence):
    path = nrrd(tmp_path / "wrong.nrrd", old, new)
    with pytest.raises(InputError, match=sentence):
        read_volume_file(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("ObjectType = Image", "ObjectType = Tube", "holds a 'Tube' and no image"),
        ("BinaryData = True", "BinaryData = False", "as text"),
        ("NDims = 3", "NDims = 3\nHeaderSize = -1", "behind a second header"),
        ("NDims = 3", "NDims = 3\nNDims = 2", "'NDims' twice"),
        ("NDims = 3", "NDims = 2", "3 sizes in DimSize and NDims = 2"),
        ("NDims = 3", "NDims = 3\nElementNumberOfChannels = 2", "2 values for each voxel"),
        ("NDims = 3", "what is this", "no field"),
        ("DimSize = 4 3 2", "DimSize = 4 3 900", "is truncated"),
        ("DimSize = 4 3 2", "DimSize = 40000 30000 20000", "more than the limit"),
        ("DimSize = 4 3 2", "DimSize = 4 3 2.5", "numbers of 1 or more"),
        ("ElementSpacing = 2 1.5 3", "ElementSpacing = 2 0 3", "voxel spacing of 2 × 0 × 3"),
        ("ElementSpacing = 2 1.5 3", "ElementSpacing = 2 -1 3", "voxel spacing of 2 × -1 × 3"),
        ("ElementSpacing = 2 1.5 3", "ElementSpacing = 2 nan 3", "not finite"),
        ("ElementSpacing = 2 1.5 3", "ElementSpacing = 2 3", "2 numbers in ElementSpacing where 3"),
        ("TransformMatrix = 1 0 0", "TransformMatrix = 0 1 0", "singular affine"),
        ("MET_SHORT", "MET_STRING", "type 'MET_STRING'"),
        ("ElementDataFile = LOCAL", "", "no 'ElementDataFile'"),
        ("CompressedData = False", "CompressedData = True", "damaged compressed data"),
    ],
)
def test_a_metaimage_file_that_cannot_be_used_is_refused(tmp_path, old, new, sentence):
    path = meta(tmp_path / "wrong.mha", old, new)
    with pytest.raises(InputError, match=sentence):
        read_volume_file(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../voxels.raw", "put the data file beside the header"),
        ("/etc/passwd", "put the data file beside the header"),
        ("folder/voxels.raw", "put the data file beside the header"),
        ("..", "put the data file beside the header"),
        ("..\\voxels.raw", "put the data file beside the header"),
        ("http://example.org/voxels.raw", "put the data file beside the header"),
        ("LIST", "several files"),
        ("LIST 2", "several files"),
        ("voxels%03d.raw 1 2 1", "several files"),
        ("link.raw", "a link out of the folder"),
        ("missing.raw", "does not exist"),
        ("folder", "is not a file"),
    ],
)
def test_a_detached_header_names_a_file_beside_it_or_is_refused(tmp_path, name, sentence):
    place = tmp_path / "place"
    (place / "folder").mkdir(parents=True)
    for folder in (tmp_path, place / "folder"):
        (folder / "voxels.raw").write_bytes(DATA)
    (place / "link.raw").symlink_to(tmp_path / "voxels.raw")
    headers = [
        nrrd(place / "scan.nhdr", "endian: little", f"endian: little\ndata file: {name}", b""),
        meta(place / "scan.mhd", "ElementDataFile = LOCAL", f"ElementDataFile = {name}", b""),
    ]
    for header in headers:
        with pytest.raises(InputError, match=sentence):
            read_volume_file(header)


def test_a_pair_whose_voxels_are_elsewhere_is_refused(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    nibabel.save(nibabel.Nifti1Pair(voxels((4, 3, 2)), AFFINE), place / "scan.img")
    (place / "scan.img").rename(tmp_path / "scan.img")
    with pytest.raises(InputError, match=r"a header without its voxels; put scan.img beside it"):
        read_volume_file(place / "scan.hdr")
    with pytest.raises(InputError, match=r"voxels without their header; put scan.hdr beside it"):
        read_volume_file(tmp_path / "scan.img")
    (place / "scan.img").symlink_to(tmp_path / "scan.img")
    with pytest.raises(InputError, match="a link out of the folder"):
        read_volume_file(place / "scan.hdr")


@pytest.mark.parametrize(
    ("write", "old", "new"),
    [
        (nrrd, "encoding: raw", "encoding: gzip"),
        (meta, "CompressedData = False", "CompressedData = True"),
    ],
)
def test_compressed_voxels_that_end_early_are_refused(tmp_path, write, old, new):
    packed = zlib.compress(DATA)
    np.testing.assert_array_equal(read_volume_file(write(tmp_path / "good", old, new, packed)).array, voxels((2, 3, 4)))
    for data in (packed[:-9], zlib.compress(DATA[:-2]), packed[:8] + b"\xff" * 20):
        with pytest.raises(InputError, match=r"truncated|damaged"):
            read_volume_file(write(tmp_path / "bad", old, new, data))


def test_a_place_that_is_not_told_is_not_made_up(tmp_path):
    lost = [
        nrrd(tmp_path / "a.nrrd", "space: left-posterior-superior\n", ""),
        nrrd(tmp_path / "b.nrrd", "space: left-posterior-superior", "space dimension: 3"),
        nrrd(tmp_path / "c.nrrd", "space directions: (2,0,0) (0,1.5,0) (0,0,3)", "spacings: 2 1.5 3"),
        meta(tmp_path / "d.mha", "TransformMatrix = 1 0 0 0 1 0 0 0 1\n", ""),
    ]
    for path in lost:
        scan = read_volume_file(path)
        assert scan.affine is None
        assert scan.spacing == (3, 1.5, 2)
        assert scan.assumed
    unknown = read_volume_file(meta(tmp_path / "e.mha", "ElementSpacing = 2 1.5 3\n", ""))
    assert (unknown.affine, unknown.spacing) == (None, (None, None, None))
    assert unknown.assumed


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"hello", "not a NIfTI, NRRD or MetaImage file"),
        (gzip.compress(b"hello", mtime=0), "not a NIfTI, NRRD or MetaImage file"),
        (gzip.compress(bytes(1000), mtime=0)[:-12], "damaged compressed data|not a NIfTI"),
        ((348).to_bytes(4, "little"), "truncated within its header"),
        (b"NRRD0004\n", "has no end to its header"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path, data, sentence):
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        read_volume_file(path)


def test_what_is_no_file_is_refused(tmp_path):
    for path, sentence in (
        (tmp_path, "is not a file"),
        (tmp_path / "a.nii", "does not exist"),
        (Path("/dev/zero"), "not"),
    ):
        with pytest.raises(InputError, match=sentence):
            read_volume_file(path)


@settings(max_examples=150, deadline=None)
@given(seed=seeds)
def test_any_damaged_header_gives_a_scan_or_a_sentence(seed):
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "VOLUME_LIMIT", 1_000_000)
        write, name = [(nrrd, "a.nrrd"), (meta, "a.mha"), (nifti, "a.nii")][rng.integers(3)]
        path = write(Path(folder) / name)
        damaged = bytearray(path.read_bytes())
        for place in rng.integers(0, len(damaged) - len(DATA), rng.integers(1, 8)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(1, len(damaged) * 2)])
        try:
            scan = read_volume_file(path)
        except InputError as error:
            sentence = str(error)
        else:
            sentence = "" if np.isfinite(scan.array).all() else "a voxel is not finite\n"
        assert "\n" not in sentence
