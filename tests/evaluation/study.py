"""Studies with a known true accuracy, for tests of metrics and intervals."""

import numpy as np
from scipy.stats import norm

from medshot.evaluation.intervals import METRICS
from medshot.evaluation.predictions import EpisodePredictions

PATIENT_SPREAD, SUPPORT_SPREAD, SKILL = 1.0, 0.3, 0.8
TRUE_ACCURACY = float(norm.cdf(SKILL / np.sqrt(1 + PATIENT_SPREAD**2 + SUPPORT_SPREAD**2)))


def calibration_error(probabilities, labels, weights=None):
    """Return the calibration error of one episode as an evaluation computes it."""
    metric = METRICS["calibration_error"]
    return metric.combine(metric.parts(probabilities, labels, np.ones(len(labels)) if weights is None else weights))


def study(seed, *, patients=20, episodes=15, queries=10, skill=SKILL, support_spread=SUPPORT_SPREAD):
    """Return the episodes of two classes; patients differ in difficulty, and supports in quality.

    The expected balanced accuracy over new patients and new supports is `TRUE_ACCURACY` at the default skill.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], patients)
    ease = generator.normal(0, PATIENT_SPREAD, 2 * patients)
    predictions = []
    for _ in range(episodes):
        support = generator.normal(0, support_spread)
        query = np.concatenate([group + generator.choice(patients, queries, replace=False) for group in (0, patients)])
        margin = skill + ease[query] + support + generator.normal(size=2 * queries)
        second = norm.cdf(np.where(labels[query] == 1, margin, -margin))
        predictions.append(EpisodePredictions(np.stack([1 - second, second], axis=1), labels[query], query, query))
    return predictions


def guesses(seed, *, episodes=5, queries=30, ways=3, patients=12, digits=None):
    """Return random predictions with several images per patient; few `digits` make ties."""
    generator = np.random.default_rng(seed)
    predictions = []
    for _ in range(episodes):
        probabilities = generator.dirichlet(np.ones(ways), queries)
        if digits is not None:
            counts = generator.multinomial(digits, np.full(ways, 1 / ways), queries)
            probabilities = counts / digits
        labels = np.concatenate([np.arange(ways), generator.integers(ways, size=queries - ways)])
        owner = generator.integers(patients, size=queries)
        predictions.append(EpisodePredictions(probabilities, labels, owner, np.arange(queries)))
    return predictions
