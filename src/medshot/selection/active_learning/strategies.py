"""Active-learning strategies: those of scikit-activeml, and one learned from past tasks."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, model_validator
from skactiveml.base import SkactivemlClassifier
from skactiveml.pool import Clue, MaxHerding, RandomSampling, TypiClust, UncertaintySampling
from sklearn.exceptions import ConvergenceWarning

from medshot.errors import StorageError
from medshot.selection.active_learning.pool import FEATURES, AcquisitionFeatures, Pool
from medshot.storage import read_json

SHIPPED = Path(__file__).with_name("coefficients.json")


class Coefficients(BaseModel):
    """Coefficients of the learned strategy.

    Args:
        gains: for each acquisition feature, the points of balanced accuracy that a label adds as the feature rises from
            the lowest in the pool to the highest.
        learned_from: the data sets.
        command: the command that learned them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gains: dict[str, FiniteFloat]
    learned_from: list[str]
    command: str

    @model_validator(mode="after")
    def _one_gain_per_feature(self) -> "Coefficients":
        if set(self.gains) != set(FEATURES):
            raise ValueError(f"gains must be of {', '.join(FEATURES)}")
        return self

    @property
    def vector(self) -> Float[np.ndarray, " features"]:
        """Return the gains in the order of `FEATURES`."""
        return np.array([self.gains[name] for name in FEATURES])


def read_coefficients(path: Path) -> Coefficients:
    """Read coefficients from a JSON file; StorageError if it holds none."""
    try:
        return Coefficients.model_validate(read_json(path))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "gains"
        raise StorageError(
            f"{path} does not hold the coefficients of a strategy ({where}: {error.errors()[0]['msg']}); "
            "install medshot again."
        ) from error


@cache
def shipped() -> Coefficients:
    """Return the coefficients that medshot ships."""
    return read_coefficients(SHIPPED)


def choose_greedily(
    pool: Pool, gains: Float[np.ndarray, " features"], count: int
) -> tuple[Int[np.ndarray, " count"], Float[np.ndarray, " count"]]:
    """Choose the candidates of the highest expected gain one by one; return them and their gains over the mean."""
    features = AcquisitionFeatures(pool)
    chosen: list[int] = []
    scores = []
    while len(chosen) < count:
        expected = features(chosen) @ gains
        expected -= expected.mean()
        free = expected.copy()
        free[chosen] = -np.inf
        chosen.append(int(free.round(9).argmax()))
        scores.append(expected[chosen[-1]])
    return np.array(chosen, dtype=np.int64), np.array(scores)


Chosen = tuple[Int[np.ndarray, " count"], Float[np.ndarray, " count"]]
DEFAULT = "typical"
"""Of the strategies that docs/next.md shows to be ahead of random, the one with the most certain lead."""


@dataclass(frozen=True)
class Strategy:
    """A way to choose images.

    Args:
        summary: one line for people.
        paper: where it was published.
        choose: a function of the pool, the count and a seed that returns the chosen positions and their scores.
    """

    summary: str
    paper: str
    choose: Callable[[Pool, int, int], Chosen]


class PrecomputedClassifier(SkactivemlClassifier):
    """A fitted classifier for scikit-activeml that returns the probabilities stored in a pool.

    Args:
        pool: the pool; inputs are row numbers in it.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__(classes=list(range(pool.probabilities.shape[1])))
        self.pool = pool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "PrecomputedClassifier":
        """Return itself: the model is already fitted."""
        return self

    def predict_proba(self, X: Any, with_features: bool = False) -> Any:
        """Return the probabilities of these rows, and their features if `with_features`."""
        rows = np.asarray(X)[:, 0].astype(int)
        probabilities = self.pool.probabilities[rows]
        return (probabilities, self.pool.features[rows]) if with_features else probabilities


def _uncertain(pool: Pool, count: int, seed: int) -> Chosen:
    strategy = UncertaintySampling(method="margin_sampling", random_state=seed)
    return _query(strategy, _numbers(pool), count, clf=PrecomputedClassifier(pool), fit_clf=False)


def _uncertain_groups(pool: Pool, count: int, seed: int) -> Chosen:
    strategy = Clue(
        predict_dict={"with_features": True},
        method="margin_sampling",
        cluster_algo_dict={"random_state": seed},  # its own random_state does not reach the clustering
        random_state=seed,
    )
    return _query(strategy, _numbers(pool), count, estimator=PrecomputedClassifier(pool), fit_estimator=False)


def _typical(pool: Pool, count: int, seed: int) -> Chosen:
    return _query(TypiClust(random_state=seed), pool.features, count)


def _coverage(pool: Pool, count: int, seed: int) -> Chosen:
    return _query(MaxHerding(metric="rbf", metric_dict={"gamma": 1.0}, random_state=seed), pool.features, count)


def _random(pool: Pool, count: int, seed: int) -> Chosen:
    return _query(RandomSampling(random_state=seed), _numbers(pool), count)


def _learned(pool: Pool, count: int, seed: int) -> Chosen:
    return choose_greedily(pool, shipped().vector, count)


STRATEGIES = {
    "learned": Strategy("the image whose label should help most by past tasks", "Konyushkova et al., 2017", _learned),
    "margin": Strategy("the images between two classes", "Scheffer et al., 2001", _uncertain),
    "clue": Strategy("the centre of each cluster of uncertain images", "Prabhu et al., 2021", _uncertain_groups),
    "typical": Strategy("the most typical image of each cluster", "Hacohen et al., 2022", _typical),
    "coverage": Strategy("images that together represent the whole pool", "Bae et al., 2024", _coverage),
    "random": Strategy("drawn at random", "", _random),
}


def _numbers(pool: Pool) -> Float[np.ndarray, "images 1"]:
    return np.arange(len(pool), dtype=float)[:, None]


def _query(strategy: Any, rows: Float[np.ndarray, "images _"], count: int, **model: Any) -> Chosen:
    """Run a strategy of scikit-activeml on a pool without labels; every image is chosen at most once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)  # fewer distinct images than clusters
        chosen, utilities = strategy.query(
            rows, np.full(len(rows), np.nan), batch_size=count, return_utilities=True, **model
        )
    scores = utilities[np.arange(count), chosen]
    again = np.setdiff1d(np.arange(count), np.unique(chosen, return_index=True)[1])
    chosen[again] = np.setdiff1d(np.arange(len(rows)), chosen)[: len(again)]
    return chosen, scores
