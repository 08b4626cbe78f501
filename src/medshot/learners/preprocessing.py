"""Check the input of `FewShotClassifier`, images or tables of features, and standardise the tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from medshot.encoders.embedding import FEATURE_NORM
from medshot.imaging import ArrayImages, FileImages, ImageSource, Vectors

ROUNDING = 1e-12

Features = Float[np.ndarray, "samples features"]


def check_input(X: Any, estimator: BaseEstimator, *, fitting: bool = False) -> ImageSource | Features:
    """Return images as a source, or features as numbers that scikit-learn has checked for the estimator.

    Args:
        X: paths of files, an array `(images, height, width)`, `(images, height, width, 3)` or `(images, depth, height,
            width)`, a source of images, or a table `(samples, features)`.
        estimator: keeps the number and names of the columns, or is compared with them.
        fitting: keep them instead of comparing.

    Raises:
        InputError: an array of images holds other numbers than uint8 or uint16.
        ValueError: scikit-learn's, if `X` is not a table of finite numbers.
    """
    if isinstance(X, Vectors):
        X = X.array
    if isinstance(X, ImageSource):
        return X
    axes = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if axes == 1 and all(isinstance(entry, str | Path) for entry in X):
        return FileImages(list(X))
    if axes > 2:
        return ArrayImages(np.asarray(X))
    return validate_data(estimator, X, reset=fitting, dtype=np.float64)


@dataclass(frozen=True)
class Standardizer:
    """z = (x - mean) · factor, column by column.

    Args:
        mean: of each column over the support.
        factor: gives the support's vectors a root mean square norm of 4, each column an equal share of it; 0 for a
            column that is constant over the support, so that its scale is unknown.
    """

    mean: Float[np.ndarray, " features"]
    factor: Float[np.ndarray, " features"]

    @staticmethod
    def of(vectors: Features) -> "Standardizer":
        """Return the standardizer of a support."""
        mean, deviation = vectors.mean(0), vectors.std(0)
        varies = deviation > ROUNDING * np.abs(vectors).max(0)
        return Standardizer(mean, FEATURE_NORM / np.where(varies, deviation * np.sqrt(varies.sum()), np.inf))

    def __call__(self, vectors: Features) -> Features:
        """Return the vectors in standard units."""
        return (vectors - self.mean) * self.factor


def as_source(given: ImageSource | Features, standardisation: Standardizer | None) -> ImageSource:
    """Return features as a source, standardised if there is a standardizer; return images as they are."""
    if isinstance(given, np.ndarray):
        return Vectors(standardisation(given) if standardisation else given)
    return given
