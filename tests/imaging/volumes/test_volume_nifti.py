"""Headers of NIfTI, and their refusals."""

import gzip
import tracemalloc

import nibabel
import numpy as np
import pytest
from volume_files import AFFINE, nifti, voxels

from medshot.errors import InputError
from medshot.imaging.volumes import read_volume_file


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


def test_assumptions_are_recorded(tmp_path):
    def assumed(**fields: object) -> str:
        return " ".join(read_volume_file(nifti(tmp_path / "assumed.nii", **fields)).assumed)

    assert assumed() == ""
    assert "millimetres were assumed" in assumed(xyzt_units=0)
    assert "qform and sform are at odds; the sform was taken" in assumed(qform_code=1, qoffset_x=55)
    assert "qform and sform are at odds; the sform was taken" in assumed(qform_code=1, quatern_b=3)
    assert "pixdim and sform are at odds" in assumed(pixdim=[1, 9, 9, 9, 0, 0, 0, 0])
    assert "sheared, 45.0 degrees" in assumed(srow_x=[-2, 1.5, 0, 10], qform_code=0)
    assert "more bytes than its header promises" in assumed(dim=[3, 4, 3, 1, 1, 1, 1, 1])


def test_without_qform_and_sform_there_is_only_a_spacing(tmp_path):
    scan = read_volume_file(nifti(tmp_path / "lost.nii", sform_code=0, qform_code=0))
    assert scan.affine is None
    assert scan.spacing == (3, 1.5, 2)
    assert "the position in the patient is unknown" in scan.assumed[0]


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
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 3}, "quaternion is not a rotation"),
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
