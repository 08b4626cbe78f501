"""Text headers of NRRD and MetaImage, and their refusals."""

import zlib

import nibabel
import numpy as np
import pytest
from volume_files import AFFINE, DATA, meta, nrrd, voxels

from medshot.errors import InputError
from medshot.imaging.volumes import read_volume_file


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("encoding: raw", "encoding: hex", "encoding 'hex'"),
        ("type: short", "type: block", "type 'block'"),
        ("endian: little\n", "", "neither 'endian: little' nor 'endian: big'"),
        ("endian: little", "endian: little\nbyte skip: -1", "skips lines or bytes"),
        ("endian: little", "endian: little\nline skip: 3", "skips lines or bytes"),
        ("endian: little", "endian: little\nendian: big", "'endian' twice"),
        ("endian: little", "nonsense", "not a field"),
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
        ("(2,0,0)", "(two,0,0)", "instead of numbers"),
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
        ("NDims = 3", "what is this", "not a field"),
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


def test_a_missing_position_is_not_made_up(tmp_path):
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
