"""Enhanced multi-frame files (PS3.3 C.7.6.16): what holds for all frames and what for each, as one header a frame."""

from pydicom.dataset import Dataset, FileDataset

from medshot.imaging.dicom.headers import Unsuitable, first_item

_GROUPS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
)
_BESIDE = ("PhotometricInterpretation", "BitsStored", "SequenceOfUltrasoundRegions")
_PARTS = ("StackID", "TemporalPositionIndex", "DimensionIndexValues")


def frame_headers(dataset: FileDataset, frames: int) -> list[Dataset]:
    """For every frame the attributes that hold for it; the file's own, over and over, where it has no groups.

    Raises:
        Unsuitable: groups for another number of frames.
    """
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    each = dataset.get("PerFrameFunctionalGroupsSequence")
    if shared is None and not each:
        return [dataset] * frames
    if each and len(each) != frames:
        raise Unsuitable(f"has {frames} frames and describes {len(each)}; replace the file")
    return [_merged(dataset, shared, each[index] if each else None) for index in range(frames)]


def _merged(dataset: FileDataset, shared: Dataset | None, own: Dataset | None) -> Dataset:
    merged = Dataset()
    for keyword in _BESIDE:
        if keyword in dataset:
            merged[keyword] = dataset[keyword]
    for group in _GROUPS:
        for source in (shared, own):
            item = first_item(source, group) if source is not None else None
            if item is not None:
                merged.update(item)
    return merged
