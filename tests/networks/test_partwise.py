from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from medshot.imaging import ArrayImages, ImageShape
from medshot.imaging.ecg import LEADS, cut_leads
from medshot.networks.encoders import ENCODERS, EncodedShape
from medshot.networks.encoders.ecg import LITE0_ECG, lead_pictures
from medshot.networks.encoders.encoder import Encoder
from medshot.networks.encoders.lite0 import LITE0
from medshot.networks.encoders.partwise import PartwiseEncoder

MEANS = Encoder(ImageShape(3, 8), (3,), "0" * 64, nn.Identity)


def quarters(page: np.ndarray) -> np.ndarray:
    return np.stack([page[:, y : y + 8, x : x + 8] for y in (0, 8) for x in (0, 8)])


def means(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(axis=(2, 3))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 4))
def test_features_of_the_parts_stand_side_by_side(seed: int, count: int) -> None:
    encoder = PartwiseEncoder(ImageShape(3, 16), quarters, 4, MEANS, "quarters")
    pages = np.random.default_rng(seed).integers(0, 256, (count, 3, 16, 16)).astype(np.float32)
    together = encoder.around(means)(pages)
    assert together.shape == (count, sum(encoder.blocks))
    for page, row in zip(pages, together, strict=True):
        assert np.array_equal(row, np.concatenate([means(part[None])[0] for part in quarters(page)]))


def test_the_hash_follows_the_parts_encoder_and_the_version() -> None:
    hashes = {
        PartwiseEncoder(ImageShape(3, 16), quarters, 4, of_parts, version).sha256
        for of_parts in (MEANS, LITE0)
        for version in ("one", "two")
    }
    assert len(hashes) == 4


def test_the_leads_of_a_page_come_in_the_shape_of_the_network() -> None:
    page = np.random.default_rng(0).integers(0, 256, LITE0_ECG.shape.dimensions, dtype=np.uint8)
    pictures = lead_pictures(page)
    assert (pictures.shape, pictures.dtype) == ((LEADS, *LITE0.shape.dimensions), np.uint8)
    assert pictures.any()
    assert len(cut_leads(page.transpose(1, 2, 0))) == LEADS


@pytest.mark.slow
def test_pages_are_encoded_lead_by_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    page = np.full((126, 224), 255, np.uint8)
    page[::31, 8:216] = 0
    shape = EncodedShape("lite0-ecg")
    read = shape.read(ArrayImages(page[None]), np.array([0]))
    assert read.shape == (1, LEADS * sum(ENCODERS["lite0"].blocks))
    assert read.norm() == pytest.approx(4, abs=1e-3)
