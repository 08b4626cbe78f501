"""From stored numbers to values: palette, modality transform, and the direction of brightness (PS3.3 C.11.1)."""

import numpy as np
from jaxtyping import Num
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from medshot.imaging.dicom.headers import Unsuitable, first_item, number

Pixels = Num[np.ndarray, "frames rows columns *colours"]

QUANTITIES = ("CT", "PT", "NM", "RTDOSE")  # whose numbers mean something, whichever way they are shown


def rescale(dataset: Dataset, modality: str, assumed: list[str]) -> tuple[float, float]:
    """Slope and intercept of the modality transform.

    Raises:
        Unsuitable: a slope that is zero or not finite, or an intercept that is not finite.
    """
    found = {}
    for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        if dataset.get(keyword) in (None, ""):
            found[keyword] = None
            continue
        value = number(dataset, keyword)
        if value is None or (keyword == "RescaleSlope" and value == 0):
            raise Unsuitable(f"has {keyword} {dataset.get(keyword)}, so its values are lost; replace the file")
        found[keyword] = value
    slope, intercept = found["RescaleSlope"], found["RescaleIntercept"]
    if modality == "RTDOSE":
        scaling = number(dataset, "DoseGridScaling")
        if not scaling:
            raise Unsuitable(f"has DoseGridScaling {dataset.get('DoseGridScaling')}; replace the file")
        return scaling, 0.0
    if (slope is None) != (intercept is None):
        missing = "RescaleSlope" if slope is None else "RescaleIntercept"
        assumed.append(f"{missing} is missing; {1 if slope is None else 0} was taken.")
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept


def stretch(stored: Pixels, slope: float, intercept: float, span: tuple[int, int]) -> Pixels:
    """`slope` × stored + `intercept`: whole numbers stay integers, 16 bits wide where `span` allows it.

    Args:
        stored: as decoded.
        slope: of the transform.
        intercept: of the transform.
        span: the lowest and the highest number that the file can store.
    """
    if slope == 1 and intercept == 0:
        return stored
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [slope * end + intercept for end in span]
        for dtype in (np.int16, np.uint16, np.int32):
            limits = np.iinfo(dtype)
            if limits.min <= min(ends) and max(ends) <= limits.max and abs(intercept) <= limits.max:
                wide = stored.astype(np.int32 if dtype is not np.int16 or slope != 1 else np.int16)
                return (wide * wide.dtype.type(slope) + wide.dtype.type(intercept)).astype(dtype)
    wide_enough = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    return (stored.astype(np.float64) * slope + intercept).astype(wide_enough)


def look_up(stored: Pixels, table: Dataset) -> Pixels:
    """Values through a lookup table; beyond its ends, its ends.

    Raises:
        Unsuitable: the table has another length than its descriptor says.
    """
    entries, first, _ = (int(value) for value in table.LUTDescriptor)
    entries = entries or 65_536
    data = table["LUTData"].value
    values = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.atleast_1d(np.asarray(data, dtype=np.uint16))
    if len(values) == (entries + 1) // 2 and isinstance(data, bytes):
        values = np.frombuffer(data, np.uint8)
    if len(values) < entries:
        raise Unsuitable(f"has a lookup table of {len(values)} values that should have {entries}; replace the file")
    if stored.dtype.kind == "i" and first > 32_767:
        first -= 65_536
    return values[np.clip(stored.astype(np.int64) - first, 0, entries - 1)].astype(np.uint16)


def painted(stored: Pixels, dataset: Dataset) -> Pixels:
    """RGB through the palette of the file, 8 bits where the palette has 8."""
    colours = apply_color_lut(stored, dataset)
    if colours.dtype == np.uint16 and not (colours & 0xFF).any():
        return (colours >> 8).astype(np.uint8)
    return colours


def span_of(dataset: Dataset, dtype: np.dtype) -> tuple[int, int]:
    """The lowest and the highest number that the file can store."""
    bits = int(dataset.get("BitsStored") or dtype.itemsize * 8)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.kind == "i" else (0, 2**bits - 1)


def to_values(stored: Pixels, dataset: Dataset, modality: str, assumed: list[str]) -> tuple[Pixels, float | None]:
    """Grey values after the modality transform, greater being brighter.

    Args:
        stored: as decoded, without colours.
        dataset: the file, or what its functional groups say of one frame.
        modality: of the file.
        assumed: what had to be taken is added here.

    Returns:
        The values; and where MONOCHROME1 was inverted, the number from which they were subtracted.
    """
    table = first_item(dataset, "ModalityLUTSequence")
    span = span_of(dataset, stored.dtype)
    if table is not None:
        values, ends = look_up(stored, table), (0.0, float(2 ** int(table.LUTDescriptor[2]) - 1))
    else:
        slope, intercept = rescale(dataset, modality, assumed)
        values, ends = (
            stretch(stored, slope, intercept, span),
            (slope * span[0] + intercept, slope * span[1] + intercept),
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unsuitable("holds values that are not finite numbers; replace the file")
    if dataset.get("PhotometricInterpretation") != "MONOCHROME1":
        return values, None
    if modality in QUANTITIES:
        assumed.append(f"MONOCHROME1 was not applied: in {modality} the values themselves count.")
        return values, None
    assumed.append("MONOCHROME1 was inverted, so that greater is brighter.")
    if values.dtype.kind == "f" and stored.dtype.kind == "f":
        return -values, 0.0
    mirror = sum(ends)
    inverted = mirror - values.astype(np.float64)
    return inverted.astype(values.dtype), mirror
