"""Define `Scan`: the values of one file, series or archive, their position in the patient, and what was assumed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8, UInt16

Kind = Literal["picture", "volume", "frames", "waveform"]

MILLIVOLTS = {"V": 1e3, "mV": 1.0, "uV": 1e-3, "µV": 1e-3, "μV": 1e-3}  # units of waveforms in millivolts


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A picture, a volume, frames over time, or a waveform, as `medshot.imaging.read` returns it.

    Args:
        array: `(slices, rows, columns)` or, for colour, `(slices, rows, columns, 3)`; a picture has one slice, frames
            have their moments in place of slices, and a waveform is `(1, leads, samples)`. Greater is brighter. Values
            are after the modality transform: Hounsfield units in CT, otherwise in `units`.
        kind: what the first axis means.
        affine: from an index `(slice, row, column, 1)` to millimetres to the right, front and top of the patient (RAS);
            None if the file does not give the position.
        spacing: millimetres from slice to slice, row to row, column to column, each None if unknown. In a
            waveform the last is milliseconds from sample to sample.
        modality: as DICOM abbreviates it ("CT", "MR", "DX", …); "" if unknown.
        body_part: as DICOM names it, in capitals; "" if unknown.
        units: "HU", "PET counts", …; "" if the values have no unit.
        patient: key of the patient, a hash unless identity was asked for; "" if unknown.
        study: key of the study, likewise.
        series: key of the series, likewise.
        window: the darkest and the brightest value that the file asks to show; None if it does not.
        span: the lowest and the highest value that a pixel of the file can have; None if that is the whole range of
            the type, or unknown.
        overlays: masks that the file draws over its pixels, never burnt into `array`; None if it has none.
        burnt_in: whether text is burnt into the pixels according to the file; None if it gives no information.
        leads: names of the leads of a waveform.
        assumed: a sentence for each value that was missing or contradictory, naming the value used instead.
    """

    array: Shaped[np.ndarray, "slices rows columns *colours"]
    kind: Kind
    affine: Float[np.ndarray, "4 4"] | None = None
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)
    modality: str = ""
    body_part: str = ""
    units: str = ""
    patient: str = ""
    study: str = ""
    series: str = ""
    window: tuple[float, float] | None = None
    span: tuple[float, float] | None = None
    overlays: Bool[np.ndarray, "slices rows columns"] | None = None
    burnt_in: bool | None = None
    leads: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


Image = (
    UInt8[np.ndarray, "height width"]
    | UInt16[np.ndarray, "height width"]
    | UInt8[np.ndarray, "height width 3"]
    | UInt16[np.ndarray, "height width 3"]
)
Volume = UInt8[np.ndarray, "depth height width"] | UInt16[np.ndarray, "depth height width"]
FittedImage = UInt8[np.ndarray, "channels *sides"] | UInt16[np.ndarray, "channels *sides"]
Pixels = UInt8[np.ndarray, "images channels *sides"] | UInt16[np.ndarray, "images channels *sides"]
