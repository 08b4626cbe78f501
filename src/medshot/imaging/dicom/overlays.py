"""Overlays (PS3.3 C.9.2): masks that a file draws over its pixels, in elements of their own or in unused bits."""

import numpy as np
from jaxtyping import Bool
from pydicom.dataset import FileDataset
from pydicom.overlays.numpy_handler import get_overlay_array
from pydicom.pixels.decoders.base import get_decoder

from medshot.imaging.dicom.pixels import Claims

Masks = Bool[np.ndarray, "frames rows columns"]


def overlays_of(dataset: FileDataset, claims: Claims, assumed: list[str]) -> Masks | None:
    """All overlays of the file in one mask, cut to the picture; None where there are none."""
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
        assumed.append(f"An overlay of {rows} × {columns} pixels was left aside.")
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
