"""Scores of each class for clinical use: rates, ROC area, the confusion matrix, and an operating point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from medshot.errors import InputError
from medshot.evaluation.intervals import Estimate, Resamples, estimate, mean_of, replicate
from medshot.evaluation.metrics import class_auroc
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.rates import Rates, class_rates, count


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class against the rest; an image is of the class of highest probability.

    Args:
        name: name of the class.
        patients: distinct patients of the class in the queries.
        images: distinct images of the class in the queries.
        prevalence: the stated share of the class, or None.
        rates: sensitivity, specificity and predictive values.
        auroc: area under the curve of this class against the rest, as a mean over episodes.
    """

    name: str
    patients: int
    images: int
    prevalence: float | None
    rates: Rates
    auroc: Estimate | None


@dataclass(frozen=True)
class OperatingPoint:
    """The scores of one class if every image is found to be of it that reaches a threshold chosen on the support.

    Args:
        name: name of the class.
        wanted: the sensitivity that the threshold has on left-out patients of the support.
        threshold: median over episodes of the threshold of the probability.
        rates: what the threshold reaches on the queries.
    """

    name: str
    wanted: float
    threshold: float
    rates: Rates


def prevalence_of(classes: Sequence[str], stated: Mapping[str, float]) -> Float[np.ndarray, " ways"] | None:
    """Return the share of each class, or None if no class of the task is stated.

    If all classes are stated, their shares are divided by the sum. Otherwise, the other classes have equal parts of
    the rest.

    Raises:
        InputError: a share is not above 0, or the stated ones leave nothing for the others.
    """
    given = {name: stated[name] for name in classes if name in stated}
    if not given:
        return None
    others = len(classes) - len(given)
    total = sum(given.values())
    if min(given.values()) <= 0 or not np.isfinite(total) or (others and total >= 1):
        written = ", ".join(f"{name}={share:g}" for name, share in given.items())
        raise InputError(
            f"The prevalence is {written}, but shares must be above 0 and, unless every class is stated, add up to "
            "less than 1; for example nodule=0.02."
        )
    if not others:
        return np.array([given[name] / total for name in classes])
    return np.array([given.get(name, (1 - total) / others) for name in classes])


def confusion_matrix(episodes: Sequence[EpisodePredictions]) -> Int[np.ndarray, "ways ways"]:
    """Return how many queries of each true class (rows) are found to be of each class (columns), over all episodes."""
    ways = episodes[0].probabilities.shape[1]
    cells = [episode.labels * ways + episode.probabilities.argmax(axis=1) for episode in episodes]
    return np.bincount(np.concatenate(cells), minlength=ways**2).reshape(ways, ways)


def class_scores(
    episodes: Sequence[EpisodePredictions],
    resamples: Resamples,
    classes: Sequence[str],
    prevalence: Float[np.ndarray, " ways"] | None = None,
) -> list[ClassScore]:
    """Return the scores of each class, in the order of the columns of the probabilities."""
    ways = len(classes)
    flags = [np.eye(ways, dtype=bool)[episode.probabilities.argmax(axis=1)] for episode in episodes]
    rates = class_rates(episodes, resamples, flags, prevalence)
    areas = replicate(
        episodes, resamples, {name: mean_of(partial(class_auroc, index=index)) for index, name in enumerate(classes)}
    )
    labels, patients, images = (
        np.concatenate([getattr(episode, name) for episode in episodes]) for name in ("labels", "patients", "images")
    )
    scores = []
    for index, name in enumerate(classes):
        ours = labels == index
        units = 2 * min(count(patients[ours]), count(patients[~ours]))
        scores.append(
            ClassScore(
                name=name,
                patients=count(patients[ours]),
                images=count(images[ours]),
                prevalence=None if prevalence is None else float(prevalence[index]),
                rates=rates[index],
                auroc=estimate(replace(areas[name], patient_units=units)),
            )
        )
    return scores


def operating_points(
    episodes: Sequence[EpisodePredictions],
    resamples: Resamples,
    classes: Sequence[str],
    thresholds: Float[np.ndarray, "episodes ways"],
    wanted: float,
    prevalence: Float[np.ndarray, " ways"] | None = None,
) -> list[OperatingPoint]:
    """Return the scores of each class at its thresholds, one per episode."""
    flags = [episode.probabilities >= limits for episode, limits in zip(episodes, thresholds, strict=True)]
    rates = class_rates(episodes, resamples, flags, prevalence)
    medians = np.median(thresholds, axis=0)
    return [
        OperatingPoint(name, wanted, float(median), each)
        for name, median, each in zip(classes, medians, rates, strict=True)
    ]
