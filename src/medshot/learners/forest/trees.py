"""scikit-learn's fitted trees as tensors: they predict the same, and are saved without pickle."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.imaging import InputSpec

# A `BaseDecisionTree`, and a `RandomForestClassifier` or `ExtraTreesClassifier`, which are slow to import.
FittedTree: TypeAlias = Any
FittedForest: TypeAlias = Any
CHILDREN, FEATURES, THRESHOLDS, VALUES = "trees.children", "trees.features", "trees.thresholds", "trees.values"


def tree_tensors(
    trees: Sequence[FittedTree],
    values: Sequence[Float[np.ndarray, "_ outputs"]],
    *,
    columns: Sequence[Int[np.ndarray, " _"]],
    support: Float[Tensor, "support features"],
) -> dict[str, Tensor]:
    """Return trees as four tensors, each padded to the longest tree that so many samples can grow.

    Args:
        trees: fitted on float32 features.
        values: what each node of each tree predicts.
        columns: for each tree, the columns of its features in a whole vector.
        support: what they were fitted on; the tensors get its device and precision.

    Returns:
        "trees.children", `(trees, nodes, 2)`, for a leaf itself; "trees.features" and "trees.thresholds",
        `(trees, nodes)`; "trees.values", `(trees, nodes, outputs)`.
    """
    nodes = 2 * len(support) - 1
    children = np.tile(np.arange(nodes)[:, None], (len(trees), 1, 2))
    features = np.zeros((len(trees), nodes), dtype=np.int64)
    thresholds = np.zeros((len(trees), nodes), dtype=np.float32)
    predictions = np.zeros((len(trees), nodes, values[0].shape[1]))
    for row, (tree, of_tree, whole) in enumerate(zip(trees, values, columns, strict=True)):
        grown = tree.tree_
        inner = np.flatnonzero(grown.children_left >= 0)
        children[row, inner, 0] = grown.children_left[inner]
        children[row, inner, 1] = grown.children_right[inner]
        features[row, inner] = whole[grown.feature[inner]]
        thresholds[row, inner] = _rounded_down(grown.threshold[inner])
        predictions[row, : grown.node_count] = of_tree
    return {
        CHILDREN: torch.from_numpy(children).to(support.device),
        FEATURES: torch.from_numpy(features).to(support.device),
        THRESHOLDS: torch.from_numpy(thresholds).to(support),
        VALUES: torch.from_numpy(predictions).to(support),
    }


def class_values(
    trees: Sequence[FittedTree], classes: Int[Tensor, " present"], ways: int
) -> list[Float[np.ndarray, "_ ways"]]:
    """Return the class probabilities at every node of classification trees.

    Args:
        trees: fitted on labels 0 to present - 1.
        classes: the task's class for each of these labels.
        ways: the number of classes of the task; a class without a sample gets probability 0.
    """
    placed = np.eye(ways)[classes.cpu().numpy()]
    return [tree.tree_.value[:, 0] @ placed for tree in trees]


def leaf_values(
    adapted: dict[str, Tensor], vectors: Float[Tensor, "queries features"]
) -> Float[Tensor, "trees queries outputs"]:
    """Return each tree's prediction for each query; all trees and queries descend together.

    scikit-learn compares features in float32 with thresholds in float64, and so does this: a float32 feature is at most
    a threshold exactly if it is at most the threshold rounded down to float32.
    """
    children, features, thresholds = adapted[CHILDREN], adapted[FEATURES], adapted[THRESHOLDS]
    tree = torch.arange(len(children), device=children.device)[:, None]
    query = torch.arange(len(vectors), device=children.device)
    node, vectors = torch.zeros_like(tree + query), vectors.detach().float()
    while True:
        right = vectors[query, features[tree, node]] > thresholds[tree, node]
        below = children[tree, node, right.long()]
        if torch.equal(below, node):
            return adapted[VALUES][tree, node]
        node = below


def _rounded_down(thresholds: Float[np.ndarray, " nodes"]) -> Float[np.ndarray, " nodes"]:
    """Return the largest float32 numbers that are not above these."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


Value = str | int | float | None
AXES: Mapping[str, Mapping[Value, float]] = {
    "splits": {"best": 0.5, "random": 0.5},
    "sampling": {"all": 0.9, "bootstrap": 0.05, "balanced bootstrap": 0.05},
    "candidates": {"log2": 0.4, "sqrt": 0.4, 0.2: 0.2},
    "leaf": {1: 0.95, 3: 0.05},
    "depth": {None: 0.9, 2: 0.1},
}
"""The settings other than the features that a tree uses, with the initial share of each value."""


class SettingsSpace:
    """The space of a forest's settings: one value on each of six axes, each axis with its own probabilities.

    ==========  =====================================================================================================
    blocks      the features a tree uses: all, the first block, or a third of the other blocks
    splits      "best" thresholds (`RandomForestClassifier`) or "random" ones (`ExtraTreesClassifier`)
    sampling    a tree grows on all samples, on a bootstrap of them, or on one whose classes are weighted to be equal
    candidates  how many features a split chooses from (scikit-learn's `max_features`)
    leaf        samples in the smallest leaf
    depth       the most splits above a leaf
    ==========  =====================================================================================================

    A forest's settings are a row of six numbers: which value it has on each axis.

    Args:
        input_spec: what the learner takes of an image.
    """

    def __init__(self, input_spec: InputSpec) -> None:
        self.blocks = blocks_of(input_spec)
        self.axes: dict[str, Mapping[Value, float]] = {
            "blocks": dict.fromkeys(self.blocks, 1 / len(self.blocks)),
            **AXES,
        }

    @property
    def start(self) -> Float[Tensor, " values"]:
        """Return the initial log-probability of each value, axis by axis."""
        return torch.tensor([share for axis in self.axes.values() for share in axis.values()]).log()

    def log_probabilities(self, logits: Float[Tensor, " values"]) -> dict[str, Float[Tensor, " of_axis"]]:
        """Return the log-probabilities of each axis' values."""
        parts = logits.split([len(axis) for axis in self.axes.values()])
        return {name: part.log_softmax(0) for name, part in zip(self.axes, parts, strict=True)}

    def trials(self, count: int, generator: torch.Generator) -> Int[Tensor, "count axes"]:
        """Sample settings in which each value occurs in proportion to its initial share, up to rounding."""
        columns = []
        for axis in self.axes.values():
            offset = torch.rand((), generator=generator, dtype=torch.float64)
            values = _resampled(torch.tensor(list(axis.values())), count, offset)
            columns.append(values[torch.randperm(count, generator=generator)])
        return torch.stack(columns, 1)

    def shares(self, log_probabilities: Mapping[str, Tensor], trees: int) -> Int[Tensor, "trees axes"]:
        """Return the settings of each of `trees` trees, in proportion to the settings' probability."""
        every = torch.cartesian_prod(*(torch.arange(len(axis)) for axis in self.axes.values()))
        cpu = {name: axis.detach().cpu() for name, axis in log_probabilities.items()}
        return every[_resampled(joint(cpu, every).exp(), trees, 0.5)]

    def grow(
        self,
        settings: Sequence[int],
        vectors: Float[np.ndarray, "support features"],
        labels: Int[np.ndarray, " support"],
        *,
        trees: int,
        seed: int,
    ) -> tuple[FittedForest, Int[np.ndarray, " used"]]:
        """Grow a forest with these settings; return it with the columns of the vectors that it uses."""
        from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier  # slow to import

        chosen = {name: list(axis)[value] for (name, axis), value in zip(self.axes.items(), settings, strict=True)}
        columns = np.arange(vectors.shape[1])[self.blocks[str(chosen["blocks"])]]
        kind = RandomForestClassifier if chosen["splits"] == "best" else ExtraTreesClassifier
        forest = kind(
            trees,
            bootstrap=chosen["sampling"] != "all",
            class_weight="balanced_subsample" if chosen["sampling"] == "balanced bootstrap" else None,
            max_features=chosen["candidates"],
            min_samples_leaf=chosen["leaf"],
            max_depth=chosen["depth"],
            random_state=seed,
        )
        return forest.fit(vectors[:, columns], labels), columns


def joint(log_probabilities: Mapping[str, Tensor], settings: Int[Tensor, "count axes"]) -> Float[Tensor, " count"]:
    """Return the log-probability of each setting: the sum over its axes."""
    return torch.stack([axis[values] for axis, values in zip(log_probabilities.values(), settings.T, strict=True)]).sum(
        0
    )


def _resampled(shares: Float[Tensor, " values"], count: int, offset: Tensor | float) -> Int[Tensor, " count"]:
    """Return `count` values in proportion to their shares (systematic resampling; Kitagawa, 1996)."""
    cumulative = shares.double().cumsum(0)
    steps = (torch.arange(count) + offset) / count
    return torch.searchsorted(cumulative, steps * cumulative[-1])


def blocks_of(input_spec: InputSpec) -> dict[str, slice]:
    """Return the columns of all features, of the first block, and of up to three runs of the other blocks."""
    every = {"all": slice(None)}
    if len(input_spec.blocks) < 2:
        return every
    ends = np.cumsum([0, *input_spec.blocks]).tolist()
    others = np.arange(1, len(input_spec.blocks))
    runs = [np.array([0]), *np.array_split(others, min(3, len(others)))]
    return every | {f"{run[0]}-{run[-1]}": slice(ends[run[0]], ends[run[-1] + 1]) for run in runs}
