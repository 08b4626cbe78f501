"""Read the header of each frame of a multi-frame file from its functional groups (PS3.3 C.7.6.16)."""

from collections.abc import Sequence
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset

from medshot.imaging.dicom.header import Unsuitable, first_item, number

_GROUPS = {  # the elements of each group, which some files have at their root instead
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "RealWorldValueMappingSequence": (),
}
_AT_ROOT = (
    *("PhotometricInterpretation", "BitsStored", "SequenceOfUltrasoundRegions", "DoseGridScaling"),
    *("ImagerPixelSpacing", "NominalScannedPixelSpacing"),
)
_MAPPING = "RealWorldValueMappingSequence"
_DIFFERENCES = {  # what may differ between frames at one position: the group and the element that contains it
    "moments": ("FrameContentSequence", "TemporalPositionIndex"),
    "stacks": ("FrameContentSequence", "StackID"),
    "echoes": ("MREchoSequence", "EffectiveEchoTime"),
    "b-values": ("MRDiffusionSequence", "DiffusionBValue"),
    "segments": ("SegmentIdentificationSequence", "ReferencedSegmentNumber"),
}


def frame_headers(dataset: FileDataset, frames: int, assumed: list[str]) -> list[Dataset]:
    """Return the header of each frame from the functional groups; the file's own header if it has none.

    What a group lacks is taken from the root of the file, which is reported. Real-world values become a rescaling if
    they differ between frames, because frames are comparable only then.

    Raises:
        Unsuitable: there are functional groups for another number of frames.
    """
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    each = dataset.get("PerFrameFunctionalGroupsSequence")
    if shared is None and not each:
        _map_values([dataset], assumed)
        return [dataset] * frames
    if each and len(each) != frames:
        raise Unsuitable(f"has {frames} frames and describes {len(each)}; replace the file")
    notes: list[str] = []
    headers = [_merged(dataset, shared, each[index] if each else None, frames, notes) for index in range(frames)]
    assumed += dict.fromkeys(notes)
    _map_values(headers, assumed)
    return headers


def differences(dataset: FileDataset, frames: Sequence[int]) -> list[str]:
    """Return in which ways these frames differ, such as "moments", according to their functional groups."""
    each = dataset.get("PerFrameFunctionalGroupsSequence")
    if not each:
        return []
    found = []
    for name, (group, keyword) in _DIFFERENCES.items():
        items = [first_item(each[index], group) for index in frames]
        if len({str(item.get(keyword)) for item in items if item is not None}) > 1:
            found.append(name)
    return found


def _merged(
    dataset: FileDataset, shared: Dataset | None, own: Dataset | None, frames: int, assumed: list[str]
) -> Dataset:
    merged = Dataset()
    for keyword in _AT_ROOT:
        if keyword in dataset:
            merged[keyword] = dataset[keyword]
    taken: list[str] = []
    for group, keywords in _GROUPS.items():
        for source in (shared, own):
            item = first_item(source, group) if source is not None else None
            if item is not None and group == _MAPPING:
                merged[group] = source[group]  # type: ignore[index]
            elif item is not None:
                merged.update(item)
        at_root = [word for word in keywords if dataset.get(word) not in (None, "")]
        if not any(word in merged for word in keywords):
            if group == "PlanePositionSequence" and frames > 1:  # one position cannot be that of all frames
                continue
            taken += at_root
            for word in at_root:
                merged[word] = dataset[word]
        else:
            _name_contradiction(dataset, merged, [word for word in at_root if word.startswith("Rescale")], assumed)
    if taken:
        assumed.append(f"{', '.join(taken)} are at the root of the file, beside its functional groups; they were used.")
    return merged


def _name_contradiction(dataset: FileDataset, merged: Dataset, words: list[str], assumed: list[str]) -> None:
    odd = [word for word in words if word != "RescaleType" and number(dataset, word) != number(merged, word)]
    if odd:
        assumed.append(f"{', '.join(odd)} at the root contradict the functional groups, which were used.")


class _Mapping(NamedTuple):
    slope: float | None
    intercept: float | None
    unit: str


def _map_values(headers: list[Dataset], assumed: list[str]) -> None:
    """Write the real-world values of frames that differ in them into their headers as a rescaling, or report them."""
    mappings = [_mapping_of(header) for header in headers]
    distinct = set(mappings)
    if distinct == {None} or all(
        mapping is not None and mapping[:2] == _rescaling_of(header)
        for mapping, header in zip(mappings, headers, strict=True)
    ):
        return
    usable = all(mapping is not None and mapping.slope and mapping.intercept is not None for mapping in mappings)
    if len(distinct) == 1 or not usable or len({_rescaling_of(header) for header in headers}) > 1:
        slopes = sorted({mapping.slope for mapping in distinct if mapping is not None and mapping.slope is not None})
        between = f"of slope {' to '.join(f'{slope:g}' for slope in (slopes[:1] + slopes[1:][-1:]))}" if slopes else ""
        assumed.append(f"The file maps its values to real-world values {between or 'by a table'}; it was not applied.")
        return
    units = sorted({mapping.unit for mapping in distinct if mapping is not None and mapping.unit})
    named = f" ({', '.join(units)})" if units else ""
    assumed.append(f"Each frame was scaled by its own real-world values{named}, which differ between frames.")
    for mapping, header in zip(mappings, headers, strict=True):
        if mapping is None:
            continue
        for keyword, value in (("RescaleSlope", mapping.slope), ("RescaleIntercept", mapping.intercept)):
            tag = tag_for_keyword(keyword)
            header[tag] = DataElement(tag, "FD", value)  # type: ignore[arg-type, index]


def _mapping_of(header: Dataset) -> _Mapping | None:
    item = first_item(header, _MAPPING)
    if item is None:
        return None
    unit = first_item(item, "MeasurementUnitsCodeSequence")
    return _Mapping(
        number(item, "RealWorldValueSlope"),
        number(item, "RealWorldValueIntercept"),
        str(unit.get("CodeValue") or "") if unit is not None else "",
    )


def _rescaling_of(header: Dataset) -> tuple[float, float]:
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    return 1.0 if slope is None else slope, intercept or 0.0
