"""Volume files are read as by nibabel and SimpleITK, and other files are refused."""

import gzip
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_files import (
    AFFINE,
    DATA,
    DTYPES,
    file_positions,
    itk_positions,
    meta,
    nifti,
    nrrd,
    positions,
    rigid,
    seeds,
    shapes,
    small,
    voxels,
)

from medshot.errors import InputError
from medshot.imaging.volumes import read_volume_file
from medshot.imaging.volumes import volume as content


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
        assert not [remark for remark in scan.assumed if "unit" not in remark]


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


def test_the_three_formats_give_the_same_scan(tmp_path):
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
def test_files_that_are_not_volumes_are_refused(tmp_path, data, sentence):
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        read_volume_file(path)


def test_paths_that_are_not_files_are_refused(tmp_path):
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
