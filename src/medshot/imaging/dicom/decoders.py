"""What pydicom's decoders leave to do: JPEG of 12 bits, and hearing what libjpeg says of damaged pixels."""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import UInt16

_stderr_lock = threading.Lock()


def decode_twelve_bits(frames: list[bytes]) -> UInt16[np.ndarray, "*frames rows columns"]:
    """JPEG frames of 12 bits, which neither Pillow nor GDCM decodes."""
    try:
        from imagecodecs import jpeg8_decode
    except ImportError:
        raise ImportError("JPEG of 12 bits needs the package imagecodecs, which is not installed") from None
    decoded = [jpeg8_decode(frame) for frame in frames]
    return decoded[0] if len(decoded) == 1 else np.stack(decoded)


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Collect what C libraries print on stderr while they decode.

    GDCM's libjpeg prints that data are corrupt, and returns what is left of them as if nothing had happened.
    """
    said: list[str] = []
    with _stderr_lock, tempfile.TemporaryFile() as file:
        try:
            kept = os.dup(2)
        except OSError:  # there is no stderr
            yield said
            return
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said += [line.strip() for line in file.read(10_000).decode(errors="replace").splitlines() if line.strip()]
