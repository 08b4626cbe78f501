"""A register of the file formats that medshot reads: their names, their first bytes and what a file of each holds."""

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

Holds = Literal["picture", "volume", "dicom", "array", "archive", "table", "other"]


@dataclass(frozen=True)
class FileFormat:
    """A file format.

    Args:
        name: what people call it.
        holds: "picture": one image, or pages of them; "volume": voxels with a place in space; "dicom": either, or a
            slice of a series; "array": a picture or a volume; "archive": packed files or arrays; "table": a manifest;
            "other": nothing that is read.
        suffixes: how the names of its files end, in lower case; the first is the usual one.
        magics: the bytes that its files start with, each with its offset.
        detached: suffixes of headers whose voxels are in a second file.
        data: suffixes of such second files, which are no image by themselves.
        animated: whether a file may have several frames; the first is read.
    """

    name: str
    holds: Holds
    suffixes: tuple[str, ...] = ()
    magics: tuple[tuple[int, bytes], ...] = ()
    detached: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    animated: bool = False


_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

PNG = FileFormat("PNG", "picture", (".png",), ((0, b"\x89PNG\r\n\x1a\n"),), animated=True)
JPEG = FileFormat("JPEG", "picture", (".jpg", ".jpeg"), ((0, b"\xff\xd8\xff"),))
TIFF = FileFormat(
    "TIFF", "picture", (".tif", ".tiff"), tuple((0, magic) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
)
GIF = FileFormat("GIF", "picture", (".gif",), ((0, b"GIF87a"), (0, b"GIF89a")), animated=True)
BMP = FileFormat("BMP", "picture", (".bmp", ".dib"), ((0, b"BM"),))
WEBP = FileFormat("WebP", "picture", (".webp",), ((8, b"WEBPVP8"),), animated=True)
JPEG2000 = FileFormat(
    "JPEG 2000",
    "picture",
    (".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf"),
    ((0, b"\0\0\0\x0cjP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51")),
)
HEIC = FileFormat(
    "HEIC", "picture", (".heic", ".heif", ".hif"), tuple((4, b"ftyp" + brand) for brand in _HEIC_BRANDS), animated=True
)
DICOM = FileFormat("DICOM", "dicom", (".dcm", ".dicom", ".ima", ""), ((128, b"DICM"),))
NIFTI = FileFormat(
    "NIfTI",
    "volume",
    (".nii", ".nii.gz", ".hdr"),
    ((344, b"n+1\0"), (344, b"ni1\0"), (4, b"n+2\0\r\n\x1a\n"), (4, b"ni2\0\r\n\x1a\n")),
    detached=(".hdr",),
    data=(".img", ".img.gz"),
)
NRRD = FileFormat("NRRD", "volume", (".nrrd", ".nhdr"), ((0, b"NRRD000"),), detached=(".nhdr",))
METAIMAGE = FileFormat("MetaImage", "volume", (".mha", ".mhd"), ((0, b"ObjectType"), (0, b"NDims")), detached=(".mhd",))
NPZ = FileFormat("npz", "archive", (".npz",), ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")))
ZIP = FileFormat("zip", "archive", (".zip",), ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")))
GZIP = FileFormat("gzip", "other", (".gz",), ((0, b"\x1f\x8b"),))
CSV = FileFormat("CSV", "table", (".csv", ".tsv"))
PDF = FileFormat("PDF", "other", (".pdf",), ((0, b"%PDF"),))
NUMPY = FileFormat("NumPy", "array", (".npy",), ((0, b"\x93NUMPY"),))

PLAIN = (PNG, JPEG, TIFF, GIF, BMP, WEBP, JPEG2000, HEIC)
"""Pictures without a place in space."""
FORMATS = (*PLAIN, DICOM, NIFTI, NRRD, METAIMAGE, NPZ, ZIP, GZIP, CSV, PDF, NUMPY)
DETACHED_HEADERS = tuple(suffix for known in FORMATS for suffix in known.detached)


def has_name_of(path: PurePath, *formats: FileFormat) -> bool:
    """Whether a file is named like one of these formats; a DICOM file may also end in a number, as in `IM.0012`."""
    name, suffix = path.name.lower(), path.suffix.lower()
    return any(
        suffix in known.suffixes
        or any(end.count(".") > 1 and name.endswith(end) for end in known.suffixes)
        or (known is DICOM and suffix[1:].isdigit())
        for known in formats
    )


def formats_holding(*holds: Holds) -> tuple[FileFormat, ...]:
    """Return the formats that hold one of these."""
    return tuple(known for known in FORMATS if known.holds in holds)


def readable_formats() -> str:
    """Return the names of the formats that hold images, for a sentence."""
    named = [known.name for known in FORMATS if known.holds not in ("table", "other")]
    return f"{', '.join(named[:-1])} and {named[-1]}"


def starts_as(content: bytes, *formats: FileFormat) -> bool:
    """Whether the first bytes of a file, 352 at least, are those of one of these formats."""
    return any(content.startswith(magic, offset) for known in formats for offset, magic in known.magics)


def split_member(path: Path) -> tuple[Path, str]:
    """Split the path of an image into its file and the name of the array in it: `scan.npz#flair` into two.

    The name is empty if none is given. In names of other files a "#" is an ordinary character.
    """
    file, mark, array = path.name.rpartition("#")
    if mark and has_name_of(Path(file), NPZ):
        return path.with_name(file), array
    return path, ""
