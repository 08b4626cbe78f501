"""Sensitivity, specificity and predictive values of each class, from one table of counts and with intervals.

The table counts the queries of all episodes together, by their true class and by the classes that they are found to be
of, so the numbers agree with the confusion matrix. The bootstrap weights that table.

Queries are drawn equally often from each class, so predictive values cannot be counted. They follow from Bayes' rule at
a stated prevalence, from the share of the queries of each class that are found to be of this one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from medshot.evaluation.intervals import Estimate, Replicates, Resamples, estimate, is_constant
from medshot.evaluation.metrics import ratio
from medshot.evaluation.predictions import EpisodePredictions


@dataclass(frozen=True)
class Rates:
    """Detection rates of one class among all; None if a number is undefined or no prevalence was given.

    Args:
        sensitivity: share of the images of this class that are found to be of it.
        specificity: share of the images of the other classes that are not found to be of it.
        positive_predictive_value: share of images of this class among those found to be of it, at the prevalence.
        negative_predictive_value: share of images of other classes among those not found to be of it.
    """

    sensitivity: Estimate | None
    specificity: Estimate | None
    positive_predictive_value: Estimate | None
    negative_predictive_value: Estimate | None


@dataclass(frozen=True)
class Flags:
    """Weighted counts of queries over all episodes: one row for the original data or one per replicate.

    Args:
        found: weight of the queries of each true class that are found to be of each class.
        totals: weight of the queries of each true class.
    """

    found: Float[np.ndarray, "rows truth ways"]
    totals: Float[np.ndarray, "rows truth"]


def class_rates(
    episodes: Sequence[EpisodePredictions],
    resamples: Resamples,
    flags: Sequence[Bool[np.ndarray, "queries ways"]],
    prevalence: Float[np.ndarray, " ways"] | None,
) -> list[Rates]:
    """Return the rates of each class.

    Args:
        episodes: the predictions.
        resamples: the counts of patients and episodes.
        flags: for each episode, the classes that each query is found to be of.
        prevalence: share of each class, for predictive values.
    """
    counted = _count_flags(episodes, resamples, flags)
    labels = np.concatenate([episode.labels for episode in episodes])
    patients = np.concatenate([episode.patients for episode in episodes])
    rates = []
    for index in range(flags[0].shape[1]):
        ours = labels == index
        own, others = count(patients[ours]), count(patients[~ours])
        units = {"sensitivity": own, "specificity": others}
        original, over_episodes, new_patients = (_rates(each, index, prevalence) for each in counted)
        replicates = {
            name: Replicates(
                value=float(value[0]),
                over_episodes=over_episodes[name],
                new_patients=new_patients[name],
                episode_units=len(episodes),
                patient_units=units.get(name, min(own, others)),
                limits=(0.0, 1.0),
            )
            for name, value in original.items()
        }
        rates.append(_estimates(replicates, None if prevalence is None else float(prevalence[index])))
    return rates


def _estimates(replicates: Mapping[str, Replicates], prevalence: float | None) -> Rates:
    """Return the estimates of one class.

    A predictive value of 1 in all replicates says that no query of another class was found to be of this one. How many
    of other patients might be depends on the prevalence, so the interval then comes from those of the two rates.
    """
    sensitivity, specificity = (estimate(replicates[name]) for name in ("sensitivity", "specificity"))
    predictive: dict[str, Estimate | None] = dict.fromkeys(BAYES)
    for name, formula in BAYES.items():
        if name not in replicates or (found := estimate(replicates[name])) is None:
            continue
        if prevalence is not None and sensitivity and specificity and _is_constant(replicates[name]):
            ends = partial(_from_ends, formula, prevalence)
            found = replace(
                found,
                over_episodes=ends(sensitivity.over_episodes, specificity.over_episodes),
                new_patients=ends(sensitivity.new_patients, specificity.new_patients),
            )
        predictive[name] = found
    return Rates(sensitivity, specificity, **predictive)


def _is_constant(replicates: Replicates) -> bool:
    return is_constant(replicates.new_patients[np.isfinite(replicates.new_patients)])


def _from_ends(
    formula: Callable[[float, float, float], float],
    prevalence: float,
    sensitivity: tuple[float, float],
    specificity: tuple[float, float],
) -> tuple[float, float]:
    """Return the predictive value at the lower ends of both rates and at their upper ends."""
    low, high = zip(sensitivity, specificity, strict=True)
    return formula(*low, prevalence), formula(*high, prevalence)


def _positive(sensitivity: float, specificity: float, prevalence: float) -> float:
    right, wrong = prevalence * sensitivity, (1 - prevalence) * (1 - specificity)
    return right / (right + wrong) if right + wrong > 0 else float(specificity == 1)


def _negative(sensitivity: float, specificity: float, prevalence: float) -> float:
    return _positive(specificity, sensitivity, 1 - prevalence)


BAYES = {"positive_predictive_value": _positive, "negative_predictive_value": _negative}


def _rates(
    flags: Flags, index: int, prevalence: Float[np.ndarray, " ways"] | None
) -> dict[str, Float[np.ndarray, " rows"]]:
    """Return the rates of class `index` in each row of the table."""
    others = np.arange(flags.totals.shape[1]) != index
    found = flags.found[:, :, index]
    rates = {
        "sensitivity": ratio(found[:, index], flags.totals[:, index]),
        "specificity": ratio((flags.totals - found)[:, others].sum(axis=1), flags.totals[:, others].sum(axis=1)),
    }
    if prevalence is not None:
        shares = ratio(found, flags.totals)
        positive, negative = prevalence * shares, prevalence * (1 - shares)
        rates["positive_predictive_value"] = ratio(positive[:, index], positive.sum(axis=1))
        rates["negative_predictive_value"] = ratio(negative[:, others].sum(axis=1), negative.sum(axis=1))
    return rates


def _count_flags(
    episodes: Sequence[EpisodePredictions], resamples: Resamples, flags: Sequence[Bool[np.ndarray, "queries ways"]]
) -> tuple[Flags, Flags, Flags]:
    """Return the flags of the original data, with resampled episodes, and with resampled patients and episodes."""
    ways = flags[0].shape[1]
    terms = ways * (ways + 1)
    counts, patients = (each.astype(np.float64) for each in (resamples.episodes, resamples.patients))
    original = np.zeros((1, terms))
    over_episodes, new_patients = np.zeros((len(counts), terms)), np.zeros((len(counts), terms))
    for number, (episode, columns, flagged) in enumerate(zip(episodes, resamples.columns, flags, strict=True)):
        truth = np.eye(ways)[episode.labels]
        cells = np.concatenate([(truth[:, :, None] * flagged[:, None, :]).reshape(len(truth), -1), truth], axis=1)
        original += cells.sum(axis=0)
        over_episodes += counts[:, number, None] * cells.sum(axis=0)
        new_patients += counts[:, number, None] * (patients[:, columns] @ cells)
    return _as_flags(original, ways), _as_flags(over_episodes, ways), _as_flags(new_patients, ways)


def _as_flags(terms: Float[np.ndarray, "rows terms"], ways: int) -> Flags:
    return Flags(terms[:, : ways**2].reshape(-1, ways, ways), terms[:, ways**2 :])


def count(values: np.ndarray) -> int:
    """Return the number of different values."""
    return len(np.unique(values))
