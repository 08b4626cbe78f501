"""DICOM files and series to scans."""

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset

from medshot.errors import InputError
from medshot.imaging.dicom.headers import PIXELS, Unsuitable, open_dataset, quiet
from medshot.imaging.dicom.picture import Picture, picture_of
from medshot.imaging.dicom.places import Place, repeated, stack
from medshot.imaging.dicom.subject import body_part, burnt_in, keys
from medshot.imaging.dicom.waveforms import waveform_of
from medshot.imaging.reading import read_content
from medshot.imaging.scan import Scan


def read_dicom(path: Path, *, identity: bool = False) -> Scan:
    """Read one DICOM file: a picture, an enhanced multi-frame volume, frames over time, or a waveform.

    Args:
        path: of the file, with or without preamble.
        identity: keep PatientID, StudyInstanceUID and SeriesInstanceUID as they are; else their hashes.

    Raises:
        InputError: the file cannot be read or would be wrong; in one sentence.
    """
    content = read_content(path)
    try:
        with quiet() as warned:
            scan = _scan_of(open_dataset(BytesIO(content)), identity)
    except Unsuitable as reason:
        raise InputError(f"{path} {reason}.") from None
    except Exception as error:  # a damaged file can make a parser or decoder raise nearly anything
        raise InputError(f"{path} {damage(error)}.") from error
    return with_remarks(scan, warned)


def damage(error: BaseException) -> str:
    """The end of the sentence about a file that made a parser or a decoder raise."""
    text = str(error).strip()
    cause = text.splitlines()[0].rstrip(".") if text else type(error).__name__
    return f"is not a readable DICOM file ({cause[:200]}); replace the file or remove it from the data"


def with_remarks(scan: Scan, warned: list[str]) -> Scan:
    """The scan, with a sentence where its header broke the standard."""
    if not warned:
        return scan
    remark = f"The header breaks the standard ({warned[0].splitlines()[0].rstrip('.')[:160]}); it was read leniently."
    return Scan(**{**scan.__dict__, "assumed": (*scan.assumed, remark)})


def modality_of(dataset: FileDataset) -> str:
    """The modality, in capitals; "" where the file has none."""
    return str(dataset.get("Modality") or "").strip().upper()


def described(dataset: FileDataset, identity: bool, assumed: list[str]) -> dict[str, Any]:
    """What a scan says of whom and what it is of."""
    return {
        "modality": modality_of(dataset),
        "body_part": body_part(dataset),
        "burnt_in": burnt_in(dataset),
        **keys(dataset, identity=identity, assumed=assumed),
    }


def _scan_of(dataset: FileDataset, identity: bool) -> Scan:
    assumed: list[str] = []
    about = described(dataset, identity, assumed)
    if "WaveformSequence" in dataset and not any(keyword in dataset for keyword in PIXELS):
        values, leads, period, unit = waveform_of(dataset, assumed)
        about |= {"array": values, "kind": "waveform", "leads": leads, "units": unit, "spacing": (None, None, period)}
        return Scan(**about, assumed=tuple(assumed))
    picture = picture_of(dataset, about["modality"], assumed)
    about |= {"window": picture.window, "units": picture.units}
    places = [place for place in picture.places if place is not None]
    if len(picture.array) > 1 and len(places) == len(picture.array):
        about |= _volume(picture, places, assumed)
    else:
        about |= _flat(picture, places, assumed)
    return Scan(**about, assumed=tuple(dict.fromkeys(assumed)))


def _volume(picture: Picture, places: list[Place], assumed: list[str]) -> dict[str, Any]:
    groups = repeated(places)
    if groups:
        raise Unsuitable(
            f"holds up to {max(map(len, groups))} frames at one place (stacks, moments or echoes); split it into one "
            "file for each"
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


def _flat(picture: Picture, places: list[Place], assumed: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"array": picture.array, "overlays": picture.overlays}
    if picture.spacing[0] is None:
        assumed.append("The file does not tell how large a pixel is.")
    if len(picture.array) > 1:
        assumed.append("The frames have no places of their own; they were taken in the file's order.")
        return {**found, "kind": "frames", "spacing": (None, *picture.spacing)}
    if not places:
        return {**found, "kind": "picture", "spacing": (None, *picture.spacing)}
    ordered = stack(places, "pictures", assumed)
    return {**found, "kind": "picture", "affine": ordered.affine, "spacing": ordered.spacing}
