"""Read a DICOM file as a scan."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Num
from pydicom.dataset import Dataset, FileDataset
from pydicom.overlays.numpy_handler import get_overlay_array
from pydicom.pixels.decoders.base import get_decoder

from medshot.errors import InputError
from medshot.imaging.dicom.frames import meaning_of_frames, tiling_of
from medshot.imaging.dicom.functional_groups import differences, frame_headers
from medshot.imaging.dicom.geometry import SliceGeometry, coincident, pixel_spacing, slice_geometry, stack
from medshot.imaging.dicom.header import (
    PIXELS,
    Unsuitable,
    body_part,
    burnt_in,
    keys,
    numbers,
    open_dataset,
    units,
)
from medshot.imaging.dicom.mosaic import places_in_mosaic, slices_in_mosaic, unfold
from medshot.imaging.dicom.pixels import Claims, check_claims, decode, span_of_pixels
from medshot.imaging.dicom.values import apply_palette, to_values, window_of
from medshot.imaging.dicom.waveforms import waveform_of
from medshot.imaging.reading import read_content
from medshot.imaging.scan import Scan
from medshot.process import capture_warnings

Masks = Bool[np.ndarray, "frames rows columns"]


def overlays_of(dataset: FileDataset, claims: Claims, assumed: list[str]) -> Masks | None:
    """Return the union of all overlays as one mask, cropped to the picture; None if the file has none."""
    tags = dataset.keys()
    groups = sorted({tag >> 16 for tag in tags if 0x6000 <= tag >> 16 < 0x6020 and tag & 0xFFFF == 0x0010})
    if not groups:
        return None
    masks = np.zeros((claims.frames, claims.rows, claims.columns), dtype=bool)
    drawn = False
    for group in groups:
        if (group, 0x3000) in dataset:
            _draw(masks, dataset, group, assumed)
        elif (group, 0x0102) in dataset and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            bit = int(dataset[group, 0x0102].value)
            decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
            words, _ = decoder.as_array(dataset, raw=True, correct_unused_bits=False)  # type: ignore[arg-type]
            if words.ndim == masks.ndim - (claims.frames == 1) and bit < 8 * words.dtype.itemsize:
                masks |= ((words.reshape(masks.shape) >> bit) & 1).astype(bool)
        else:
            continue
        drawn = True
    return masks if drawn else None


def _draw(masks: Masks, dataset: FileDataset, group: int, assumed: list[str]) -> None:
    rows, columns = (int(dataset[group, element].value) for element in (0x0010, 0x0011))
    if rows * columns > 16 * max(masks[0].size, 1) or rows < 1 or columns < 1:
        assumed.append(f"An overlay of {rows} × {columns} pixels was ignored.")
        return
    planes = np.atleast_3d(get_overlay_array(dataset, group)).astype(bool)
    planes = planes.reshape(-1, rows, columns)
    top, left = ((int(value) - 1) for value in (dataset[group, 0x0050].value if (group, 0x0050) in dataset else (1, 1)))
    height, width = masks.shape[1:]
    first = slice(max(top, 0), min(top + rows, height)), slice(max(left, 0), min(left + columns, width))
    cut = slice(max(-top, 0), max(-top, 0) + first[0].stop - first[0].start)
    across = slice(max(-left, 0), max(-left, 0) + first[1].stop - first[1].start)
    if len(planes) in (1, len(masks)) and first[0].stop > first[0].start and first[1].stop > first[1].start:
        masks[(slice(None), *first)] |= planes[:, cut, across]


@dataclass(frozen=True)
class Picture:
    """The decoded pixels of one file.

    Args:
        array: the frames; greater values are brighter.
        places: the geometry of each frame, None if unknown.
        spacing: the distances between rows and between columns, in millimetres.
        window: the values to show as black and as white.
        span: the lowest and the highest value that a pixel can have, if the file uses fewer bits than its type has.
        overlays: one mask per frame.
        units: the unit of the values; "" in colour.
    """

    array: Num[np.ndarray, "frames rows columns *colours"]
    places: tuple[SliceGeometry | None, ...]
    spacing: tuple[float | None, float | None]
    window: tuple[float, float] | None
    span: tuple[float, float] | None
    overlays: Masks | None
    units: str


def picture_of(dataset: FileDataset, modality: str, assumed: list[str]) -> Picture:
    """Decode the pixels of one file.

    Raises:
        Unsuitable: the file has no pixels, or pixels that cannot be used.
    """
    claims = check_claims(dataset)
    mosaic, tiling = slices_in_mosaic(dataset, claims.frames, modality), tiling_of(dataset, claims.frames)
    stored = decode(dataset, claims, assumed)
    if "PixelPaddingValue" in dataset and claims.samples == 1:
        assumed.append(f"Pixels of value {dataset.PixelPaddingValue} before rescaling are padding, and were kept.")
    if "RedPaletteColorLookupTableData" in dataset and claims.photometric != "PALETTE COLOR":
        assumed.append("The file colours some of its values by a supplemental palette, which was ignored.")
    headers = frame_headers(dataset, claims.frames, assumed)
    spacing = pixel_spacing(headers[0], assumed)
    window, array, unit = None, stored, ""
    if claims.photometric == "PALETTE COLOR":
        array = apply_palette(stored, dataset)
    elif claims.samples == 1:
        array, window = _grey(stored, headers, modality, assumed)
        unit = units(dataset, headers[0], modality, assumed)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Unsuitable("holds values that are not finite numbers; replace the file")
    places, overlays = _places(dataset, headers, spacing, assumed), overlays_of(dataset, claims, assumed)
    if mosaic:
        array, places = unfold(array, mosaic), places_in_mosaic(dataset, places[0], mosaic, assumed)
        overlays = None if overlays is None else unfold(overlays, mosaic)
    elif tiling is not None:
        array, places = tiling.assemble(array, assumed), (None,)
        overlays = None if overlays is None else tiling.assemble(overlays, [])
    span = span_of_pixels(dataset, claims, array.dtype)
    return Picture(array, places, spacing, window, span, overlays, unit)


def _grey(
    stored: np.ndarray, headers: list[Dataset], modality: str, assumed: list[str]
) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Return the values, each frame by the transform of its own header, and the first frame's window."""
    if all(header is headers[0] for header in headers):
        values, mirror = to_values(stored, headers[0], modality, assumed)
    else:
        notes: list[str] = []
        parts = [to_values(stored[[index]], header, modality, notes) for index, header in enumerate(headers)]
        assumed += dict.fromkeys(notes)
        values, mirror = np.concatenate([part for part, _ in parts]), parts[0][1]
    return values, window_of(headers[0], mirror, assumed)


def _places(
    dataset: FileDataset, headers: list[Dataset], spacing: tuple[float | None, float | None], assumed: list[str]
) -> tuple[SliceGeometry | None, ...]:
    offsets = numbers(dataset, "GridFrameOffsetVector", len(headers))
    if offsets is not None:  # planes of a dose are given relative to the first (PS3.3 C.8.8.3.2)
        first = slice_geometry(dataset, spacing, assumed)
        if first is None:
            return (None,) * len(headers)
        start = offsets[0]
        return tuple(
            SliceGeometry(
                first.position + (offset - start) * first.normal, first.down, first.across, first.spacing, first.depth
            )
            for offset in offsets
        )
    if len(headers) > 1 and headers[0] is headers[1]:
        return (None,) * len(headers)
    notes: list[str] = []
    places = tuple(
        slice_geometry(header, spacing if header is headers[0] else pixel_spacing(header, []), notes)
        for header in headers
    )
    assumed += dict.fromkeys(notes)
    return places


def read_dicom(path: Path, *, identity: bool = False) -> Scan:
    """Read one DICOM file: a picture, an enhanced multi-frame volume, frames over time, or a waveform.

    Args:
        path: the file, with or without a preamble.
        identity: return PatientID, StudyInstanceUID and SeriesInstanceUID themselves instead of their hashes.

    Raises:
        InputError: the file cannot be read, or reading it would give wrong values.
    """
    content = read_content(path)
    try:
        with capture_warnings() as warned:
            scan = _scan_of(open_dataset(BytesIO(content)), identity)
    except Unsuitable as reason:
        raise InputError(f"{path} {reason}.") from None
    except Exception as error:  # a damaged file can make a parser or decoder raise nearly anything
        raise InputError(f"{path} {damage(error)}.") from error
    return with_remarks(scan, warned)


def damage(error: BaseException) -> str:
    """Return the reason for refusing a file on which a parser or decoder raised `error`."""
    text = str(error).strip()
    cause = text.splitlines()[0].rstrip(".") if text else type(error).__name__
    return f"is not a readable DICOM file ({cause[:200]}); replace the file or remove it from the data"


def with_remarks(scan: Scan, warned: list[str]) -> Scan:
    """Return the scan with the first warning about its header added to its assumptions."""
    broken = [text for text in warned if "excess padding" not in text]
    if not broken:
        return scan
    remark = f"The header breaks the standard ({broken[0].splitlines()[0].rstrip('.')[:160]}); it was read leniently."
    return Scan(**{**scan.__dict__, "assumed": (*scan.assumed, remark)})


def modality_of(dataset: FileDataset) -> str:
    """Return the modality in capitals, "" if it is missing."""
    return str(dataset.get("Modality") or "").strip().upper()


def patient_and_subject(dataset: FileDataset, identity: bool, assumed: list[str]) -> dict[str, Any]:
    """Return the fields of a scan that describe its patient and subject."""
    return {
        "modality": modality_of(dataset),
        "body_part": body_part(dataset),
        "burnt_in": burnt_in(dataset),
        **keys(dataset, identity=identity, assumed=assumed),
    }


def _scan_of(dataset: FileDataset, identity: bool) -> Scan:
    assumed: list[str] = []
    about = patient_and_subject(dataset, identity, assumed)
    if "WaveformSequence" in dataset and not any(keyword in dataset for keyword in PIXELS):
        values, leads, period, unit = waveform_of(dataset, assumed)
        about |= {"array": values, "kind": "waveform", "leads": leads, "units": unit, "spacing": (None, None, period)}
        return Scan(**about, assumed=tuple(assumed))
    picture = picture_of(dataset, about["modality"], assumed)
    about |= {"window": picture.window, "span": picture.span, "units": picture.units}
    places = [place for place in picture.places if place is not None]
    if len(picture.array) > 1 and len(places) == len(picture.array):
        about |= _volume(dataset, picture, places, assumed)
    else:
        about |= _flat(dataset, picture, places, assumed)
    return Scan(**about, assumed=tuple(dict.fromkeys(assumed)))


def _volume(dataset: FileDataset, picture: Picture, places: list[SliceGeometry], assumed: list[str]) -> dict[str, Any]:
    groups = coincident(places)
    if groups:
        kinds = " and ".join(differences(dataset, groups[0])) or "stacks, moments or echoes"
        raise Unsuitable(
            f"holds up to {max(map(len, groups))} frames at one position ({kinds}); split it into one file for each"
        )
    ordered = stack(places, "frames", assumed)
    overlays = None if picture.overlays is None else picture.overlays[ordered.order]
    return {
        "array": picture.array[ordered.order],
        "kind": "volume",
        "affine": ordered.affine,
        "spacing": ordered.spacing,
        "overlays": overlays,
    }


def _flat(dataset: FileDataset, picture: Picture, places: list[SliceGeometry], assumed: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"array": picture.array, "overlays": picture.overlays}
    if picture.spacing[0] is None:
        assumed.append("The file does not give the pixel spacing.")
    if len(picture.array) > 1:
        assumed.append(meaning_of_frames(dataset))
        return {**found, "kind": "frames", "spacing": (None, *picture.spacing)}
    if not places:
        return {**found, "kind": "picture", "spacing": (None, *picture.spacing)}
    ordered = stack(places, "pictures", assumed)
    return {**found, "kind": "picture", "affine": ordered.affine, "spacing": ordered.spacing}
