"""The usual cut of images, found by looking at them."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medshot.errors import InputError
from medshot.imaging import ArrayImages, usual_cut
from medshot.simulated import simulate
from medshot.tasks import load_tasks


def test_simulated_ecg_pages_are_cut_and_films_are_not():
    assert usual_cut(simulate("ecg", seed=1, patients=3, size=320).images) == "leads"
    assert usual_cut(simulate("chest", seed=1, patients=3, size=64).images) is None


@pytest.mark.parametrize("width", [0, 1, 3, 8])
def test_wide_texture_is_no_page(width: float):
    noise = np.random.default_rng(0).normal(size=(3, 600, 800))
    blurred = np.stack([gaussian_filter(image, width) if width else image for image in noise])
    scaled = 255 * (blurred - blurred.min()) / np.ptp(blurred)
    assert usual_cut(ArrayImages(scaled.astype(np.uint8))) is None


def test_volumes_are_not_looked_at():
    assert usual_cut(ArrayImages(np.zeros((2, 8, 8, 9), np.uint8))) is None


@pytest.mark.slow
def test_of_real_sets_only_ecg_pages_are_cut(shared_data: Path):
    cut = {}
    for folder in sorted(path.parent for path in shared_data.glob("*/task.csv")):
        with suppress(InputError):  # some manifests list masks and no labels
            (task,) = load_tasks(folder)
            cut[folder.name] = usual_cut(task.images)
    assert cut.pop("ecg_12lead_images") == "leads"
    assert len(cut) > 6
    assert set(cut.values()) == {None}
