"""The published program: slow, two classes, one task."""

import numpy as np
import pytest

from medshot.errors import InputError
from medshot.imaging import ImageInput
from medshot.learners import FewShotClassifier, create


def test_it_takes_the_published_images_only():
    with pytest.raises(InputError, match="224×224×3"):
        create("metal", preset="reference", input_spec=ImageInput(channels=1, size=64))


@pytest.mark.slow
def test_one_epoch_on_eight_images_is_repeatable_and_three_classes_are_refused():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 224, 224, 3), dtype=np.uint8)
    labels = ["cancer", "normal"] * 4
    learner = create("metal", preset="reference", epochs=1)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    predictions = [FewShotClassifier(learner).fit(images, labels).predict_proba(images) for _ in range(2)]
    assert np.array_equal(*predictions)
    np.testing.assert_allclose(predictions[0].sum(1), 1)
    assert predictions[0].shape == (8, 2)
    assert all((value == before[name]).all() for name, value in learner.state_dict().items())
    with pytest.raises(InputError, match="two classes, and the task has 3"):
        FewShotClassifier(learner).fit(images, ["a", "b", "c", "a", "b", "c", "a", "b"])
