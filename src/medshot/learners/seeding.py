"""Randomness that depends on a support's content alone: not on its order, its labels, or the rest of the batch."""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from medshot.tasks import Support

Randomness = dict[str, Tensor]
PADDING = b"\xff" * 33
"""Greater than any digest, so that padding sorts last."""


def order_by_digest(support: Support) -> Support:
    """Each task's support ordered by the digest of its images, padding last.

    Args:
        support: with a leading task axis.
    """
    keys = map(_digests, support.images, support.weights)
    order = torch.tensor(
        [sorted(range(len(of_task)), key=of_task.__getitem__) for of_task in keys], device=support.labels.device
    )
    rows = torch.arange(len(order), device=order.device)[:, None]
    return Support(
        support.images[rows, order],
        support.labels[rows, order],
        support.weights[rows, order],
        support.ways,
        None if support.patients is None else support.patients[rows, order],
    )


def sample_by_support(support: Support, draw: Callable[[Support, torch.Generator], Randomness]) -> Randomness:
    """What `draw` gives for each task with a generator seeded by the task's images, stacked along a task axis.

    Args:
        support: with a leading task axis, ordered by content.
        draw: takes one task's support without its padding; what it returns may differ in length between tasks and is
            filled up with zeros.
    """
    drawn = []
    for task in range(len(support.labels)):
        of_task = support.of_task(task)
        content = hashlib.sha256(b"".join(_digests(of_task.images, of_task.weights)))
        seed = int.from_bytes(content.digest()[:7], "little")
        drawn.append(draw(of_task, torch.Generator().manual_seed(seed)))
    return {name: _stacked([of_task[name] for of_task in drawn]) for name in drawn[0]}


def canonical_labels(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Labels that do not depend on how the classes were numbered.

    Args:
        labels: `(support,)`, of one task without its padding, ordered by content.

    Returns:
        The labels with classes numbered in the order in which they first appear, and the old label of each new one.
    """
    old = torch.tensor(list(dict.fromkeys(labels.tolist())), device=labels.device)
    return (labels[:, None] == old).int().argmax(1), old


def _digests(images: Tensor, weights: Tensor) -> list[bytes]:
    return [
        hashlib.sha256(image.numpy().tobytes()).digest() if weight > 0 else PADDING
        for image, weight in zip(images.detach().cpu(), weights.detach().cpu(), strict=True)
    ]


def _stacked(tensors: list[Tensor]) -> Tensor:
    longest = max(len(tensor) for tensor in tensors)
    return torch.stack(
        [torch.cat([tensor, tensor.new_zeros(longest - len(tensor), *tensor.shape[1:])]) for tensor in tensors]
    )
