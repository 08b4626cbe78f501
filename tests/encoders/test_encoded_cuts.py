"""Cuts into pictures that each have a meaning: their features are concatenated."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medshot.cli.loading import input_spec
from medshot.encoders import ENCODERS, EncodedBagInput, EncodedInput, reader_of
from medshot.encoders.embedding import normalised
from medshot.encoders.encoder import load_encoder
from medshot.encoders.inputs import identity
from medshot.errors import InputError
from medshot.imaging import CUTS, ArrayImages, CutImages, ImageInput
from medshot.imaging.ecg import PAGE_PICTURES


def page(seed: int = 0) -> np.ndarray:
    """Return a page of four rows of ink, one of them with a step that moves with the seed."""
    drawn = np.full((126, 224), 255, np.uint8)
    drawn[::31, 8:216] = 0
    drawn[8:31, 40 + 10 * seed : 42 + 10 * seed] = 0
    return drawn


def test_a_page_becomes_its_leads_row_by_row():
    assert PAGE_PICTURES[:4] == ("I", "aVR", "V1", "V4")
    assert PAGE_PICTURES[-2:] == ("strip", "beats")
    cut = CutImages(ArrayImages(page()[None]), CUTS["leads"])
    assert len(cut) == len(PAGE_PICTURES) == 14
    pictures = cut.pixels(ImageInput(3, 64))
    assert pictures.shape == (14, 3, 64, 64)
    assert pictures.any(axis=(1, 2, 3)).all()


def test_the_hash_follows_the_cut():
    lite0 = (ENCODERS["lite0"],)
    assert identity(lite0, None) == lite0[0].sha256
    assert len({identity(lite0, cut) for cut in (None, *CUTS.values())}) == 1 + len(CUTS)
    assert EncodedBagInput(cut="slices").sha256 != EncodedBagInput().sha256 == EncodedInput().sha256


def test_cuts_to_pool_and_cuts_to_concatenate_are_not_interchangeable():
    with pytest.raises(InputError, match="cut is 'slices', but must be one of: whole, leads"):
        EncodedInput(cut="slices")
    with pytest.raises(InputError, match="cut is 'leads', but must be one of: whole, slices, patches"):
        EncodedBagInput(cut="leads")
    assert input_spec(cut="leads") == EncodedInput(cut="leads")
    assert input_spec(cut="slices") == EncodedBagInput(cut="slices")
    assert input_spec(cut="whole") == EncodedInput()
    assert input_spec() is None
    with pytest.raises(InputError, match="cut is 'leads'"):
        input_spec(cut="leads", images=2)


@pytest.mark.slow
def test_pages_are_encoded_lead_by_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    images, shape = ArrayImages(np.stack([page(seed) for seed in range(3)])), EncodedInput(cut="leads")
    read = reader_of(shape).read(images, np.array([2, 0])).numpy()
    assert read.shape == (2, 14 * sum(ENCODERS["lite0"].blocks))
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 4, atol=1e-3)
    encode = load_encoder(ENCODERS["lite0"], torch.device("cpu"))
    leads = CutImages(images, CUTS["leads"]).pixels(ENCODERS["lite0"].input_spec).astype(np.float32)
    expected = normalised(encode(leads[28:]).reshape(1, -1), shape.blocks).reshape(14, -1)
    expected *= np.sqrt([14 / 26] * 13 + [14 / 2])[:, None]  # the beats count as much as all leads together
    np.testing.assert_allclose(read[0], expected.ravel(), atol=1e-5)
    assert len(set(map(bytes, reader_of(shape).fingerprints(images)))) == 3
