"""`FewShotClassifier`: a meta-trained learner as a scikit-learn estimator, for one task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from medshot.errors import InputError, StorageError
from medshot.imaging import ArrayImages, FileImages, ImageSource, InputShape
from medshot.learners.base import Classifier, Learner
from medshot.learners.record import (
    LEARNER,
    ModelRecord,
    parameters_of,
    read_checked,
    read_folder,
    write_folder,
)
from medshot.learners.registry import load_learner, rebuild
from medshot.storage import new_folder
from medshot.tasks import Support

ADAPTED = "adapted.safetensors"
BATCH = 64
Images = Sequence[str | Path] | np.ndarray


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """Adapts a meta-trained learner to labelled images and classifies new ones.

    Args:
        learner: a run folder, or a learner. A baseline that needs no meta-training may be given untrained.
    """

    def __init__(self, learner: str | Path | Learner) -> None:
        self.learner = learner

    def fit(self, images: Images, labels: Sequence[Any], groups: Sequence[Any] | None = None) -> "FewShotClassifier":
        """Adapt to labelled images, any number per class and per patient.

        Args:
            images: paths of image files, or an integer array `(images, height, width)` or
                `(images, height, width, 3)`.
            labels: the class of each image; two classes or more.
            groups: the patient of each image; every image is its own patient where it is left out.

        Raises:
            InputError: an image cannot be read, lengths differ, or there is only one class.
        """
        source = _source(images)
        classes, codes = np.unique(np.asarray(labels), return_inverse=True)
        if len(codes) != len(source):
            raise InputError(f"labels has {len(codes)} entries for {len(source)} images; give one label per image.")
        if len(classes) < 2:
            raise InputError(f"labels holds the single class {classes[0]!r}; give images of two classes or more.")
        if groups is not None and len(groups) != len(codes):
            raise InputError(f"groups has {len(groups)} entries for {len(codes)} images; give one patient per image.")
        self.learner_ = self.learner if isinstance(self.learner, Learner) else load_learner(self.learner)
        inputs = _read(source, self.learner_.shape)
        patients = np.arange(len(codes)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        support = Support(
            inputs[None],
            torch.from_numpy(codes.reshape(1, -1)),
            torch.ones(1, len(codes)),
            len(classes),
            torch.from_numpy(patients.reshape(1, -1)),
        )
        self.learner_.eval()
        with torch.no_grad():
            self.adapted_ = self.learner_.adapt(support).adapted
        self.classes_ = classes
        self.counts_ = np.bincount(codes)
        self.intensity_ = _ranges(self.learner_.shape.measures(source))
        return self

    def predict_proba(
        self, images: Images, prevalence: Mapping[Any, float] | None = None
    ) -> Float[np.ndarray, "images classes"]:
        """Class probabilities, columns in the order of `classes_`.

        Args:
            images: as for `fit`.
            prevalence: how common each class is where the images come from. Supports are balanced by design and real
                life is not; this moves the probabilities from the support's class frequencies to these (Saerens et
                al., 2002, equation 4).

        Raises:
            InputError: an image cannot be read, or `prevalence` does not give every class a positive share.
        """
        return self._probabilities(_read(_source(images), self._fitted().shape), prevalence)

    def predict(self, images: Images) -> np.ndarray:
        """The most probable class of each image."""
        return self.classes_[self.predict_proba(images).argmax(1)]

    def warnings(self, images: Images) -> list[str]:
        """For each image, how it lies outside what the classifier was fitted on; empty where it does not."""
        source = _source(images)
        found: list[list[str]] = [[] for _ in range(len(source))]
        for name, values in self._fitted().shape.measures(source).items():
            low, high = self.intensity_[name]
            for warning, value in zip(found, values, strict=True):
                if not low <= value <= high:
                    warning.append(f"{name} {value:.2f} lies outside the {low:.2f} to {high:.2f} it was fitted on")
        return ["; ".join(warning) for warning in found]

    def save(self, folder: str | Path) -> None:
        """Write a model folder that `medshot.load` and `medshot predict` take anywhere.

        Raises:
            StorageError: `folder` exists already or cannot be written.
        """
        learner = self._fitted()
        adapted = {name: value.detach().cpu().numpy() for name, value in self.adapted_.items()}
        model = ModelRecord(
            classes=self.classes_.tolist(),
            images_per_class=self.counts_.tolist(),
            intensity=self.intensity_,
            purpose="for research, not a medical device",
        )
        with new_folder(Path(folder)) as filling:
            arrays = {LEARNER: parameters_of(learner), ADAPTED: adapted}
            write_folder(filling, "model", learner.record(), arrays, model)

    @staticmethod
    def load(folder: str | Path) -> "FewShotClassifier":
        """The classifier of a model folder.

        Raises:
            StorageError: the folder is not a model, is damaged, or is of another version.
        """
        folder = Path(folder)
        record = read_folder(folder, "model")
        learner = rebuild(folder, record)
        classifier = FewShotClassifier(learner)
        classifier.learner_ = learner
        arrays = read_checked(folder, record, ADAPTED)
        classifier.adapted_ = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
        model = record.model
        if model is None:
            raise StorageError(f"{folder}/model.json does not describe a model; it was changed, make it anew.")
        classifier.classes_ = np.array(model.classes)
        classifier.counts_ = np.array(model.images_per_class)
        classifier.intensity_ = model.intensity
        return classifier

    def _fitted(self) -> Learner:
        check_is_fitted(self, "adapted_")
        return self.learner_

    def _probabilities(self, pixels: torch.Tensor, prevalence: Mapping[Any, float] | None) -> np.ndarray:
        classifier = Classifier(self.learner_, self.adapted_)
        parts = [classifier.probabilities(part[None])[0] for part in pixels.split(BATCH)]
        probabilities = torch.cat(parts).double().numpy()
        if prevalence is not None:
            probabilities = probabilities * self._shares(prevalence) / (self.counts_ / self.counts_.sum())
        return probabilities / probabilities.sum(1, keepdims=True)

    def _shares(self, prevalence: Mapping[Any, float]) -> np.ndarray:
        given = {str(name): share for name, share in prevalence.items()}
        names = [str(name) for name in self.classes_]
        if set(given) != set(names) or not all(0 < share < 1e9 for share in given.values()):
            raise InputError(
                f"prevalence must give each of {', '.join(names)} a share above 0 and below 1e9; it gives {given}."
            )
        shares = np.array([given[name] for name in names])
        return shares / shares.sum()


def _source(images: Images) -> ImageSource:
    if isinstance(images, np.ndarray):
        return ArrayImages(images)
    return FileImages([Path(image) for image in images])


def _read(source: ImageSource, shape: InputShape) -> Float[torch.Tensor, "images *dimensions"]:
    return shape.read(source, np.arange(len(source)))


def _ranges(measures: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """The range of each measure over the images, widened by half its width and by 0.05 at either end."""
    ranges = {}
    for name, values in measures.items():
        margin = 0.5 * float(np.ptp(values)) + 0.05
        ranges[name] = (float(values.min()) - margin, float(values.max()) + margin)
    return ranges
