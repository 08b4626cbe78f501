"""Several encoders joined by "+", and the refusal of images that they were trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.cli.loading import input_spec
from medshot.encoders import ENCODERS, EncodedBagInput, EncodedInput, reader_of
from medshot.encoders.encoder import Encoder
from medshot.errors import InputError
from medshot.evaluation import refuse_overlap
from medshot.imaging import MISSING, ArrayImages, ImageInput, SeveralImages
from medshot.learners import create
from medshot.simulated import simulate
from medshot.tasks import Task, training_images

SMALL, LARGE = (ImageInput(channels=3, size=size) for size in (16, 64))
SEEN, UNSEEN = (simulate("chest", seed=seed, patients=3, size=96) for seed in (1, 2))


class Corners(nn.Module):
    """A quick encoder: the mean of each channel, and two pixels of the first, relative to mid-grey."""

    def forward(self, pixels: Float[Tensor, "images 3 size size"]) -> Float[Tensor, "images 5"]:
        return torch.cat([pixels.mean((2, 3)), pixels[:, 0, 8, 4:6]], dim=1) - 127


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register two quick encoders, the second trained on medical images, and use a store for this test alone."""
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    monkeypatch.setitem(ENCODERS, "corners", Encoder(SMALL, (3, 2), "c0" * 32, Corners))
    trained = Encoder(LARGE, (3, 1, 1), "c1" * 32, Corners, training_images=lambda: training_images([SEEN], LARGE))
    monkeypatch.setitem(ENCODERS, "trained", trained)


def pictures(count: int, seed: int = 0) -> ArrayImages:
    return ArrayImages(np.random.default_rng(seed).integers(0, 256, (count, 64, 64), dtype=np.uint8))


def test_joined_features_are_those_of_the_parts_each_block_with_its_share():
    images, rows = pictures(5), np.array([3, 1])
    joined = EncodedInput("corners+trained")
    assert joined.blocks == (3, 2, 3, 1, 1)
    parts = [reader_of(EncodedInput(name)).read(images, rows) for name in ("corners", "trained")]
    shares = [(len(ENCODERS[name].blocks) / 5) ** 0.5 for name in ("corners", "trained")]
    expected = torch.cat([share * part for share, part in zip(shares, parts, strict=True)], dim=1)
    torch.testing.assert_close(reader_of(joined).read(images, rows), expected)
    torch.testing.assert_close(reader_of(joined).read(images, rows).norm(dim=1), torch.full((2,), 4.0))
    turned = reader_of(EncodedInput("trained+corners")).read(images, rows)
    torch.testing.assert_close(turned, expected[:, [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]])


def test_joined_bags_and_parts_hold_the_features_of_whole_pictures():
    rows = {"flair": np.array([0, 1, MISSING]), "post": np.array([2, MISSING, 0])}
    several = SeveralImages({"flair": pictures(2), "post": pictures(3, seed=1)}, rows)
    bags = reader_of(EncodedBagInput("corners+trained", images=2)).read(several, np.arange(3))
    assert bags.shape == (3, 2, 11)
    assert bags[..., 0].tolist() == [[1, 1], [1, 0], [0, 1]]
    whole = reader_of(EncodedInput("corners+trained")).read(several.sources["post"], np.array([2]))
    torch.testing.assert_close(bags[0, 1, 1:], whole[0])


def test_a_cut_page_has_the_features_of_all_encoders_lead_after_lead():
    page = ArrayImages(np.random.default_rng(0).integers(0, 256, (2, 126, 224), dtype=np.uint8))
    joined = EncodedInput("corners+trained", cut="leads")
    features = reader_of(joined).read(page, np.arange(2)).unflatten(1, (14, 10))
    parts = [
        reader_of(EncodedInput(name, cut="leads")).read(page, np.arange(2)).unflatten(1, (14, 5))
        for name in ("corners", "trained")
    ]
    for found, part, blocks in ((features[..., :5], parts[0], 2), (features[..., 5:], parts[1], 3)):
        torch.testing.assert_close(found, part * (blocks / 5) ** 0.5)


def test_nothing_is_embedded_twice(tmp_path: Path):
    reader_of(EncodedInput("corners")).prepare(pictures(4))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.f32")}
    reader_of(EncodedInput("corners+trained")).prepare(pictures(4))
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.f32")}
    assert len(before) == 2
    assert len(after) == 4
    assert before.items() <= after.items()


def test_the_hash_is_of_all_in_their_order_and_is_recorded():
    names = ("corners", "trained", "corners+trained", "trained+corners")
    assert len({EncodedInput(name).sha256 for name in names}) == 4
    shape = input_spec("corners+trained")
    assert shape == EncodedInput("corners+trained")
    record = create("logistic", input_spec=shape).record()
    assert record.input_spec == shape
    assert shape.to_record().sha256 == shape.sha256
    bags = EncodedBagInput("corners+trained", images=2)
    assert create("logistic", input_spec=bags).record().input_spec == bags


def one_of_the_training(noise: int) -> Task:
    images = UNSEEN.images.array.copy()
    images[3] = np.clip(SEEN.images.array[5].astype(int) + noise, 0, 255)
    return Task("test", ArrayImages(images), UNSEEN.labels, UNSEEN.classes, UNSEEN.patients)


@pytest.mark.parametrize("shape", [EncodedInput, EncodedBagInput])
@pytest.mark.parametrize(("noise", "identical"), [(0, 1), (1, 0)])
def test_a_baseline_is_refused_images_that_its_encoder_was_trained_on(shape: type, noise: int, identical: int):
    task, learner = one_of_the_training(noise), create("logistic", input_spec=shape("corners+trained"))
    with pytest.raises(InputError, match=rf"shares 1 of its 6 .*encoder 'trained' of 'logistic' .*\({identical} iden"):
        refuse_overlap(learner, [task])
    refuse_overlap(create("logistic", input_spec=shape("corners")), [task])
    refuse_overlap(learner, [UNSEEN])


def test_images_that_are_cut_are_recognised_as_wholes():
    for shape in (EncodedInput("trained", cut="leads"), EncodedBagInput("trained", cut="patches")):
        with pytest.raises(InputError, match=r"shares 1 of its 6 images.*0 identical"):
            refuse_overlap(create("logistic", input_spec=shape), [one_of_the_training(1)])


def test_only_rows_of_the_task_count():
    shared = one_of_the_training(0)
    rows = np.array([0, 1, 2, 4, 5])
    labels, patients = UNSEEN.labels[rows], UNSEEN.patients[rows]
    few = Task("test", shared.images, labels, UNSEEN.classes, patients, rows=rows)
    refuse_overlap(create("logistic", input_spec=EncodedInput("trained")), [few])


def test_any_image_of_a_sample_counts():
    rows = {"first": np.arange(6), "second": np.array([MISSING, 0, 1, 2, 3, MISSING])}
    several = SeveralImages({"first": UNSEEN.images, "second": one_of_the_training(0).images}, rows)
    task = Task("test", several, UNSEEN.labels, UNSEEN.classes, UNSEEN.patients)
    with pytest.raises(InputError, match=r"shares 1 of its 6 images.*1 identical"):
        refuse_overlap(create("logistic", input_spec=EncodedBagInput("trained", images=2)), [task])
