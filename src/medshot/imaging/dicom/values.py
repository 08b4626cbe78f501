"""Turn stored numbers into values by palette, modality transform, MONOCHROME1 and VOI window (PS3.3 C.11)."""

import math

import numpy as np
from jaxtyping import Num
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from medshot.imaging.dicom.header import Unsuitable, first_item, number

Pixels = Num[np.ndarray, "frames rows columns *colours"]

QUANTITIES = ("CT", "PT", "NM", "RTDOSE")  # modalities whose values are quantities, which MONOCHROME1 must not invert


def rescale(dataset: Dataset, modality: str, assumed: list[str]) -> tuple[float, float]:
    """Return slope and intercept of the modality transform.

    Raises:
        Unsuitable: the slope is zero or not finite, or the intercept is not finite.
    """
    found: dict[str, float | None] = {"RescaleSlope": None, "RescaleIntercept": None}
    for keyword in found:
        if dataset.get(keyword) in (None, ""):
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
    """Return `slope` × stored + `intercept`; whole numbers stay integers, of 16 bits if `span` allows it.

    Args:
        stored: the decoded numbers.
        slope: the slope of the transform.
        intercept: the intercept of the transform.
        span: the lowest and the highest number that the file can store.
    """
    if slope == 1 and intercept == 0:
        return stored
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [slope * end + intercept for end in span]
        for dtype in (np.int16, np.uint16, np.int32):
            limits = np.iinfo(dtype)
            if limits.min <= min(ends) and max(ends) <= limits.max and abs(intercept) <= limits.max:
                if dtype is np.int16 and slope == 1:  # sums modulo 65,536 are right
                    whole = stored.view(np.int16) if stored.dtype.itemsize == 2 else stored.astype(np.int16)
                    return whole + np.int16(intercept)
                return (stored.astype(np.int64) * int(slope) + int(intercept)).astype(dtype)
    wide_enough = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    return (stored.astype(np.float64) * slope + intercept).astype(wide_enough)


def look_up(stored: Pixels, table: Dataset) -> Pixels:
    """Return values from a lookup table; numbers beyond its ends get its end values.

    Raises:
        Unsuitable: the table's length differs from its descriptor.
    """
    values, first = _entries(table, "LUTDescriptor", "LUTData", signed=stored.dtype.kind == "i")
    return values[np.clip(stored.astype(np.int64) - first, 0, len(values) - 1)]


def apply_palette(
    stored: Num[np.ndarray, "frames rows columns"], dataset: Dataset
) -> Num[np.ndarray, "frames rows columns 3"]:
    """Return RGB by the palette of the file, in 8 bits if the palette has no more."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        colours = apply_color_lut(stored, dataset)
    else:
        planes = []
        for name in ("Red", "Green", "Blue"):
            stem = f"{name}PaletteColorLookupTable"
            values, first = _entries(dataset, f"{stem}Descriptor", f"{stem}Data", signed=stored.dtype.kind == "i")
            planes.append(values[np.clip(stored.astype(np.int64) - first, 0, len(values) - 1)])
        colours = np.stack(planes, axis=-1)
    if colours.dtype == np.uint16 and not (colours & 0xFF).any():
        return (colours >> 8).astype(np.uint8)
    return colours.astype(np.uint8) if colours.max() < 256 else colours


def _entries(table: Dataset, descriptor: str, data: str, *, signed: bool) -> tuple[np.ndarray, int]:
    """Return the entries of a lookup table, and the stored number of its first entry."""
    count, first, _ = (int(value) for value in table[descriptor].value)
    count = count or 65_536
    content = table[data].value
    if isinstance(content, bytes):
        # pydicom takes the words of a big-endian file as little-endian ones.
        big = getattr(table, "original_encoding", (None, None))[1] is False and table[data].VR == "OW"
        packed = len(content) in (count, count + 1)  # two entries of 8 bits in a word
        if packed and big:
            raise Unsuitable("has a lookup table of bytes in big-endian words; convert it to little endian")
        values = np.frombuffer(content, np.uint8 if packed else ">u2" if big else "<u2").astype(np.uint16)
    else:
        values = np.atleast_1d(np.asarray(content, dtype=np.uint16))
    if len(values) < count:
        raise Unsuitable(f"has a lookup table of {len(values)} values that should have {count}; replace the file")
    return values[:count], first - 65_536 if signed and first > 32_767 else first


def span_of(dataset: Dataset, dtype: np.dtype) -> tuple[int, int]:
    """Return the lowest and the highest number that the file can store."""
    bits = int(dataset.get("BitsStored") or dtype.itemsize * 8)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.kind == "i" else (0, 2**bits - 1)


def to_values(stored: Pixels, dataset: Dataset, modality: str, assumed: list[str]) -> tuple[Pixels, float | None]:
    """Return grey values after the modality transform; greater is brighter.

    Args:
        stored: the decoded numbers, grey.
        dataset: the file, or the functional groups of one frame.
        modality: the modality of the file.
        assumed: assumptions are appended here.

    Returns:
        The values; and if MONOCHROME1 was inverted, the number that they were subtracted from.
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


def window_of(dataset: Dataset, mirror: float | None, assumed: list[str]) -> tuple[float, float] | None:
    """Return the first VOI window of the file, in the values of the scan.

    Args:
        dataset: the file, or the functional groups of one frame.
        mirror: if values were inverted, the number that they were subtracted from.
        assumed: assumptions are appended here.
    """
    found = _from_table(dataset, assumed) or _from_numbers(dataset, assumed)
    if found is None or mirror is None:
        return found
    return mirror - found[1], mirror - found[0]


def _from_table(dataset: Dataset, assumed: list[str]) -> tuple[float, float] | None:
    table = first_item(dataset, "VOILUTSequence")
    if table is None:
        return None
    entries, first, _ = (int(value) for value in table.LUTDescriptor)
    assumed.append("The range of a VOI lookup table was taken as the window; its curve was ignored.")
    return float(first), float(first + (entries or 65_536) - 1)


def _from_numbers(dataset: Dataset, assumed: list[str]) -> tuple[float, float] | None:
    centres, widths = (_listed(dataset.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if not centres or not widths:
        return None
    if len(centres) > 1:
        assumed.append(f"The file names {len(centres)} windows; the first was taken.")
    centre, width = centres[0], widths[0]
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if not math.isfinite(centre) or not math.isfinite(width) or width < (1 if function == "LINEAR" else 1e-12):
        assumed.append(f"The window of centre {centre:g} and width {width:g} is impossible and was ignored.")
        return None
    if function == "LINEAR":  # the standard's equation (C.11.2.1.2.1)
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    if function != "LINEAR_EXACT":
        assumed.append(f"The window's curve {function} was taken as linear between the same centre and width.")
    return centre - width / 2, centre + width / 2


def _listed(value: object) -> list[float]:
    if value is None or value == "":
        return []
    try:
        return [float(item) for item in value]  # type: ignore[attr-defined]
    except TypeError:
        return [float(value)]  # type: ignore[arg-type]
