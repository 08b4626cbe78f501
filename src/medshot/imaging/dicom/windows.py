"""The window that a file asks for (PS3.3 C.11.2): the darkest and the brightest value to show."""

import math

from pydicom.dataset import Dataset

from medshot.imaging.dicom.headers import first_item


def window_of(dataset: Dataset, mirror: float | None, assumed: list[str]) -> tuple[float, float] | None:
    """The first window of the file, in the values of the scan.

    Args:
        dataset: the file, or what its functional groups say of a frame.
        mirror: where values were inverted, the number from which they were subtracted.
        assumed: what had to be taken is added here.
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
    assumed.append("Of a VOI lookup table the range of its entries was taken as the window, not its curve.")
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
        assumed.append(f"The window of centre {centre:g} and width {width:g} is impossible and was left aside.")
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
