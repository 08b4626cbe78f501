"""One DICOM file with pixels: its values, and where each of its frames lies."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Num
from pydicom.dataset import Dataset, FileDataset

from medshot.imaging.dicom.functional import frame_headers
from medshot.imaging.dicom.headers import Unsuitable, numbers
from medshot.imaging.dicom.overlays import Masks, overlays_of
from medshot.imaging.dicom.pixels import decode, judge_claims
from medshot.imaging.dicom.places import Place, pixel_spacing, place_of
from medshot.imaging.dicom.subject import units
from medshot.imaging.dicom.values import painted, to_values
from medshot.imaging.dicom.windows import window_of


@dataclass(frozen=True)
class Picture:
    """What one file shows.

    Args:
        array: a frame for each place, greater being brighter.
        places: of the frames, None where the file does not tell.
        spacing: millimetres from row to row and column to column.
        window: the darkest and brightest value to show.
        overlays: masks.
        units: of the values; "" in colour.
    """

    array: Num[np.ndarray, "frames rows columns *colours"]
    places: tuple[Place | None, ...]
    spacing: tuple[float | None, float | None]
    window: tuple[float, float] | None
    overlays: Masks | None
    units: str


def picture_of(dataset: FileDataset, modality: str, assumed: list[str]) -> Picture:
    """Decode one file.

    Raises:
        Unsuitable: no pixels, or pixels that cannot be used.
    """
    claims = judge_claims(dataset)
    stored = decode(dataset, claims, assumed)
    if "PixelPaddingValue" in dataset and claims.samples == 1:
        assumed.append(f"Pixels of value {dataset.PixelPaddingValue} before rescaling are padding, and were kept.")
    if "RedPaletteColorLookupTableData" in dataset and claims.photometric != "PALETTE COLOR":
        assumed.append("The file colours some of its values by a supplemental palette, which was left aside.")
    headers = frame_headers(dataset, claims.frames)
    spacing = pixel_spacing(headers[0], assumed)
    window, array, unit = None, stored, ""
    if claims.photometric == "PALETTE COLOR":
        array = painted(stored, dataset)
    elif claims.samples == 1:
        array, window = _grey(stored, headers, modality, assumed)
        unit = units(dataset, headers[0], modality, assumed)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Unsuitable("holds values that are not finite numbers; replace the file")
    return Picture(
        array, _places(dataset, headers, spacing, assumed), spacing, window, overlays_of(dataset, claims, assumed), unit
    )


def _grey(
    stored: np.ndarray, headers: list[Dataset], modality: str, assumed: list[str]
) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Values and the first frame's window; each frame has its own transform where its header differs."""
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
) -> tuple[Place | None, ...]:
    offsets = numbers(dataset, "GridFrameOffsetVector", len(headers))
    if offsets is not None:  # a dose, whose planes are told from the first (PS3.3 C.8.8.3.2)
        first = place_of(dataset, spacing, assumed)
        if first is None:
            return (None,) * len(headers)
        start = offsets[0]
        return tuple(
            Place(
                first.position + (offset - start) * first.normal, first.down, first.across, first.spacing, first.depth
            )
            for offset in offsets
        )
    if len(headers) > 1 and headers[0] is headers[1]:
        return (None,) * len(headers)
    notes: list[str] = []
    places = tuple(
        place_of(header, spacing if header is headers[0] else pixel_spacing(header, []), notes) for header in headers
    )
    assumed += dict.fromkeys(notes)
    return places
