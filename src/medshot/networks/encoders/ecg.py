"""EfficientNet-Lite0 over the leads of an ECG page, one by one."""

import numpy as np
from jaxtyping import UInt8

from medshot.imaging import ImageShape, fit
from medshot.imaging.ecg import LEADS, cut_leads
from medshot.networks.encoders.lite0 import LITE0
from medshot.networks.encoders.partwise import PartwiseEncoder

_SIZE = 896  # of a page: a quarter of a row is then as wide as the pictures that the network takes


def lead_pictures(page: UInt8[np.ndarray, "3 size size"]) -> UInt8[np.ndarray, "13 3 224 224"]:
    """The leads of a page as pictures of the network's size."""
    leads = cut_leads(np.ascontiguousarray(page.transpose(1, 2, 0)))
    return np.stack([fit(lead, LITE0.shape) for lead in leads])


LITE0_ECG = PartwiseEncoder(
    shape=ImageShape(channels=3, size=_SIZE),
    cut=lead_pictures,
    parts=LEADS,
    of_parts=LITE0,
    version=f"leads of a page of {_SIZE}, white on black, 3 rows of 4 and a strip, reach 0.62",
)
