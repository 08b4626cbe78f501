"""scikit-learn's fitted trees as tensors: they predict the same, and are saved without pickle."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.tree import BaseDecisionTree
from torch import Tensor

CHILDREN, FEATURES, THRESHOLDS, VALUES = "trees.children", "trees.features", "trees.thresholds", "trees.values"


def tree_tensors(
    trees: Sequence[BaseDecisionTree],
    values: Sequence[Float[np.ndarray, "_ outputs"]],
    *,
    columns: Sequence[Int[np.ndarray, " _"]],
    support: Float[Tensor, "support features"],
) -> dict[str, Tensor]:
    """Trees as four tensors, each filled up to the longest tree that so many samples can grow.

    Args:
        trees: fitted on float32 features.
        values: what each node of each tree says.
        columns: for each tree, where its features stand in a whole vector.
        support: what they were fitted on; says where the tensors go and in which precision.

    Returns:
        "trees.children", `(trees, nodes, 2)`, a leaf's being itself; "trees.features" and "trees.thresholds",
        `(trees, nodes)`; "trees.values", `(trees, nodes, outputs)`.
    """
    nodes = 2 * len(support) - 1
    children = np.tile(np.arange(nodes)[:, None], (len(trees), 1, 2))
    features = np.zeros((len(trees), nodes), dtype=np.int64)
    thresholds = np.zeros((len(trees), nodes), dtype=np.float32)
    said = np.zeros((len(trees), nodes, values[0].shape[1]))
    for row, (tree, of_tree, whole) in enumerate(zip(trees, values, columns, strict=True)):
        grown = tree.tree_
        inner = np.flatnonzero(grown.children_left >= 0)
        children[row, inner, 0] = grown.children_left[inner]
        children[row, inner, 1] = grown.children_right[inner]
        features[row, inner] = whole[grown.feature[inner]]
        thresholds[row, inner] = _rounded_down(grown.threshold[inner])
        said[row, : grown.node_count] = of_tree
    return {
        CHILDREN: torch.from_numpy(children).to(support.device),
        FEATURES: torch.from_numpy(features).to(support.device),
        THRESHOLDS: torch.from_numpy(thresholds).to(support),
        VALUES: torch.from_numpy(said).to(support),
    }


def class_values(
    trees: Sequence[BaseDecisionTree], classes: Int[Tensor, " present"], ways: int
) -> list[Float[np.ndarray, "_ ways"]]:
    """The class probabilities at every node of classification trees.

    Args:
        trees: fitted on labels 0 to present - 1.
        classes: which class of the task each of these labels means.
        ways: classes of the task; one that no sample had gets probability 0.
    """
    placed = np.eye(ways)[classes.cpu().numpy()]
    return [tree.tree_.value[:, 0] @ placed for tree in trees]


def leaf_values(
    adapted: dict[str, Tensor], vectors: Float[Tensor, "queries features"]
) -> Float[Tensor, "trees queries outputs"]:
    """What each tree says of each query; all trees and queries descend together.

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
    """The largest float32 numbers that are not above these."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)
