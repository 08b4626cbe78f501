"""The learner that chooses among learners."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_auto_belief import outcome

from medshot.encoders import ENCODERS, EncodedInput, reader_of, write_encoder
from medshot.encoders.lite0 import imagenet_weights
from medshot.imaging import ArrayImages, FeatureInput
from medshot.learners import FewShotClassifier, load_learner
from medshot.selection.auto import Auto, _by_patient
from medshot.selection.candidates import last_view, views_of
from medshot.tasks import Support

BLOCKS = (6, 4)


def sample(rng: np.random.Generator, shots: int, ways: int, signal: float) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(ways).repeat(shots)
    means = torch.from_numpy(np.random.default_rng(7).normal(size=(ways, sum(BLOCKS))))
    noise = torch.from_numpy(rng.normal(size=(len(labels), sum(BLOCKS))))
    return signal * means[labels] + noise, labels


def adapted(auto: Auto, images: torch.Tensor, labels: torch.Tensor, ways: int):
    support = Support(images[None], labels[None], torch.ones(1, len(labels)).double(), ways)
    return auto.adapt(support)


def cross_entropy(log_probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    return float(-log_probabilities[torch.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("signal", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("shots", [1, 5])
def test_it_is_never_worse_than_its_worst_candidate(signal: float, shots: int):
    """In cross-entropy this holds by convexity for any labels, also random ones."""
    auto = Auto(FeatureInput(BLOCKS)).double().eval()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        images, labels = sample(rng, shots, 3, signal)
        queries, truth = sample(rng, 20, 3, signal)
        classifier = adapted(auto, images, labels, 3)
        mixed = cross_entropy(classifier(queries[None])[0].log_softmax(1), truth)
        found = {name: value[0] for name, value in classifier.adapted.items()}
        each = [
            cross_entropy(one.predict_one(auto.of_candidate(number, found), queries).log_softmax(1), truth)
            for number, one in enumerate(auto.candidates)
        ]
        assert mixed <= max(each) + 1e-9


def test_on_noise_it_reports_that_it_found_nothing():
    auto = Auto(FeatureInput(BLOCKS)).double().eval()
    sentences = []
    for seed in range(20):
        images, labels = sample(np.random.default_rng(seed), 5, 2, 0.0)
        sentences.append(auto.explain(adapted(auto, images, labels, 2).adapted))
    assert sum(sentence.startswith("Found nothing to learn") for sentence in sentences) >= 16
    images, labels = sample(np.random.default_rng(0), 5, 2, 3.0)
    sentence = auto.explain(adapted(auto, images, labels, 2).adapted, ["left", "right"])
    assert "balanced accuracy of 100% (95 % interval 73% to 100%: left 5 of 5, right 5 of 5)" in sentence


def test_with_one_label_per_class_past_tasks_decide():
    keys = Auto(FeatureInput(BLOCKS)).keys
    for favoured in keys:
        outcomes = [
            outcome(key, 0.3 if key == favoured else 0.9, source=source, shots=1)
            for key in keys
            for source in ("one", "two", "three", "four")
        ]
        auto = Auto(FeatureInput(BLOCKS), outcomes=outcomes).double().eval()
        images, labels = sample(np.random.default_rng(0), 1, 2, 2.0)
        found = adapted(auto, images, labels, 2).adapted
        assert auto.keys[int(found["weights"][0].argmax())] == favoured
        assert "by past tasks alone" in auto.explain(found)


def test_images_of_one_patient_are_judged_as_one_patient():
    """Repeating every image of a patient does not change how many patients are judged, or what guessing gets."""
    auto = Auto(FeatureInput(BLOCKS), outcomes=[]).double().eval()
    images, labels = sample(np.random.default_rng(3), 5, 2, 0.3)
    once = adapted(auto, images, labels, 2)
    times = torch.arange(len(labels)).repeat(3)
    support = Support(
        images[times][None], labels[times][None], torch.ones(1, len(times)).double(), 2, patients=times[None]
    )
    often = auto.adapt(support)
    assert once.adapted["left_out"][0, 1] == often.adapted["left_out"][0, 1] == len(labels)
    assert once.adapted["left_out"][0, 2] == often.adapted["left_out"][0, 2]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 4))
def test_the_evidence_of_a_patient_does_not_grow_with_its_images(who, times):
    people = torch.tensor(who).unique(return_inverse=True)[1]
    values = torch.arange(2 * len(who), dtype=torch.float64).reshape(2, -1)
    once, often = _by_patient(values, people), _by_patient(values.repeat(1, times), people.repeat(times))
    torch.testing.assert_close(once, often)


def test_a_frequent_class_is_what_guessing_gets():
    auto = Auto(FeatureInput(BLOCKS), outcomes=[]).double().eval()
    rng = np.random.default_rng(0)
    images, labels = torch.from_numpy(rng.normal(size=(45, sum(BLOCKS)))), torch.tensor([0] * 40 + [1] * 5)
    found = adapted(auto, images, labels, 2).adapted
    assert float(found["left_out"][0, 2]) == pytest.approx(40 / 45)
    assert auto.explain(found).startswith("Found nothing to learn")


def test_a_saved_one_keeps_the_outcomes_it_was_given(tmp_path):
    keys = Auto(FeatureInput(BLOCKS)).keys
    auto = Auto(FeatureInput(BLOCKS), outcomes=[outcome(key, 0.5) for key in keys]).eval()
    auto.save(tmp_path / "run")
    loaded = load_learner(tmp_path / "run")
    assert loaded.outcomes == auto.outcomes
    images, labels = sample(np.random.default_rng(0), 5, 2, 2.0)
    one, other = (adapted(each, images, labels, 2).adapted for each in (auto.double(), loaded.double()))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("cut", ["whole", "leads"])
def test_one_of_several_encoders_is_seen_as_it_is_alone(cut: str, tmp_path: Path):
    second = tmp_path / "second"
    second.mkdir()
    weights = {name: value + 0.01 for name, value in imagenet_weights().items() if value.is_floating_point()}
    nothing = np.zeros((0, 32), np.uint8)
    write_encoder(
        second, "second", "lite0", imagenet_weights() | weights, {"hashes": nothing, "fingerprints": nothing}, {}
    )
    pages = ArrayImages(np.random.default_rng(0).integers(0, 256, (2, 60, 90, 3), dtype=np.uint8))
    rows = np.arange(2)
    both = EncodedInput(f"lite0+{second}", cut)
    first, other, whole = views_of(both)
    read = reader_of(both).read(pages, rows)
    assert torch.equal(whole.of(read), read)
    for view, encoder in ((first, "lite0"), (other, str(second))):
        alone = EncodedInput(encoder, cut)
        assert view.input_spec.blocks == alone.blocks
        torch.testing.assert_close(view.of(read), reader_of(alone).read(pages, rows))


@pytest.mark.parametrize("cut", ["whole", "leads"])
def test_the_last_features_are_those_before_the_classifier(cut: str):
    pages = ArrayImages(np.random.default_rng(0).integers(0, 256, (2, 60, 90, 3), dtype=np.uint8))
    shape = EncodedInput("lite0", cut)
    view, read = last_view(shape), reader_of(shape).read(pages, np.arange(2))
    pictures = len(shape.blocks) // len(ENCODERS["lite0"].blocks)
    assert view.input_spec.blocks == (ENCODERS["lite0"].blocks[0],) * pictures
    last = read.unflatten(1, (pictures, -1))[:, :, : ENCODERS["lite0"].blocks[0]].flatten(1)
    torch.testing.assert_close(view.of(read), last * len(ENCODERS["lite0"].blocks) ** 0.5)
    torch.testing.assert_close(view.of(read).norm(dim=1), read.norm(dim=1))


def test_the_estimator_keeps_the_sentence(tmp_path):
    images, labels = sample(np.random.default_rng(0), 5, 2, 2.0)
    model = FewShotClassifier("auto").fit(images.numpy(), labels.numpy())
    assert "when they were left out" in model.explanation_
    model.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model")
    assert loaded.explanation_ == model.explanation_
    np.testing.assert_array_equal(loaded.predict_proba(images.numpy()), model.predict_proba(images.numpy()))
