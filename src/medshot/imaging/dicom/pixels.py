"""Decode stored pixels, after checking what the header claims; each transfer syntax has one decoder."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt16
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medshot.imaging.dicom.codestreams import check_codestream, precision
from medshot.imaging.dicom.header import BYTE_LIMIT, PIXELS, Unsuitable, kind_of_object, transfer_syntax
from medshot.imaging.dicom.values import span_of
from medshot.imaging.reading import PIXEL_LIMIT
from medshot.process import ChildProcess


def decode_twelve_bits(frames: list[bytes]) -> UInt16[np.ndarray, "*frames rows columns"]:
    """Decode JPEG frames of 12 bits, which neither Pillow nor GDCM can."""
    try:
        from imagecodecs import jpeg8_decode
    except ImportError:
        raise ImportError("JPEG of 12 bits needs the package imagecodecs, which is not installed") from None
    decoded = [jpeg8_decode(frame) for frame in frames]
    return decoded[0] if len(decoded) == 1 else np.stack(decoded)


_gdcm = ChildProcess(Path(__file__).with_name("gdcm_worker.py"))
_NEEDED_BY_DECODERS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"),
)


def _decode_by_gdcm(dataset: FileDataset, syntax: UID) -> np.ndarray:
    """Decode lossless JPEG in another process; what GDCM prints on its stderr shows damage."""
    part = Dataset()
    for keyword in _NEEDED_BY_DECODERS:
        if keyword in dataset:
            part[keyword] = dataset[keyword]
    part.preamble = bytes(128)
    part.file_meta = FileMetaDataset()
    part.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    part.save_as(file, implicit_vr=False, little_endian=True)
    answer, content = _gdcm.ask(file.getvalue())
    if "error" in answer:
        raise RuntimeError(answer["error"])
    if answer["printed"]:
        raise Unsuitable(f"holds damaged pixels ({answer['printed'][0]}); copy it again from where it came")
    for text in answer["warnings"]:
        warnings.warn(text, stacklevel=2)
    return np.frombuffer(bytearray(content), answer["dtype"]).reshape(answer["shape"])


Stored = Shaped[np.ndarray, "frames rows columns *colours"]

# Only GDCM decodes lossless JPEG and notices damage; it is used for nothing else.
_DECODERS = {
    JPEGBaseline8Bit: ("pillow", "Pillow"),
    JPEGExtended12Bit: ("pillow", "Pillow"),
    JPEGLossless: ("gdcm", "python-gdcm"),
    JPEGLosslessSV1: ("gdcm", "python-gdcm"),
    JPEGLSLossless: ("pyjpegls", "pyjpegls"),
    JPEGLSNearLossless: ("pyjpegls", "pyjpegls"),
    JPEG2000Lossless: ("pylibjpeg", "pylibjpeg-openjpeg"),
    JPEG2000: ("pylibjpeg", "pylibjpeg-openjpeg"),
    HTJ2KLossless: ("pylibjpeg", "pylibjpeg-openjpeg"),
    HTJ2KLosslessRPCL: ("pylibjpeg", "pylibjpeg-openjpeg"),
    HTJ2K: ("pylibjpeg", "pylibjpeg-openjpeg"),
    RLELossless: ("pydicom", "pydicom"),
}
_GREY, _COLOUR = (
    ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
)


@dataclass(frozen=True)
class Claims:
    """The header's description of the pixels, checked for contradictions and against the limits.

    Args:
        keyword: the element that holds the pixels.
        frames: the number of frames.
        rows: the rows of a frame.
        columns: the columns of a frame.
        samples: the samples per pixel, 1 or 3.
        bits: the bits allocated for a sample.
        stored: the bits of a sample that are used.
        photometric: the photometric interpretation.
    """

    keyword: str
    frames: int
    rows: int
    columns: int
    samples: int
    bits: int
    stored: int
    photometric: str


def check_claims(dataset: FileDataset) -> Claims:
    """Read the header's description of the pixels and check it.

    Raises:
        Unsuitable: there are no pixels, or their numbers are impossible, contradictory or beyond the limits.
    """
    keywords = [keyword for keyword in PIXELS if keyword in dataset]
    if not keywords:
        raise Unsuitable(f"is a {kind_of_object(dataset)} and holds no pixels; give a file of images")
    frames = _integer(dataset, "NumberOfFrames", 1)
    rows, columns = _integer(dataset, "Rows"), _integer(dataset, "Columns")
    samples, bits = _integer(dataset, "SamplesPerPixel", 1), _integer(dataset, "BitsAllocated")
    stored = _integer(dataset, "BitsStored", bits)
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    if rows < 1 or columns < 1 or frames < 1:
        raise Unsuitable(f"claims {frames} frames of {rows} × {columns} pixels; replace the file")
    if rows * columns > PIXEL_LIMIT:
        raise Unsuitable(f"has {columns} × {rows} pixels, more than the limit of {PIXEL_LIMIT:,}; make it smaller")
    if bits not in (1, 8, 16, 32, 64) or not 1 <= stored <= bits:
        raise Unsuitable(f"claims {stored} bits stored in {bits} bits; replace the file")
    if frames * rows * columns * samples * max(bits // 8, 1) > BYTE_LIMIT:
        raise Unsuitable(f"holds more than the limit of {BYTE_LIMIT:,} bytes of pixels; split it")
    if photometric not in (_GREY if samples == 1 else _COLOUR if samples == 3 else ()):
        raise Unsuitable(
            f"has {samples} samples per pixel as {photometric or 'nothing that it names'}; convert it to grey or RGB"
        )
    if keywords[0] == "PixelData" and _integer(dataset, "HighBit", stored - 1) != stored - 1:
        raise Unsuitable(f"keeps {stored} bits below HighBit {dataset.HighBit}, which is retired; convert it")
    return Claims(keywords[0], frames, rows, columns, samples, bits, stored, photometric)


def span_of_pixels(dataset: Dataset, claims: Claims, dtype: np.dtype) -> tuple[float, float] | None:
    """Return the range of values that the file can hold if that is less than the type's; None otherwise.

    Rescaled values and palettes have other types or their own range, and none is returned for them.
    """
    if dtype.kind != "u" or claims.photometric == "PALETTE COLOR":
        return None
    if claims.stored < 8 * dtype.itemsize and (claims.samples == 3 or dtype == np.uint8):
        return 0.0, float(2**claims.stored - 1)
    highest = int(dataset.get("MaximumFractionalValue") or 0) if dtype == np.uint8 else 0
    return (0.0, float(highest)) if 0 < highest < 255 else None


def decode(dataset: FileDataset, claims: Claims, assumed: list[str]) -> Stored:
    """Return the stored pixels: colours as RGB in the last axis, bits beyond BitsStored cleared.

    Raises:
        Unsuitable: the transfer syntax has no decoder, or the pixels are truncated or damaged.
    """
    syntax = transfer_syntax(dataset, assumed)
    plugin = ""
    if syntax.is_encapsulated:
        plugin = _plugin(syntax)
        _check_frames(dataset, claims, syntax)
    else:
        _check_length(dataset, claims, assumed)
    if "PixelRepresentation" not in dataset and claims.keyword == "PixelData":
        dataset.PixelRepresentation = 0
        assumed.append("PixelRepresentation is missing; pixels were taken as unsigned.")
    if claims.samples > 1 and "PlanarConfiguration" not in dataset:
        dataset.PlanarConfiguration = 0
        assumed.append("PlanarConfiguration is missing; colours were taken as pixel by pixel.")
    try:
        array = _decoded(dataset, claims, syntax, plugin)
    except (RuntimeError, ImportError, ChildProcessError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise Unsuitable(
            f"could not be decoded ({syntax.name}: {lines[-1].strip().rstrip('.')}); replace or convert the file"
        ) from error
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array[None] if claims.frames == 1 else array


def _decoded(dataset: FileDataset, claims: Claims, syntax: UID, plugin: str) -> np.ndarray:
    if syntax == JPEGExtended12Bit:
        frames = list(_frames(dataset, claims))
        if all(precision(frame) == 12 for frame in frames):
            return decode_twelve_bits(frames)
    if not syntax.is_encapsulated and syntax.is_little_endian and claims.samples == 1 and claims.bits in (8, 16):
        return _plain(dataset, claims)
    if plugin == "gdcm":
        return _decode_by_gdcm(dataset, syntax)
    array, _ = get_decoder(syntax).as_array(dataset, decoding_plugin=plugin)
    return array


def _plain(dataset: FileDataset, claims: Claims) -> np.ndarray:
    """Return uncompressed grey pixels. Most series are of this kind, and pydicom is slow on them."""
    dtype = np.dtype(f"<{'i' if dataset.PixelRepresentation else 'u'}{claims.bits // 8}")
    shape = (claims.frames, claims.rows, claims.columns) if claims.frames > 1 else (claims.rows, claims.columns)
    words = np.frombuffer(dataset[claims.keyword].value, dtype, count=math.prod(shape)).reshape(shape)
    unused = claims.bits - claims.stored
    low, high = span_of(dataset, dtype)
    if not unused or (low <= words.min() and words.max() <= high):
        return words
    shifted = words << unused
    shifted >>= unused
    return shifted


def _integer(dataset: FileDataset, keyword: str, default: int | None = None) -> int:
    value = dataset.get(keyword)
    if value is None or value == "":
        if default is None:
            raise Unsuitable(f"has no {keyword}; replace the file")
        return default
    return int(value)


def _plugin(syntax: UID) -> str:
    if syntax not in _DECODERS:
        name = syntax.name if syntax.name != syntax else f"transfer syntax {syntax}"
        raise Unsuitable(f"is compressed as {name}, for which there is no decoder; convert it to JPEG 2000 lossless")
    plugin, package = _DECODERS[syntax]
    if plugin not in get_decoder(syntax).available_plugins:
        raise Unsuitable(f"is compressed as {syntax.name}; install {package} to read it")
    return plugin


def _check_length(dataset: FileDataset, claims: Claims, assumed: list[str]) -> None:
    bits = claims.frames * claims.rows * claims.columns * claims.samples * claims.bits
    if claims.photometric == "YBR_FULL_422":
        bits = bits // 3 * 2
    expected, found = math.ceil(bits / 8), len(dataset[claims.keyword].value)
    if found < expected:
        raise Unsuitable(
            f"is cut off: it has {found:,} of {expected:,} bytes of pixels; copy it again from where it came"
        )
    if found > expected + expected % 2:
        assumed.append(f"The pixels are followed by {found - expected:,} bytes that belong to nothing; ignored.")


def _frames(dataset: FileDataset, claims: Claims) -> Iterator[bytes]:
    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    data = dataset[claims.keyword].value
    yield from generate_frames(data, number_of_frames=claims.frames, extended_offsets=offsets)


def _check_frames(dataset: FileDataset, claims: Claims, syntax: UID) -> None:
    found = 0
    for frame in _frames(dataset, claims):
        check_codestream(frame, syntax, claims.rows, claims.columns, claims.samples)
        found += 1
    if found < claims.frames:
        raise Unsuitable(f"holds {found} of the {claims.frames} frames that it names; copy it again")
