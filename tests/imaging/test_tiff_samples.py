"""TIFF files whose samples medshot does not decode are refused for that reason, and not as damaged."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from medshot.errors import InputError
from medshot.imaging import read
from medshot.imaging.reading import read_image


def tiff(
    path: Path, data: bytes, bits: int, colours: int = 1, samples: int = 1, number: int = 1, pages: int = 1
) -> Path:
    """A TIFF of 8 × 4 pixels in one strip."""
    content, pointer = bytearray(b"II*\0\0\0\0\0"), 4
    for _ in range(pages):
        strip = len(content)
        content += data + b"\0" * (len(data) % 2)
        widths = len(content)
        content += struct.pack(f"<{samples}H", *[bits] * samples)
        if samples == 1:
            widths = bits
        entries = [(256, 3, 1, 8), (257, 3, 1, 4), (258, 3, samples, widths), (259, 3, 1, 1), (262, 3, 1, colours)]
        entries += [
            (273, 4, 1, strip),
            (277, 3, 1, samples),
            (278, 3, 1, 4),
            (279, 4, 1, len(data)),
            (339, 3, 1, number),
        ]
        struct.pack_into("<I", content, pointer, len(content))
        content += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        pointer = len(content)
        content += b"\0\0\0\0"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pages", [1, 2])
@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"bits": 2}, "samples of 2 bits"),
        ({"bits": 4}, "samples of 4 bits"),
        ({"bits": 24}, "samples of 24 bits"),
        ({"bits": 16, "number": 3}, "floating-point samples of 16 bits"),
        ({"bits": 16, "colours": 5, "samples": 4}, "CMYK colours of 16 bits"),
    ],
)
def test_the_reason_is_the_kind_of_samples(tmp_path, layout, reason, pages):
    data = bytes(32 * layout["bits"] * layout.get("samples", 1) // 8)
    path = tiff(tmp_path / "a.tif", data, pages=pages, **layout)
    with pytest.raises(InputError, match=f"holds {reason}; save it"):
        read(path)
    if pages == 1:
        with pytest.raises(InputError, match=f"holds {reason}; save it"):
            read_image(path)


def test_other_samples_are_read(tmp_path):
    values = np.arange(32).reshape(4, 8)
    assert_array_equal(read_image(tiff(tmp_path / "a.tif", values.astype("u1").tobytes(), 8)), values)
    assert_array_equal(read_image(tiff(tmp_path / "b.tif", values.astype("<u2").tobytes(), 16)), values)
    packed = np.repeat(np.arange(32) * 100, 3).reshape(32, 3) >> [8, 4, 0]  # nibbles of 12 bits
    nibbles = (packed & 15).astype(np.uint8).reshape(-1, 2)
    twelve = (nibbles[:, 0] << 4 | nibbles[:, 1]).tobytes()
    assert_array_equal(read_image(tiff(tmp_path / "d.tif", twelve, 12)), values * 1600)
    bits = np.random.default_rng(0).integers(0, 2, (4, 8)).astype(np.uint8)
    assert_array_equal(read_image(tiff(tmp_path / "c.tif", np.packbits(bits, axis=1).tobytes(), 1)), bits * 255)


def test_real_numbers_of_single_precision_are_refused_by_their_type(tmp_path):
    path = tiff(tmp_path / "a.tif", np.zeros(32, "<f4").tobytes(), 32, number=3)
    with pytest.raises(InputError, match="float32 samples"):
        read_image(path)
