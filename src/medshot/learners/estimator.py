"""`FewShotClassifier`: a learner as a scikit-learn estimator, for one task."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from medshot.encoders import reader_of
from medshot.errors import InputError, StorageError
from medshot.imaging import ImageSource, hashes_of_each
from medshot.imaging.fingerprint import MEASURES
from medshot.learners.base import Classifier, Learner
from medshot.learners.creation import copy_or_create, rebuild
from medshot.learners.preprocessing import Standardizer, as_source, check_input
from medshot.learners.serialization import (
    LEARNER,
    NOTHING_FOUND,
    ModelRecord,
    parameters_of,
    read_checked,
    read_folder,
    write_folder,
)
from medshot.storage import new_folder
from medshot.tasks import Support

ADAPTED = "adapted.safetensors"
STANDARDISATION = "standardisation.safetensors"
BATCH = 64


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """A learner that is adapted to labelled images, or to rows of features, and classifies new ones.

    Args:
        learner: a run folder, a learner (it is copied), or the name of a learner that needs no meta-training.

    Attributes:
        classes_: the class names, in the order of the columns of `predict_proba`.
        counts_: number of images of each class in the support.
        learner_: the learner that was adapted.
        adapted_: what its adaptation returned, as named tensors.
        intensity_: the range of each measure of the images in the support.
        standardisation_: the standardizer of the columns of features; None for images.
        support_: content hashes of the images in the support; none for columns of features.
        explanation_: a sentence on why it predicts as it does; empty if the learner has none.
        n_features_in_: number of columns, for features.
        feature_names_in_: names of the columns, for features in a data frame.
    """

    def __init__(self, learner: str | Path | Learner = "logistic") -> None:
        self.learner = learner

    def fit(self, X: Any, y: Any, groups: Any = None) -> "FewShotClassifier":
        """Adapt to labelled images or features, any number per class and per patient.

        Args:
            X: images, as paths of files, an integer array `(images, height, width)`, `(images, height, width, 3)` or,
                of volumes, `(images, depth, height, width)`, or an `ImageSource`; or features, as a table of numbers
                `(images, features)`, whose columns are standardised.
            y: the class of each image; two classes or more.
            groups: the patient of each image; if left out, every image has a patient of its own.

        Raises:
            InputError: an image cannot be read, lengths differ, there is only one class, or the learner is unknown,
                not meta-trained, or takes something else than `X`.
            ValueError: scikit-learn refuses `X` as a table of finite numbers, or `y` as a list of labels.
        """
        classes, codes = _encoded(validate_data(self, y=y))
        patients = np.arange(len(codes)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        given = check_input(X, self, fitting=True)
        for name, entries in (("y", codes), ("groups", patients)):
            if len(entries) != len(given):
                raise InputError(f"{name} has {len(entries)} entries for {len(given)} images; give one for each.")
        standardisation = Standardizer.of(given) if isinstance(given, np.ndarray) else None
        source = as_source(given, standardisation)
        learner = copy_or_create(self.learner, source).eval()

        def with_task_axis(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array)[None].to(_device(learner))

        support = Support(
            _read(learner, source, np.arange(len(source))),
            with_task_axis(codes),
            with_task_axis(np.ones(len(codes), dtype=np.float32)),
            len(classes),
            with_task_axis(patients),
        )
        with torch.no_grad():
            self.adapted_ = learner.adapt(support).adapted
        self.learner_, self.standardisation_ = learner, standardisation
        self.explanation_ = learner.explain(self.adapted_, list(map(str, classes)))
        self.classes_, self.counts_ = classes, np.bincount(codes)
        self.support_ = [] if standardisation else sorted({each for one in hashes_of_each(source) for each in one})
        self.intensity_ = _ranges(reader_of(learner.input_spec).measures(source))
        return self

    def predict_proba(
        self, X: Any, prevalence: Mapping[Any, float] | None = None
    ) -> Float[np.ndarray, "images classes"]:
        """Return class probabilities, columns in the order of `classes_`.

        A transductive learner takes all images of a call together, so that their predictions depend on each other.

        Args:
            X: as for `fit`.
            prevalence: how common each class is among the patients of these images. Supports are balanced by design,
                patients are not; this moves the probabilities from the support's class frequencies to these (Saerens et
                al., 2002, equation 4).

        Raises:
            InputError: an image cannot be read, or `prevalence` does not give every class a positive share.
            ValueError: `X` is not a table of finite numbers with the columns of the support.
        """
        source = self._fitted_source(X)
        device = _device(self.learner_)
        classifier = Classifier(self.learner_, {name: value.to(device) for name, value in self.adapted_.items()})
        size = BATCH if self.learner_.inductive else len(source)
        batches = np.split(np.arange(len(source)), range(size, len(source), size))
        with torch.no_grad():
            logits = torch.cat([classifier(_read(self.learner_, source, rows))[0].cpu() for rows in batches])
        probabilities = logits.double().softmax(1).numpy()
        if prevalence is not None:
            probabilities = probabilities * self._shares(prevalence) / (self.counts_ / self.counts_.sum())
        return probabilities / probabilities.sum(1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each image."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def warnings(self, X: Any) -> list[str]:
        """Return for each image how it lies outside what the classifier was fitted on; empty if it does not.

        Brightness, contrast and colour are compared, and nothing else: another body part or noise of the usual grey
        levels gives no warning. If the learner found nothing to learn, every image has a warning of that.
        """
        source = self._fitted_source(X)
        found: list[list[str]] = [[self.caution_] if self.caution_ else [] for _ in range(len(source))]
        for name, values in reader_of(self.learner_.input_spec).measures(source).items():
            low, high = self.intensity_[name]
            for warning, value in zip(found, values, strict=True):
                if not low <= value <= high:
                    warning.append(f"{name} {value:.2f} lies outside the {low:.2f} to {high:.2f} it was fitted on")
        return ["; ".join(warning) for warning in found]

    @property
    def caution_(self) -> str:
        """The sentence that the learner found nothing to learn from the support; empty if it found something."""
        return self.explanation_.rstrip(".") if self.explanation_.startswith(NOTHING_FOUND) else ""

    def check_prevalence(self, prevalence: Mapping[Any, float] | None) -> None:
        """Raise InputError unless it is None or gives every class a positive share."""
        if prevalence is not None:
            self._shares(prevalence)

    def save(self, folder: str | Path) -> None:
        """Write a model folder, which `medshot.load` and `medshot predict` read.

        Raises:
            StorageError: `folder` exists already or cannot be written.
        """
        check_is_fitted(self, "adapted_")
        adapted = {name: value.detach().cpu().numpy() for name, value in self.adapted_.items()}
        arrays = {LEARNER: parameters_of(self.learner_), ADAPTED: adapted}
        if self.standardisation_ is not None:
            arrays[STANDARDISATION] = asdict(self.standardisation_)
        model = ModelRecord(
            classes=self.classes_.tolist(),
            images_per_class=self.counts_.tolist(),
            intensity=self.intensity_,
            feature_names=list(getattr(self, "feature_names_in_", [])),
            explanation=self.explanation_,
            support=self.support_,
            purpose="for research, not a medical device",
        )
        with new_folder(Path(folder)) as filling:
            write_folder(filling, "model", self.learner_.record(), arrays, model)

    @staticmethod
    def load(folder: str | Path) -> "FewShotClassifier":
        """Read the classifier of a model folder.

        Raises:
            StorageError: the folder is not a model, is damaged, or is of another version.
        """
        folder = Path(folder)
        record = read_folder(folder, "model")
        learner, model = rebuild(folder, record), record.model
        takes_table = learner.input_spec.is_table
        if model is None or model.intensity.keys() != (set() if takes_table else set(MEASURES)):
            raise StorageError(f"{folder}/model.json does not describe a model; it was changed, make it again.")
        classifier = FewShotClassifier(learner)
        classifier.learner_, classifier.standardisation_ = learner, None
        arrays = read_checked(folder, record, ADAPTED)
        classifier.adapted_ = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
        classifier.classes_, classifier.counts_ = np.array(model.classes), np.array(model.images_per_class)
        classifier.intensity_, classifier.explanation_ = model.intensity, model.explanation
        classifier.support_ = model.support
        if takes_table:
            classifier.standardisation_ = Standardizer(**read_checked(folder, record, STANDARDISATION))
            classifier.n_features_in_ = len(classifier.standardisation_.mean)
        if model.feature_names:
            classifier.feature_names_in_ = np.array(model.feature_names, dtype=object)
        return classifier

    def _fitted_source(self, X: Any) -> ImageSource:
        check_is_fitted(self, "adapted_")
        return as_source(check_input(X, self), self.standardisation_)

    def _shares(self, prevalence: Mapping[Any, float]) -> Float[np.ndarray, " classes"]:
        given = {str(name): share for name, share in prevalence.items()}
        names = [str(name) for name in self.classes_]
        if set(given) != set(names) or not all(0 < share < 1e9 for share in given.values()):
            raise InputError(
                f"prevalence must give each of {', '.join(names)} a share above 0 and below 1e9; it gives {given}."
            )
        shares = np.array([given[name] for name in names])
        return shares / shares.sum()


load = FewShotClassifier.load


def _encoded(y: np.ndarray) -> tuple[np.ndarray, Int[np.ndarray, " samples"]]:
    """Return the classes, and each label as an index into them."""
    if y.dtype.kind == "f" and np.any(y % 1):
        raise InputError("y holds continuous values, which are not classes; give the class of each image.")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise InputError(f"y holds {len(classes)} class ({', '.join(map(str, classes))}); give two classes or more.")
    return classes, codes


def _read(
    learner: Learner, source: ImageSource, rows: Int[np.ndarray, " samples"]
) -> Float[torch.Tensor, "1 samples ..."]:
    """Read some images, with a task axis, on the learner's device."""
    return reader_of(learner.input_spec).read(source, rows)[None].to(_device(learner))


def _device(learner: Learner) -> torch.device:
    return next(chain(learner.parameters(), learner.buffers(), [torch.empty(0)])).device


def _ranges(measures: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Return the range of each measure over the images, widened by half its width and by 0.05 at either end."""
    ranges = {}
    for name, values in measures.items():
        margin = 0.5 * float(np.ptp(values)) + 0.05
        ranges[name] = (float(values.min()) - margin, float(values.max()) + margin)
    return ranges
