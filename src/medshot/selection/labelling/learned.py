"""A strategy learned across tasks: what labelling an image brought where the labels were known.

Learning Active Learning (Konyushkova, Sznitman & Fua, NeurIPS 2017): a regression from what is known of a candidate to
the gain that its label brought, fitted on tasks whose labels are all there. Here the regression is linear in shares of
the pool, so that six numbers are all that was learned. `benchmarks/label_next.py` learns them.
"""

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, model_validator

from medshot.errors import StorageError
from medshot.selection.labelling.pool import Pool
from medshot.selection.labelling.quantities import QUANTITIES, Quantities
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
