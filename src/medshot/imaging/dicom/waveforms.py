"""Read waveforms (PS3.3 C.10.9), such as electrocardiograms, in millivolts with the names of their leads."""

import numpy as np
from jaxtyping import Float
from pydicom.dataset import Dataset
from pydicom.waveforms.numpy_handler import multiplex_array

from medshot.imaging.dicom.header import BYTE_LIMIT, Unsuitable, first_item, number
from medshot.imaging.scan import MILLIVOLTS


def waveform_of(
    dataset: Dataset, assumed: list[str]
) -> tuple[Float[np.ndarray, "1 leads samples"], tuple[str, ...], float, str]:
    """Return the first group of waveforms.

    Returns:
        Values `(1, leads, samples)`, the names of the leads, the milliseconds between samples, and the unit.

    Raises:
        Unsuitable: the header contradicts itself, or values are not finite.
    """
    groups = dataset.WaveformSequence
    if len(groups) > 1:
        assumed.append(f"The file holds {len(groups)} groups of waveforms; the first was taken.")
    group = groups[0]
    channels, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    frequency = number(group, "SamplingFrequency")
    if channels < 1 or samples < 1 or channels * samples * 8 > BYTE_LIMIT:
        raise Unsuitable(f"claims {channels} leads of {samples} samples; replace the file")
    if frequency is None or frequency <= 0:
        raise Unsuitable(f"has SamplingFrequency {group.get('SamplingFrequency')}; replace the file")
    expected, found = channels * samples * int(group.WaveformBitsAllocated) // 8, len(group.WaveformData)
    if found < expected:
        raise Unsuitable(f"is cut off: it has {found:,} of {expected:,} bytes of waveforms; copy it again")
    values = multiplex_array(dataset, 0, as_raw=False).T.astype(np.float64)
    units = {_unit(channel) for channel in group.ChannelDefinitionSequence}
    unit = units.pop() if len(units) == 1 else ""
    if units:
        assumed.append("The leads have different units; their values are as stored.")
    elif not unit:
        assumed.append("The leads have no unit; their values are as stored.")
    if unit in MILLIVOLTS:
        values, unit = values * MILLIVOLTS[unit], "mV"
    if not np.isfinite(values).all():
        raise Unsuitable("holds values that are not finite numbers; replace the file")
    leads = tuple(_name(channel, place) for place, channel in enumerate(group.ChannelDefinitionSequence))
    return values.astype(np.float32)[None], leads, 1000 / frequency, unit


def _unit(channel: Dataset) -> str:
    item = first_item(channel, "ChannelSensitivityUnitsSequence")
    return str(item.get("CodeValue") or "") if item is not None else ""


def _name(channel: Dataset, place: int) -> str:
    source = first_item(channel, "ChannelSourceSequence")
    named = str(source.get("CodeMeaning") or "") if source is not None else str(channel.get("ChannelLabel") or "")
    return named.removeprefix("Lead ").strip() or f"lead {place + 1}"
