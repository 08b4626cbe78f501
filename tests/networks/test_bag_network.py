"""Bags of an encoder's features: pooling, reading, missing images, and modality dropout."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn

from medshot.encoders import ENCODERS, EncodedBagInput, EncodedInput, reader_of
from medshot.encoders.encoder import Encoder
from medshot.encoders.inputs import DROPPED
from medshot.errors import InputError
from medshot.imaging import CUTS, MISSING, ArrayImages, Cut, ImageInput, SeveralImages, fingerprints
from medshot.networks.bag_network import AttentionPooling, BagInput, mean_of_present, weights

PIXELS = ImageInput(channels=3, size=16)
SHAPE = BagInput(blocks=(4, 3), kinds=("overview", "patch", "patch", "patch"))


class Corners(nn.Module):
    """A quick encoder: the mean of each channel, and two pixels of the first, relative to mid-grey."""

    def forward(self, pixels: Float[Tensor, "images 3 16 16"]) -> Float[Tensor, "images 5"]:
        return torch.cat([pixels.mean((2, 3)), pixels[:, 0, 8, 4:6]], dim=1) - 127


def halves(image: np.ndarray) -> list[np.ndarray]:
    return [image[0, :8], image[0, 8:]]


HALVES = Cut(
    name="halves",
    version=1,
    input_spec=ImageInput(1, 16),
    kinds=("half", "half"),
    weights=(1.0, 1.0),
    pooled=True,
    identifying=(0,),
    pictures=halves,
)


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a quick encoder and a quick cut, and use a store for this test alone."""
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "cache"))
    corners = Encoder(input_spec=PIXELS, blocks=(3, 2), sha256="c0" * 32, build=Corners)
    monkeypatch.setitem(ENCODERS, "corners", corners)
    monkeypatch.setitem(CUTS, "halves", HALVES)


def pictures(count: int, seed: int = 0) -> ArrayImages:
    return ArrayImages(np.random.default_rng(seed).integers(0, 256, (count, 16, 16), dtype=np.uint8))


def two_sequences() -> SeveralImages:
    """Return five samples: three with both images, and two with one of them each."""
    rows = {"flair": np.array([0, 1, MISSING, 2, 3]), "post": np.array([3, MISSING, 0, 1, 2])}
    return SeveralImages({"flair": pictures(4), "post": pictures(4, seed=1)}, rows)


def random_bags(samples: int, shape: BagInput = SHAPE, seed: int = 0, share: float = 0.7) -> Tensor:
    """Make bags with at least one instance each, and with content also in missing instances."""
    generator = torch.Generator().manual_seed(seed)
    bags = torch.randn(samples, *shape.dimensions, generator=generator, dtype=torch.float64)
    bags[..., 0] = torch.rand(bags.shape[:2], generator=generator) < share
    bags[:, 0, 0] = 1
    return bags


def pooling(scale: float = 1.0) -> AttentionPooling:
    """Make a pooling with attention that is far from even."""
    network = AttentionPooling(SHAPE).double()
    generator = torch.Generator().manual_seed(1)
    for value in network.parameters():
        value.data += scale * torch.randn(value.shape, generator=generator).double()
    return network


@given(seed=st.integers(0, 100), scale=st.sampled_from([0.1, 1.0, 1000.0]))
def test_weights_are_shares_of_what_is_there(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    there = (torch.rand(6, 5, generator=generator) < 0.5).double()
    shares = weights(scores, there)
    assert (shares >= 0).all()
    assert not shares[there == 0].any()
    torch.testing.assert_close(shares.sum(1), (there.sum(1) > 0).double())
    for of_bag, row, kept in zip(shares, scores, there > 0, strict=True):
        torch.testing.assert_close(of_bag[kept], row[kept].softmax(0))


def test_the_score_of_what_is_missing_drowns_nothing():
    shares = weights(torch.tensor([[1e6, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 1.0]]))
    torch.testing.assert_close(shares, torch.tensor([[0.0, 0.5, 0.5]]))


def test_pooling_begins_at_the_mean_of_what_is_there():
    bags = random_bags(20)
    there = bags[..., :1]
    mean = (bags[..., 1:] * there).sum(1) / there.sum(1)
    torch.testing.assert_close(mean_of_present(bags), mean)
    torch.testing.assert_close(AttentionPooling(SHAPE).double()(bags), mean)


def test_what_is_pooled_lies_between_the_instances_and_ignores_what_is_missing():
    bags, network = random_bags(20), pooling()
    pooled = network(bags)
    assert (pooled - mean_of_present(bags)).abs().max() > 0.1, "or this tests the plain mean"
    there = bags[..., :1] > 0
    assert (pooled <= bags[..., 1:].masked_fill(~there, -np.inf).amax(1) + 1e-9).all()
    assert (pooled >= bags[..., 1:].masked_fill(~there, np.inf).amin(1) - 1e-9).all()
    other = bags.clone()
    other[..., 1:] += 100 * ~there
    torch.testing.assert_close(network(other), pooled)


def test_one_instance_is_pooled_to_itself():
    bags = random_bags(10, share=0.0)
    torch.testing.assert_close(pooling()(bags), bags[:, 0, 1:])


def test_instances_of_one_kind_may_change_places_and_those_of_two_may_not():
    bags, network = random_bags(10, share=1.0), pooling()
    torch.testing.assert_close(network(bags[:, [0, 3, 1, 2]]), network(bags))
    assert not torch.allclose(network(bags[:, [1, 0, 2, 3]]), network(bags))


def test_padding_has_finite_gradients():
    network, bags = pooling(), random_bags(4)
    bags[2] = 0
    network(bags).square().sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in network.parameters())


@pytest.mark.parametrize("cut", ["whole", "halves"])
def test_a_bag_holds_what_embedding_each_picture_by_itself_gives(cut):
    images, shape = two_sequences(), EncodedBagInput("corners", cut=cut, images=2)
    bags = reader_of(shape).read(images, np.arange(5))
    assert bags.shape == (5, *shape.dimensions)
    cuts = {"whole": lambda image: [image], "halves": lambda image: halves(image[None])}
    for sample, row in enumerate(images.rows):
        expected = []
        for name, place in zip(images.names, row, strict=True):
            for number in range(len(cuts[cut](np.zeros((16, 16))))):
                if place == MISSING:
                    expected.append(np.zeros(6))
                    continue
                picture = cuts[cut](images.sources[name].array[place])[number]
                features = reader_of(EncodedInput("corners")).read(ArrayImages(picture[None]), np.array([0]))[0]
                expected.append(np.concatenate([[1], features]))
        np.testing.assert_allclose(bags[sample], expected, rtol=1e-5, atol=1e-5)


def test_one_image_a_sample_leaves_the_other_places_empty():
    images = pictures(4)
    bags = reader_of(EncodedBagInput("corners", images=3)).read(images, np.array([2, 0]))
    assert bags[..., 0].tolist() == [[1, 0, 0]] * 2
    assert not bags[:, 1:].any()
    np.testing.assert_array_equal(bags[:, 0, 1:], reader_of(EncodedInput("corners")).read(images, np.array([2, 0])))


def test_rows_none_of_which_has_the_image_can_be_read():
    bags = reader_of(EncodedBagInput("corners", images=2)).read(two_sequences(), np.array([2]))
    assert bags[..., 0].tolist() == [[0, 1]]
    none = reader_of(EncodedBagInput("corners", images=2)).read(two_sequences(), np.empty(0, dtype=np.int64))
    assert none.shape == (0, 2, 6)


def test_the_order_of_the_names_changes_no_prediction():
    images = two_sequences()
    names = images.names[::-1]
    turned = SeveralImages(
        {name: images.sources[name] for name in names}, dict(zip(names, images.rows.T[::-1], strict=True))
    )
    shape = EncodedBagInput("corners", images=2)
    assert shape.kinds == ("whole", "whole")
    one, other = (reader_of(shape).read(each, np.arange(5)) for each in (images, turned))
    torch.testing.assert_close(one, other.flip(1))


def test_more_images_than_are_taken_are_refused():
    with pytest.raises(InputError, match=r"2 images \(flair, post\).*takes 1.*--images 2") as caught:
        reader_of(EncodedBagInput("corners")).prepare(two_sequences())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"encoder": "none"}, {"cut": "pieces"}, {"images": 0}])
def test_a_shape_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        EncodedBagInput(**wrong)


def test_a_sample_is_identified_by_its_first_image():
    images, shape = two_sequences(), EncodedBagInput("corners", images=2)
    flair, post = (fingerprints(images.sources[name].pixels(PIXELS)) for name in images.names)
    np.testing.assert_array_equal(
        reader_of(shape).fingerprints(images), [flair[0], flair[1], post[0], flair[2], flair[3]]
    )
    measured = {name: reader_of(EncodedInput("corners")).measures(images.sources[name]) for name in images.names}
    brightness = [measured["flair"]["brightness"][row] for row in (0, 1, 2, 3)]
    brightness.insert(2, measured["post"]["brightness"][0])
    np.testing.assert_allclose(reader_of(shape).measures(images)["brightness"], brightness)


def test_fingerprints_of_cut_images_differ_where_the_images_do():
    shape = EncodedBagInput("corners", cut="halves")
    prints = reader_of(shape).fingerprints(pictures(6))
    assert prints.shape == (6, 32)
    assert len(np.unique(prints, axis=0)) == 6


def dropped(images: int, there: Tensor, seed: int, cut: str = "whole") -> Tensor:
    """Return which of the present pictures are still there after dropout."""
    shape = EncodedBagInput("corners", cut=cut, images=images)
    bags = torch.ones(len(there), *shape.dimensions)
    bags *= there.repeat_interleave(len(shape.kinds) // images, 1)[..., None]
    kept = shape.drop_images(bags, torch.Generator().manual_seed(seed))
    assert set(kept.unique().tolist()) <= {0.0, 1.0}
    assert (kept == kept[..., :1]).all(), "the features go with the image"
    return kept[..., 0]


@given(images=st.integers(2, 5), seed=st.integers(0, 1000))
def test_dropout_adds_nothing_and_never_takes_the_last_image(images, seed):
    there = (torch.rand(200, images, generator=torch.Generator().manual_seed(seed)) < 0.4).float()
    there[:, 0] = 1
    kept = dropped(images, there, seed + 1)
    assert (kept <= there).all()
    assert (kept.sum(1) >= 1).all()
    lonely = there.sum(1) == 1
    assert torch.equal(kept[lonely], there[lonely])


@pytest.mark.parametrize("images", [2, 3, 6])
def test_dropout_takes_three_in_ten(images):
    kept = dropped(images, torch.ones(20_000, images), 0)
    promised = DROPPED - DROPPED**images / images  # all would go in so many cases, and then one of them stays
    assert abs(1 - kept.mean().item() - promised) < 0.01
    assert (1 - kept.mean(0)).sub(promised).abs().max() < 0.015


def test_dropout_takes_all_pictures_of_an_image_together():
    kept = dropped(3, torch.ones(500, 3), 0, cut="halves").unflatten(1, (3, 2))
    assert torch.equal(kept[..., 0], kept[..., 1])
    assert 0 < kept.mean() < 1


def test_dropout_is_decided_by_the_seed():
    there = torch.ones(50, 3)
    assert torch.equal(dropped(3, there, 7), dropped(3, there, 7))
    assert not torch.equal(dropped(3, there, 7), dropped(3, there, 8))


def test_a_single_image_is_never_dropped():
    assert dropped(1, torch.ones(50, 1), 0, cut="halves").all()
