"""What an encoder is shown of a page of an electrocardiogram: each lead by itself, and the usual beats of all."""

import numpy as np
from jaxtyping import UInt8

from medshot.imaging.ecg.leads import PAGE_LEADS, cut_leads, draw_beats, find_layout, follow_traces, median_beats
from medshot.imaging.ecg.page import read_ink, without_bars
from medshot.imaging.scan import Image

PAGE_PICTURES = (*PAGE_LEADS, "beats")


def page_pictures(page: Image) -> list[UInt8[np.ndarray, "_ _"]]:
    """The pictures of a page of three rows of four leads above one strip, in the order of `PAGE_PICTURES`.

    All are white on black and without the ruling. The leads show every beat as it was written, the last picture the
    median beat of each lead.

    Args:
        page: see `read_ink`.
    """
    ink = read_ink(page)
    layout = find_layout(ink)
    ink = without_bars(ink)
    return [*cut_leads(ink, layout), draw_beats(median_beats(follow_traces(ink, layout)))]
