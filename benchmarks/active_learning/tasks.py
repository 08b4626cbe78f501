"""Simulated labelling: a few labels of a task are given at first, and the others on request."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.encoders import EncodedInput
from medshot.evaluation import EpisodePredictions
from medshot.evaluation.metrics import balanced_accuracy
from medshot.learners import Classifier, Learner, Support, create
from medshot.selection.active_learning import Pool, standardised
from medshot.tasks import Task, draw_episode

SHOTS = 2
POOL = 200
TEST = 300


@dataclass(frozen=True)
class Labelling:
    """A split of a task into labelled samples, a pool to label from and a test set, which share no patients.

    Args:
        features: of all samples of the task.
        learner: the learner that adapts to the labelled samples.
        ways: number of classes.
        labels: of every sample in `support`, `pool` and `test`.
        patients: of every sample of the task.
        support: samples that are labelled from the beginning.
        pool: samples without labels, one of each patient.
        test: samples to score on.
    """

    features: Float[Tensor, "samples features"]
    learner: Learner
    ways: int
    labels: dict[int, int]
    patients: Int[np.ndarray, " samples"]
    support: Int[np.ndarray, " support"]
    pool: Int[np.ndarray, " pool"]
    test: Int[np.ndarray, " test"]

    def candidates(self) -> Pool:
        """Return the pool as strategies see it, with probabilities of the model of the support."""
        there = self.features[self.pool]
        return Pool(standardised(there.numpy()), self._adapted(self.support).probabilities(there[None])[0].numpy())

    def predictions(self, chosen: Int[np.ndarray, " chosen"]) -> EpisodePredictions:
        """Return predictions of the test samples, with these of the pool labelled too."""
        classifier = self._adapted(np.concatenate([self.support, self.pool[chosen]]))
        probabilities = classifier.probabilities(self.features[self.test][None])[0].double().numpy()
        return EpisodePredictions(probabilities, self._labels(self.test), self.patients[self.test], self.test)

    def evened(self, predictions: EpisodePredictions, chosen: Int[np.ndarray, " chosen"]) -> EpisodePredictions:
        """Return predictions as `--prevalence` gives them for equally common classes."""
        counts = np.bincount(self._labels(np.concatenate([self.support, self.pool[chosen]])), minlength=self.ways)
        probabilities = predictions.probabilities / counts
        return replace(predictions, probabilities=probabilities / probabilities.sum(1, keepdims=True))

    def score(self, chosen: Int[np.ndarray, " chosen"]) -> float:
        """Return the balanced accuracy on the test samples, with these of the pool labelled too."""
        predictions = self.predictions(chosen)
        return float(
            balanced_accuracy(predictions.probabilities, predictions.labels, np.ones((1, len(predictions.labels))))[0]
        )

    def _adapted(self, samples: Int[np.ndarray, " samples"]) -> Classifier:
        labels = torch.from_numpy(self._labels(samples))[None]
        return self.learner.adapt(Support(self.features[samples][None], labels, torch.ones(labels.shape), self.ways))

    def _labels(self, samples: Int[np.ndarray, " samples"]) -> Int[np.ndarray, " samples"]:
        return np.array([self.labels[sample] for sample in samples.tolist()])


def labellings(task: Task, repeats: int, rng: np.random.Generator) -> Iterator[Labelling]:
    """Yield splits: `SHOTS` patients per class as the support, half of the others as the pool, the rest to score on.

    Classes are as frequent among patients as in the task; the pool has at most `POOL` and the test set `TEST` samples.
    """
    shape = EncodedInput("lite0")
    learner = create("logistic", input_spec=shape).eval()
    features = task.batch(np.arange(len(task)), shape)
    for _ in range(repeats):
        episode = draw_episode(task, shots=SHOTS, rng=rng)
        patients = task.patient_codes[episode.query]
        people, first = np.unique(patients, return_index=True)
        unlabelled = rng.permutation(len(people))[: min(POOL, len(people) // 2)]
        test = np.flatnonzero(~np.isin(patients, people[unlabelled]))[:TEST]
        samples = np.concatenate([episode.support, episode.query]).tolist()
        labels = np.concatenate([episode.support_labels, episode.query_labels]).tolist()
        yield Labelling(
            features,
            learner,
            episode.ways,
            dict(zip(samples, labels, strict=True)),
            task.patient_codes,
            episode.support,
            episode.query[first[unlabelled]],
            episode.query[test],
        )
