"""Decode lossless JPEG by GDCM in a separate process, which runs this script.

If data are corrupt, GDCM's libjpeg prints a line and returns the rest as if nothing had happened. Only in a separate
process are such lines not mixed with others. The script must not import `medshot.imaging`, which takes seconds.
"""

import sys

if __name__ == "__main__":
    sys.path[:] = sys.argv[1:]

import warnings
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder

from medshot.process import answer_requests, capture_stderr


def decode_by_gdcm(request: bytes) -> tuple[dict[str, Any], bytes]:
    """Decode the pixels of a DICOM file.

    Args:
        request: the file.

    Returns:
        `dtype` and `shape` of the array, the `warnings` raised and the lines `printed` on stderr; or the `error`, if
        it could not be decoded. And the bytes of the array.
    """
    with warnings.catch_warnings(record=True) as raised, capture_stderr() as printed:
        warnings.simplefilter("always")
        try:
            dataset = dcmread(BytesIO(request))
            array, _ = get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, decoding_plugin="gdcm")
        except Exception as error:
            return {"error": str(error) or type(error).__name__}, b""
    answer = {"dtype": array.dtype.str, "shape": array.shape, "printed": printed}
    answer["warnings"] = [str(warning.message) for warning in raised]
    return answer, np.ascontiguousarray(array).tobytes()


if __name__ == "__main__":
    answer_requests(decode_by_gdcm)
