"""`FewShotClassifier`: images or tables in, probabilities out, saved and loaded."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from sklearn.model_selection import GroupKFold, cross_val_score
from small_learners import LARGE, SMALL, tiny
from small_tasks import SHAPE, textured, write_images

from medshot.encoders.reading import GridReader
from medshot.errors import InputError, StorageError
from medshot.imaging import FeatureInput, FileImages
from medshot.learners import LEARNERS, FewShotClassifier, create, load
from medshot.learners.preprocessing import Standardizer

UNTRAINED = [name for name in LEARNERS if name not in LARGE and tiny(name).gradient is None]
LABELS = {
    "text": np.array(["benign", "malignant = grade 3"]),
    "numbers": np.array([2, -7]),
    "yes or no": np.array([True, False]),
}


def table(seed: int = 0, samples: int = 30, features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return random numbers and labels of three classes, which differ in the first columns."""
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % 3
    X = rng.normal(size=(samples, features))
    X[np.arange(samples), y] += 2
    return X, y


def small(name: str, features: int = 5) -> FewShotClassifier:
    return FewShotClassifier(create(name, input_spec=FeatureInput((features,)), **SMALL.get(name, {})))


@pytest.mark.parametrize("name", UNTRAINED)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_saved_and_loaded_it_predicts_the_same_for_features(name, labels, tmp_path):
    X, y = table()
    y = labels[y % 2]
    model = small(name).fit(X, y)
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert np.array_equal(back.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(back.predict(X), model.predict(X))
    assert set(back.predict(X)) <= set(y)
    assert back.predict(X).dtype == y.dtype
    assert back.n_features_in_ == model.n_features_in_ == 5
    assert set(back.warnings(X)) == {""}
    with pytest.raises(ValueError, match="4 features"):
        back.predict(X[:, :4])


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_saved_and_loaded_it_predicts_the_same_for_images(labels, tmp_path):
    task = textured(0)
    model = FewShotClassifier("logistic").fit(task.images.array, labels[task.labels])
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert np.array_equal(back.predict_proba(task.images), model.predict_proba(task.images.array))
    assert np.array_equal(back.predict(task.images), model.predict(task.images))


COLUMNS = some.integers(1, 6)
SCALES, SHIFTS = some.floats(1e-6, 1e6), some.floats(-100, 100)


@given(some.data())
@settings(max_examples=15)
def test_the_units_of_the_columns_do_not_matter(data):
    features = data.draw(COLUMNS)
    X, y = table(data.draw(some.integers(0, 9)), features=max(3, features))
    scale = data.draw(arrays(float, X.shape[1], elements=SCALES))
    shift = scale * data.draw(arrays(float, X.shape[1], elements=SHIFTS))
    queries = table(99, features=X.shape[1])[0]
    predictions = FewShotClassifier("logistic").fit(X, y).predict_proba(queries)
    other = FewShotClassifier("logistic").fit(X * scale + shift, y).predict_proba(queries * scale + shift)
    np.testing.assert_allclose(other, predictions, atol=1e-4)


@pytest.mark.parametrize("name", UNTRAINED)
@given(arrays(int, 5, elements=some.integers(-30, 30)))
@settings(max_examples=3)
def test_units_that_differ_by_powers_of_two_do_not_change_a_bit(name, exponents):
    (X, y), queries, scale = table(), table(1)[0], 2.0**exponents
    predictions = small(name).fit(X, y).predict_proba(queries)
    assert np.array_equal(small(name).fit(X * scale, y).predict_proba(queries * scale), predictions)


@given(arrays(float, (7, 4), elements=some.floats(-1e6, 1e6).map(np.float32).map(float)), some.floats(-1e6, 1e6))
def test_a_standardised_support_has_norm_4_and_constant_columns_are_zero(vectors, constant):
    vectors[:, 0] = constant
    standardisation = Standardizer.of(vectors)
    standard = standardisation(vectors)
    varies = standardisation.factor > 0
    assert not varies[0]
    np.testing.assert_array_equal(standardisation(vectors + 1)[:, ~varies], 0)
    if varies.any():
        np.testing.assert_allclose(np.square(standard).sum(1).mean(), 16, rtol=1e-3)
        np.testing.assert_allclose(standard.mean(0), 0, atol=1e-3)


def test_all_kinds_of_tables_give_the_same_predictions():
    X, y = table()
    predictions = FewShotClassifier().fit(X, y).predict_proba(X)
    for kind in (X.tolist(), X.astype(object), np.asfortranarray(X)):
        assert np.array_equal(FewShotClassifier().fit(kind, y.tolist()).predict_proba(kind), predictions)


def test_a_data_frame_gives_its_column_names(tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y = table()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    model = FewShotClassifier().fit(frame, pandas.Series(y))
    assert np.array_equal(model.predict_proba(frame), FewShotClassifier().fit(X, y).predict_proba(X))
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert back.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        back.predict(frame.rename(columns={"a": "z"}))


def test_all_kinds_of_images_give_the_same_predictions(tmp_path):
    task = textured(0)
    files = [str(tmp_path / path) for path in write_images(task, tmp_path)]
    y = task.labels.tolist()
    predictions = FewShotClassifier().fit(task.images.array, y).predict_proba(task.images.array)
    for kind in (files, np.array(files), np.array(files, dtype=object), FileImages(files), task.images):
        assert np.array_equal(FewShotClassifier().fit(kind, y).predict_proba(kind), predictions)


def test_it_is_validated_as_scikit_learn_does_it():
    X, y = table()
    scores = cross_val_score(FewShotClassifier(), X, y, groups=np.arange(30) // 2, cv=GroupKFold(3))
    assert scores.mean() > 0.6
    task = textured(0)
    scores = cross_val_score(
        FewShotClassifier(create("logistic", input_spec=SHAPE)), task.images.array, task.labels, cv=4
    )
    assert scores.mean() > 0.6


@pytest.mark.parametrize("name", ["protonet", "finetune", "auto"])
def test_fitting_does_not_change_the_learner_that_is_given(name):
    task = textured(0)
    learner = create(name, input_spec=SHAPE, **SMALL.get(name, {})).train()
    before = {key: value.clone() for key, value in learner.state_dict().items()}
    model = FewShotClassifier(learner).fit(task.images.array, task.labels)
    assert model.learner is learner
    assert model.learner_ is not learner
    assert learner.training
    assert not model.learner_.training
    assert all(torch.equal(value, before[key]) for key, value in learner.state_dict().items())


def test_images_are_read_in_batches(monkeypatch):
    task, read, sizes = textured(0, patients=80), GridReader.read, []
    monkeypatch.setattr(GridReader, "read", lambda *given: sizes.append(len(given[2])) or read(*given))
    model = FewShotClassifier(create("logistic", input_spec=SHAPE)).fit(task.images.array[::10], task.labels[::10])
    sizes.clear()
    together = model.predict_proba(task.images)
    assert sizes == [64, 64, 32]
    apart = np.concatenate([model.predict_proba(task.images.array[row : row + 1]) for row in range(160)])
    np.testing.assert_allclose(apart, together, atol=1e-6)


def test_a_prevalence_moves_the_odds_by_its_own():
    X, y = table()
    model = FewShotClassifier().fit(X, y)
    shares = np.array([0.7, 0.2, 0.1])
    predictions, moved = model.predict_proba(X), model.predict_proba(X, dict(enumerate(shares)))
    odds = moved / predictions * (1 / 3) / shares
    np.testing.assert_allclose(odds, np.repeat(odds[:, :1], 3, axis=1), rtol=1e-9)
    np.testing.assert_allclose(moved.sum(1), 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("name", ["metal", "scratch"])
def test_a_learner_on_a_gpu_works_there(name, tmp_path):
    task = textured(0)
    learner = create(name, input_spec=SHAPE, **SMALL[name])
    predictions = FewShotClassifier(learner).fit(task.images, task.labels).predict_proba(task.images)
    model = FewShotClassifier(learner.to("cuda")).fit(task.images, task.labels)
    assert {value.device.type for value in model.adapted_.values()} == {"cuda"}
    np.testing.assert_allclose(model.predict_proba(task.images), predictions, atol=1e-2)
    model.save(tmp_path / "model")
    np.testing.assert_allclose(load(tmp_path / "model").predict_proba(task.images), predictions, atol=1e-2)


@pytest.mark.parametrize(
    ("learner", "sentence"),
    [
        ("metal", "'metal' must be meta-trained first"),
        ("logistics", "neither a run folder nor one of metal,"),
        (create("logistic", input_spec=FeatureInput((4,))), "X has 5 features, but this learner takes 4"),
        (create("logistic"), "This learner takes images"),
    ],
    ids=["untrained", "unknown", "other size", "images"],
)
def test_learners_that_cannot_be_fitted_to_a_table(learner, sentence):
    with pytest.raises(InputError, match=sentence):
        FewShotClassifier(learner).fit(*table())


def test_what_it_cannot_be_fitted_to():
    X, y = table()
    images = textured(0).images.array
    for given_, labels, sentence in [
        (images.astype(np.float32), y[:16], "convert it to uint8 or uint16"),
        (images, y, "y has 30 entries for 16 images"),
        (X, np.zeros(30), "1 class"),
        (X, np.linspace(0, 1, 30), "continuous"),
        ([], y, "give at least one file"),
    ]:
        with pytest.raises(InputError, match=sentence):
            FewShotClassifier().fit(given_, labels)
    with pytest.raises(InputError, match="groups has 3 entries for 30 images"):
        FewShotClassifier().fit(X, y, groups=[1, 2, 3])
    with pytest.raises(InputError, match="these are images"):
        FewShotClassifier().fit(X, y).predict(images)
    with pytest.raises(InputError, match="X holds feature vectors"):
        FewShotClassifier().fit(images, y[:16]).predict(X)


def test_a_model_folder_without_its_standardisation_is_refused(tmp_path):
    FewShotClassifier().fit(*table()).save(tmp_path / "model")
    (tmp_path / "model" / "standardisation.safetensors").unlink()
    with pytest.raises(StorageError, match=r"standardisation\.safetensors"):
        load(tmp_path / "model")
