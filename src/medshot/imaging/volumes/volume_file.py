"""Read a NIfTI, NRRD or MetaImage file as a scan, whichever its content is."""

from pathlib import Path

from medshot.errors import InputError
from medshot.imaging.scan import Scan
from medshot.imaging.volumes import nrrd
from medshot.imaging.volumes.metaimage import is_metaimage, metaimage_data, read_metaimage
from medshot.imaging.volumes.volume import is_gzip, take


def read_volume_file(path: Path) -> Scan:
    """Read one volume; its format is recognised by content and not by name.

    Axes are those of the file, slowest first, `(k, j, i)`; nothing is flipped or resampled. The header's slope and
    intercept are applied.

    Args:
        path: NIfTI-1 or NIfTI-2 (`.nii`, `.nii.gz`, or either file of a pair `.hdr` and `.img`), NRRD (`.nrrd`,
            `.nhdr`) or MetaImage (`.mha`, `.mhd`).

    Raises:
        InputError: the file is missing, of another format, truncated, damaged or larger than `VOLUME_LIMIT`; it holds
            several volumes or numbers that are complex, NaN or infinite; its affine is singular; or it names a data
            file that is not beside it.
    """
    from medshot.imaging.volumes.nifti import is_nifti, read_nifti  # nibabel is slow to import

    path = _header_of(path)
    try:
        start = bytes(take(path, 0, 256, "gzip" if is_gzip(path) else "none"))
        if start.startswith(nrrd.MAGIC):
            return nrrd.read_nrrd(path)
        if is_nifti(start):
            return read_nifti(path)
        if is_metaimage(start):
            return read_metaimage(path)
    except InputError:
        raise
    except Exception as error:  # a damaged header can make a decoder raise nearly anything
        cause = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(f"{path} is not a readable volume ({cause}); replace the file.") from error
    raise InputError(f"{path} is not a NIfTI, NRRD or MetaImage file; convert it or remove it.")


def files_of_volume(path: Path) -> list[Path]:
    """Return the files that hold one volume: the file itself, or a header and the file of its voxels under any name.

    A file that is not a volume, or a header whose voxels are missing or out of its folder, is returned alone: reading
    it raises what is wrong.
    """
    try:
        header = _header_of(path)
        start = bytes(take(header, 0, 352, "gzip" if is_gzip(header) else "none"))
        data = header
        if start.startswith(nrrd.MAGIC):
            data = nrrd.nrrd_data(header)
        elif {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")} & {348, 540}:  # a size of NIfTI
            from medshot.imaging.volumes.nifti import nifti_data  # nibabel is slow to import

            data = nifti_data(header, start)
        elif is_metaimage(start):
            data = metaimage_data(header)
    except InputError:
        return [path]
    return [header] if data == header or not data.is_file() else [header, data]


def _header_of(path: Path) -> Path:
    """Return the header if the path is the voxels of a NIfTI pair, else the path."""
    if not path.name.removesuffix(".gz").endswith(".img"):
        return path
    stem = path.name.removesuffix(".gz").removesuffix(".img")
    for ending in (".hdr", ".hdr.gz"):
        if path.with_name(stem + ending).is_file():
            return path.with_name(stem + ending)
    raise InputError(f"{path} holds voxels without their header; put {stem}.hdr beside it.")
