"""Laws of geometry: no operation on a scan moves a voxel in the patient."""

from dataclasses import replace
from itertools import permutations, product

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medshot.errors import InputError
from medshot.imaging.geometry import crop, orientation, pad, reorient, to_index, to_world
from medshot.imaging.resampling import fit_volume, resample
from medshot.imaging.scan import Scan

ORIENTATIONS = ["".join(letters) for axes in permutations(("RL", "AP", "SI")) for letters in product(*axes)]
DIRECTION = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
LPS = np.diag([-1.0, -1.0, 1.0])

small = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sides = st.tuples(*[st.integers(2, 6)] * 3)


def scan_of(seed: int, shape: tuple[int, ...] = (4, 5, 6), kind: str = "volume", **fields: object) -> Scan:
    """Make a scan with voxels that all differ, at any position and orientation, with overlays."""
    rng = np.random.default_rng(seed)
    spacing = rng.uniform(0.5, 4, 3)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=rng.integers(2**31)).as_matrix() * rng.choice([-1, 1]) * spacing
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    array = rng.permutation(int(np.prod(shape))).astype(np.int16).reshape(shape)
    known = {"affine": affine, "spacing": tuple(spacing.tolist()), "overlays": array > array.mean()}
    return Scan(array=array, kind=kind, **(known | fields))


def places(scan: Scan) -> dict[int, np.ndarray]:
    """Return the position of each value in the patient."""
    indices = np.moveaxis(np.indices(scan.array.shape[:3]), 0, -1)
    return dict(zip(scan.array.ravel().tolist(), to_world(scan, indices).reshape(-1, 3), strict=True))


def assert_nothing_moved(old: Scan, new: Scan, values: np.ndarray) -> None:
    before, after = places(old), places(new)
    assert values.size
    for value in values.ravel().tolist():
        np.testing.assert_allclose(before[value], after[value], atol=1e-9)


def assert_same(one: Scan, other: Scan) -> None:
    np.testing.assert_array_equal(one.array, other.array)
    np.testing.assert_array_equal(one.overlays, other.overlays)
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-9)
    np.testing.assert_allclose(one.spacing, other.spacing)


@small
@given(seed=seeds)
def test_to_index_undoes_to_world(seed):
    scan, indices = scan_of(seed), np.random.default_rng(seed).uniform(-9, 9, (2, 7, 3))
    np.testing.assert_allclose(to_index(scan, to_world(scan, indices)), indices, atol=1e-9)
    np.testing.assert_allclose(to_world(scan, np.zeros(3)), scan.affine[:3, 3])


def test_there_are_48_orientations_and_each_names_its_directions():
    assert len(set(ORIENTATIONS)) == 48
    for letters in ORIENTATIONS:
        affine = np.eye(4)
        affine[:3, :3] = np.array([DIRECTION[letter] for letter in letters]).T
        assert orientation(scan_of(0, affine=affine)) == letters


@pytest.mark.parametrize("target", ORIENTATIONS)
@settings(max_examples=3, deadline=None)
@given(seed=seeds, shape=sides)
def test_reorienting_moves_no_voxel_and_back_is_the_scan(target, seed, shape):
    scan = scan_of(seed, shape)
    turned = reorient(scan, target)
    assert orientation(turned) == target
    assert_nothing_moved(scan, turned, scan.array)
    np.testing.assert_allclose(np.linalg.norm(turned.affine[:3, :3], axis=0), turned.spacing)
    np.testing.assert_array_equal(turned.overlays, turned.array > scan.array.mean())
    assert_same(reorient(turned, orientation(scan)), scan)


@small
@given(seed=seeds, shape=sides)
def test_ras_is_the_closest_canonical_of_nibabel(seed, shape):
    scan = scan_of(seed, shape)
    twin = nibabel.as_closest_canonical(nibabel.Nifti1Image(scan.array, scan.affine))
    ours = reorient(scan, "RAS")
    np.testing.assert_array_equal(ours.array, np.asarray(twin.dataobj))
    np.testing.assert_allclose(ours.affine, twin.affine, atol=1e-9)


@small
@given(seed=seeds, shape=sides, data=st.data())
def test_cropping_moves_no_voxel(seed, shape, data):
    scan = scan_of(seed, shape)
    starts = tuple(data.draw(st.integers(0, side - 1)) for side in shape)
    stops = tuple(data.draw(st.integers(start + 1, side)) for start, side in zip(starts, shape, strict=True))
    cut = crop(scan, starts, stops)
    assert cut.array.shape == tuple(np.subtract(stops, starts))
    assert_nothing_moved(scan, cut, cut.array)


@small
@given(seed=seeds, margins=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_padding_moves_no_voxel_and_cropping_undoes_it(seed, margins):
    scan = scan_of(seed)
    before, after = tuple(margins[:3]), tuple(margins[3:])
    padded = pad(scan, before, after, -7.0)
    assert (padded.array == -7).sum() == padded.array.size - scan.array.size
    assert padded.overlays.sum() == scan.overlays.sum()
    assert_nothing_moved(scan, padded, scan.array)
    assert_same(crop(padded, before, tuple(np.add(before, scan.array.shape).tolist())), scan)


@small
@given(seed=seeds, method=st.sampled_from(["nearest", "linear", "cubic"]))
def test_resampling_to_the_same_grid_changes_nothing(seed, method):
    scan = scan_of(seed)
    for same in (
        resample(scan, like=scan, interpolation=method),
        resample(scan, spacing=scan.spacing, interpolation=method),
    ):
        np.testing.assert_allclose(same.array, scan.array, atol=1e-3 if method == "cubic" else 0)
        np.testing.assert_array_equal(same.overlays, scan.overlays)
        np.testing.assert_allclose(same.affine, scan.affine, atol=1e-9)


def ramp(scan: Scan, slope: np.ndarray) -> Scan:
    """Return the scan with values that grow evenly through the patient."""
    indices = np.moveaxis(np.indices(scan.array.shape), 0, -1)
    return replace(scan, array=to_world(scan, indices) @ slope)


@small
@given(seed=seeds, method=st.sampled_from(["linear", "cubic"]), finer=st.floats(0.3, 1), other=st.booleans())
def test_a_ramp_stays_the_same_ramp(seed, method, finer, other):
    rng = np.random.default_rng(seed)
    slope = rng.normal(0, 1, 3)
    scan = ramp(scan_of(seed, (12, 13, 14)), slope)
    if other:
        like = scan_of(seed + 1, (3, 3, 3), affine=scan_of(seed + 1).affine.copy())
        like.affine[:3, :3] *= 0.2
        like.affine[:3, 3] += to_world(scan, np.array([6, 6, 6])) - to_world(like, np.array([1, 1, 1]))
        new = resample(scan, like=like, interpolation=method)
    else:
        new = resample(scan, spacing=tuple(finer * step for step in scan.spacing), interpolation=method)
    indices = np.moveaxis(np.indices(new.array.shape), 0, -1)
    expected = to_world(new, indices) @ slope
    inside = to_index(scan, to_world(new, indices))
    margin = 3.5 if method == "cubic" else 0  # splines bend at the border
    well_inside = ((inside >= margin) & (inside <= np.array(scan.array.shape) - 1 - margin)).all(axis=-1)
    assert well_inside.any()
    tolerance = 0.02 * np.ptp(scan.array) if method == "cubic" else 1e-6
    np.testing.assert_allclose(new.array[well_inside], expected[well_inside], atol=tolerance)


@small
@given(seed=seeds, method=st.sampled_from(["nearest", "linear"]))
def test_resampling_is_that_of_simpleitk(seed, method):
    scan, like = scan_of(seed), scan_of(seed + 1)
    widest = np.linalg.norm(np.linalg.solve(scan.affine, like.affine)[:3, :3], axis=1).max()
    like.affine[:3, :3] *= 0.7 / widest  # where voxels widen we blur first, and SimpleITK does not
    like.affine[:3, 3] += to_world(scan, np.array([2, 2, 2])) - to_world(like, np.array([2, 2, 2]))
    ours = resample(scan, like=like, interpolation=method).array
    kind = {"nearest": SimpleITK.sitkNearestNeighbor, "linear": SimpleITK.sitkLinear}[method]
    old = SimpleITK.Cast(itk_image(scan), SimpleITK.sitkFloat32)
    twin = SimpleITK.Resample(old, itk_image(like), SimpleITK.Transform(), kind, float(scan.array.min()))
    agree = np.isclose(ours, SimpleITK.GetArrayFromImage(twin), atol=0.05)
    assert agree.mean() > 0.98  # half way between voxels, rounding may turn either way


def itk_image(scan: Scan) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(scan.array)
    affine = scan.affine[:, [2, 1, 0, 3]]
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(steps.tolist())
    image.SetDirection((LPS @ affine[:3, :3] / steps).ravel().tolist())
    image.SetOrigin((LPS @ affine[:3, 3]).tolist())
    return image


def test_only_axes_that_get_coarser_are_blurred():
    stripes = np.indices((8, 64, 64)).sum(axis=0) % 2 * 100.0  # detail that voxels four times as wide cannot show
    scan = replace(scan_of(0), array=stripes, overlays=None, spacing=(4.0, 1.0, 1.0))
    coarser = resample(scan, spacing=(4.0, 4.0, 4.0)).array
    assert (
        coarser[:, 2:-2, 2:-2].std()
        < 1
        < 40
        < resample(scan, spacing=(4.0, 4.0, 4.0), interpolation="nearest").array.std()
    )
    slices = np.repeat(np.arange(8) % 2 * 100.0, 64 * 64).reshape(8, 64, 64)
    kept = resample(replace(scan, array=slices), spacing=(4.0, 4.0, 4.0)).array
    np.testing.assert_allclose(kept, slices[:, :16, :16], atol=1e-6)


@small
@given(seed=seeds, factor=st.floats(0.4, 3))
def test_another_spacing_keeps_the_field_of_view(seed, factor):
    scan = scan_of(seed, (7, 9, 11))
    spacing = tuple(factor * step for step in scan.spacing)
    new = resample(scan, spacing=spacing)
    centres = [to_world(one, (np.array(one.array.shape) - 1) / 2) for one in (scan, new)]
    np.testing.assert_allclose(*centres, atol=1e-9)
    np.testing.assert_allclose(np.array(new.array.shape) * factor, scan.array.shape, atol=factor / 2 + 1e-9)
    assert new.spacing == spacing
    assert new.array.min() >= scan.array.min()
    assert new.array.max() <= scan.array.max()


def test_kinds_of_number():
    scan = scan_of(0)
    half = tuple(step / 2 for step in scan.spacing)
    for kind, linear in (("uint8", "float32"), ("int16", "float32"), ("int32", "float64"), ("float64", "float64")):
        typed = replace(scan, array=scan.array.astype(kind))
        assert resample(typed, spacing=half).array.dtype == linear
        assert resample(typed, spacing=half, interpolation="nearest").array.dtype == kind
    assert resample(replace(scan, array=scan.array > 9), spacing=half).array.dtype == bool
    colours = replace(scan, array=np.stack([scan.array] * 3, axis=-1).astype(np.uint8))
    assert resample(colours, spacing=half).array.shape == (8, 10, 12, 3)
    assert reorient(colours, "RAS").array.shape[3] == 3


@small
@given(seed=seeds, target=st.sampled_from(ORIENTATIONS), size=st.integers(8, 20))
def test_a_cube_keeps_proportions_and_does_not_depend_on_how_axes_ran(seed, target, size):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]]
    affine[:3] += np.random.default_rng(seed).normal(0, 0.01, (3, 4))
    scan = scan_of(seed, (4, 5, 6), affine=affine, spacing=(2.0, 2.0, 2.0))
    scan = replace(scan, array=scan.array.astype(np.uint8) + np.uint8(100))
    cube = fit_volume(scan, size)
    assert cube.shape == (size, size, size)
    assert cube.dtype == np.uint8
    np.testing.assert_array_equal(fit_volume(reorient(scan, target), size), cube)
    filled = np.argwhere(cube)
    extent = filled.max(axis=0) - filled.min(axis=0) + 1
    np.testing.assert_array_equal(extent, np.maximum(1, np.rint(np.array([4, 5, 6]) * size / 6)))
    np.testing.assert_allclose((filled.max(axis=0) + filled.min(axis=0)) / 2, (size - 1) / 2, atol=0.5)


def test_thick_slices_become_cubes_and_unknown_spacing_counts_as_cubes():
    thick = scan_of(0, (4, 8, 8), affine=None, spacing=(2.0, 1.0, 1.0), overlays=None)
    thick = replace(thick, array=np.full((4, 8, 8), 200, np.uint8))
    assert (fit_volume(thick, 16) == 200).all()
    unknown = fit_volume(replace(thick, spacing=(None, 1.0, 1.0)), 16)
    assert (unknown > 0).sum() == 8 * 16 * 16


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (lambda scan, lost: to_world(lost, np.zeros(3)), "no affine"),
        (lambda scan, lost: to_index(lost, np.zeros(3)), "no affine"),
        (lambda scan, lost: orientation(lost), "no affine"),
        (lambda scan, lost: reorient(lost, "RAS"), "no affine"),
        (lambda scan, lost: resample(scan, like=lost), "no affine"),
        (lambda scan, lost: resample(lost, like=scan), "no affine"),
        (lambda scan, lost: resample(lost, spacing=(1.0, 1.0, 1.0)), "spacing is unknown"),
        (lambda scan, lost: resample(scan), "either spacing or like"),
        (lambda scan, lost: resample(scan, like=scan, spacing=(1.0, 1.0, 1.0)), "either spacing or like"),
        (lambda scan, lost: resample(scan, spacing=(1.0, 0.0, 1.0)), r"spacing=\(1\.0, 0\.0, 1\.0\) is not possible"),
        (lambda scan, lost: resample(scan, spacing=(1.0, np.nan, 1.0)), "is not possible"),
        (lambda scan, lost: resample(scan, spacing=(1e-6, 1e-6, 1e-300)), "too large"),
        (lambda scan, lost: resample(scan, like=scan, interpolation="best"), "'best' is unknown"),
        (lambda scan, lost: reorient(scan, "RAL"), "'RAL' is not an orientation"),
        (lambda scan, lost: reorient(scan, "ras"), "'ras' is not an orientation"),
        (lambda scan, lost: crop(scan, (0, 0, 0), (4, 5, 7)), "not a box within 4 × 5 × 6"),
        (lambda scan, lost: crop(scan, (0, 3, 0), (4, 3, 6)), "not a box within"),
        (lambda scan, lost: crop(scan, (-1, 0, 0), (4, 5, 6)), "not a box within"),
        (lambda scan, lost: pad(scan, (0, -1, 0), (0, 0, 0), 0.0), "would cut voxels off"),
        (lambda scan, lost: pad(scan, (0, 1, 0), (0, 0, 0), 1e6), "cannot be stored in int16"),
        (lambda scan, lost: pad(scan, (0, 1, 0), (0, 0, 0), 0.5), "cannot be stored in int16"),
        (lambda scan, lost: fit_volume(scan, 0), "size=0"),
        (lambda scan, lost: fit_volume(replace(scan, kind="frames"), 8), "holds frames"),
        (lambda scan, lost: resample(replace(scan, kind="waveform"), spacing=(1.0, 1.0, 1.0)), "holds waveform"),
        (lambda scan, lost: reorient(replace(scan, kind="frames"), "RAS"), "holds frames"),
    ],
)
def test_what_makes_no_sense_is_refused(work, sentence):
    lost = scan_of(0, affine=None, spacing=(None, 1.0, 1.0))
    with pytest.raises(InputError, match=sentence):
        work(scan_of(0), lost)
