"""The strategies: scikit-activeml's on a model's features and probabilities, and the learned one."""

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
from medshot.selection.active_learning.pool import QUANTITIES, Pool, Quantities
from medshot.storage import read_json

SHIPPED = Path(__file__).with_name("coefficients.json")


class Coefficients(BaseModel):
    """What was learned.

    Args:
        gains: for each quantity, how many points of balanced accuracy a label brings more from the least of it in the
            pool to the most.
        learned_from: the data sets.
        command: what learned them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gains: dict[str, FiniteFloat]
    learned_from: list[str]
    command: str

    @model_validator(mode="after")
    def _of_every_quantity(self) -> "Coefficients":
        if set(self.gains) != set(QUANTITIES):
            raise ValueError(f"gains must be of {', '.join(QUANTITIES)}")
        return self

    @property
    def vector(self) -> Float[np.ndarray, " quantities"]:
        """The gains in the order of `QUANTITIES`."""
        return np.array([self.gains[name] for name in QUANTITIES])


def read_coefficients(path: Path) -> Coefficients:
    """Coefficients from a JSON file; StorageError where they are none."""
    try:
        return Coefficients.model_validate(read_json(path))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "gains"
        raise StorageError(
            f"{path} does not hold the coefficients of a strategy ({where}: {error.errors()[0]['msg']}); "
            "install medshot anew."
        ) from error


@cache
def shipped() -> Coefficients:
    """The coefficients that come with medshot."""
    return read_coefficients(SHIPPED)


def choose_greedily(
    pool: Pool, gains: Float[np.ndarray, " quantities"], count: int
) -> tuple[Int[np.ndarray, " count"], Float[np.ndarray, " count"]]:
    """The candidates of the highest expected gain, one after another, and that gain relative to the pool's mean."""
    quantities = Quantities(pool)
    chosen: list[int] = []
    scores = []
    while len(chosen) < count:
        expected = quantities(chosen) @ gains
        expected -= expected.mean()
        free = expected.copy()
        free[chosen] = -np.inf
        chosen.append(int(free.round(9).argmax()))
        scores.append(expected[chosen[-1]])
    return np.array(chosen, dtype=np.int64), np.array(scores)


Chosen = tuple[Int[np.ndarray, " count"], Float[np.ndarray, " count"]]
DEFAULT = "typical"
"""Of those that docs/next.md shows to be ahead of random, the one whose lead is surest."""


@dataclass(frozen=True)
class Strategy:
    """A way to choose.

    Args:
        summary: one line for people.
        paper: where it was published.
        choose: from a pool, how many and a seed, the places of those chosen in the pool and the score of each.
    """

    summary: str
    paper: str
    choose: Callable[[Pool, int, int], Chosen]


class Known(SkactivemlClassifier):
    """To scikit-activeml a classifier that was fitted: it knows the answer for each row of a pool.

    Args:
        pool: whose rows, by number, it is asked about.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__(classes=list(range(pool.probabilities.shape[1])))
        self.pool = pool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Known":
        """Nothing: the model was fitted elsewhere."""
        return self

    def predict_proba(self, X: Any, with_features: bool = False) -> Any:
        """The model's probabilities of these rows, and their features where they are asked for."""
        rows = np.asarray(X)[:, 0].astype(int)
        probabilities = self.pool.probabilities[rows]
        return (probabilities, self.pool.features[rows]) if with_features else probabilities


def _uncertain(pool: Pool, count: int, seed: int) -> Chosen:
    strategy = UncertaintySampling(method="margin_sampling", random_state=seed)
    return _asked(strategy, _numbers(pool), count, clf=Known(pool), fit_clf=False)


def _uncertain_groups(pool: Pool, count: int, seed: int) -> Chosen:
    strategy = Clue(
        predict_dict={"with_features": True},
        method="margin_sampling",
        cluster_algo_dict={"random_state": seed},  # its own random_state does not reach the clustering
        random_state=seed,
    )
    return _asked(strategy, _numbers(pool), count, estimator=Known(pool), fit_estimator=False)


def _typical(pool: Pool, count: int, seed: int) -> Chosen:
    return _asked(TypiClust(random_state=seed), pool.features, count)


def _coverage(pool: Pool, count: int, seed: int) -> Chosen:
    return _asked(MaxHerding(metric="rbf", metric_dict={"gamma": 1.0}, random_state=seed), pool.features, count)


def _random(pool: Pool, count: int, seed: int) -> Chosen:
    return _asked(RandomSampling(random_state=seed), _numbers(pool), count)


def _learned(pool: Pool, count: int, seed: int) -> Chosen:
    return choose_greedily(pool, shipped().vector, count)


STRATEGIES = {
    "learned": Strategy("the label that should help most, as tasks past taught", "Konyushkova et al., 2017", _learned),
    "margin": Strategy("where the model hardly tells two classes apart", "Scheffer et al., 2001", _uncertain),
    "clue": Strategy("the middle of each group of uncertain images", "Prabhu et al., 2021", _uncertain_groups),
    "typical": Strategy("the most typical image of each group of images", "Hacohen et al., 2022", _typical),
    "coverage": Strategy("images that together stand for the whole pool", "Bae et al., 2024", _coverage),
    "random": Strategy("drawn at random", "", _random),
}


def _numbers(pool: Pool) -> Float[np.ndarray, "images 1"]:
    return np.arange(len(pool), dtype=float)[:, None]


def _asked(strategy: Any, rows: Float[np.ndarray, "images _"], count: int, **model: Any) -> Chosen:
    """What a strategy of scikit-activeml chooses where nothing is labelled, each image once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)  # fewer different images than groups
        chosen, utilities = strategy.query(
            rows, np.full(len(rows), np.nan), batch_size=count, return_utilities=True, **model
        )
    scores = utilities[np.arange(count), chosen]
    again = np.setdiff1d(np.arange(count), np.unique(chosen, return_index=True)[1])
    chosen[again] = np.setdiff1d(np.arange(len(rows)), chosen)[: len(again)]
    return chosen, scores
