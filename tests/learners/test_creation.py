"""A learner's name means the same in Python, in `FewShotClassifier` and on the command line."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import medshot, write_ward
from small_learners import LARGE
from small_tasks import textured

import medshot as package
from medshot.encoders import ENCODERS, EncodedBagInput, EncodedInput
from medshot.errors import InputError
from medshot.imaging import ArrayImages, FeatureInput, ImageInput, SeveralImages, Vectors, VolumeInput
from medshot.learners import LEARNERS, FewShotClassifier, Learner, create, create_for, input_for, load
from medshot.tasks import load_tasks

TASK = textured(1, patients=3)
READY = [name for name in LEARNERS if create(name).gradient is None or create(name).training_images]
UNTRAINED = [name for name in LEARNERS if name not in READY]


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    """Do not run the reference program, which takes minutes: only how it is made is tested."""
    for name in LARGE:
        monkeypatch.setattr(LEARNERS[name], "adapt_one", lambda self, support, randomness: {"x": torch.zeros(1)})


def same(one: Learner, other: Learner) -> bool:
    states = one.state_dict(), other.state_dict()
    return (
        (one.name, one.input_spec, one.settings()) == (other.name, other.input_spec, other.settings())
        and states[0].keys() == states[1].keys()
        and all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    )


@pytest.mark.parametrize("name", READY)
def test_python_the_estimator_and_the_command_make_the_same_learner(name: str, tmp_path: Path):
    ward = write_ward(tmp_path, TASK)
    (task,) = load_tasks(ward)
    made = create(name)
    fitted = FewShotClassifier(name).fit(task.images, task.labels)
    assert medshot("adapt", ward, "--learner", name, "--out", tmp_path / "model") == 0
    assert same(fitted.learner_, made)
    assert same(load(tmp_path / "model").learner_, made)


@pytest.mark.parametrize("name", UNTRAINED)
def test_what_must_be_meta_trained_is_refused_everywhere_in_the_same_sentence(name: str, tmp_path: Path, capsys):
    with pytest.raises(InputError, match="must be meta-trained first") as refused:
        FewShotClassifier(name).fit(TASK.images, TASK.labels)
    ward = write_ward(tmp_path, TASK)
    assert medshot("adapt", ward, "--learner", name, "--out", tmp_path / "model") == 2
    assert str(refused.value) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["depth-ridge", "even-ridge"])
def test_shipped_weights_are_for_features_of_encoders_and_can_be_left_out(name: str):
    fresh = create(name, pretrained=False)
    assert not same(create(name), fresh)
    assert not fresh.training_images
    assert create(name).training_images
    assert not create(name, input_spec=FeatureInput((4, 3))).training_images
    assert not create(name, input_spec=ImageInput(channels=1, size=20)).training_images
    with pytest.raises(InputError, match="must be meta-trained first"):
        create_for(None, name, input_spec=ImageInput(channels=1, size=20))


def test_the_input_follows_from_what_is_asked_for_and_then_from_the_images():
    pictures = ArrayImages(np.zeros((2, 9, 9), np.uint8))
    volumes = ArrayImages(np.zeros((2, 9, 9, 9), np.uint8))
    asked = ImageInput(channels=1, size=20)
    assert input_for("logistic", None, pictures) == input_for("logistic") == EncodedInput("lite0")
    assert input_for("auto", None, pictures) == EncodedInput("+".join(ENCODERS))
    assert input_for("logistic", None, volumes) == VolumeInput()
    assert input_for("logistic", None, Vectors(np.zeros((2, 5)))) == FeatureInput((5,))
    both = SeveralImages({"one": pictures, "two": pictures}, {"one": np.arange(2), "two": np.arange(2)})
    assert input_for("auto", None, both) == EncodedBagInput(images=2)
    for images in (None, pictures, volumes, both):
        assert input_for("auto", asked, images) == asked
        assert input_for("metal-reference", asked, images) == ImageInput(channels=3, size=224)


def test_everything_that_the_package_names_can_be_imported_from_it():
    assert {*package.__all__} <= {*dir(package)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(getattr(package, name) is not None for name in package.__all__)
