"""Randomness that depends only on a support's images, not on their order, their labels, or the rest of the batch."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from medshot.imaging import Augmentation, InputSpec, augment
from medshot.tasks import Support

Randomness = dict[str, Tensor]
PADDING = b"\xff" * 33
"""Greater than any digest, so that padding is sorted to the end."""


def order_by_digest(support: Support) -> Support:
    """Return each task's support in the order of its images' digests, padding last.

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


def sample_by_support(support: Support, sample: Callable[[Support, torch.Generator], Randomness]) -> Randomness:
    """Sample each task's randomness with a generator seeded by the task's images, and stack it along a task axis.

    Args:
        support: with a leading task axis, ordered by digest.
        sample: takes one task's support without its padding. Each tensor that it returns has one row per sample, and is
            then padded with zeros as the support is, or the same length for every task.

    Raises:
        ValueError: a tensor has neither, so that padding would change what a task gets.
    """
    of_tasks, sizes = [], []
    for task in range(len(support.labels)):
        of_task = support.of_task(task)
        digest = hashlib.sha256(b"".join(_digests(of_task.images, of_task.weights))).digest()
        of_tasks.append(sample(of_task, torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))))
        sizes.append(len(of_task.labels))
    longest = support.labels.shape[1]
    return {name: _stacked(name, [each[name] for each in of_tasks], sizes, longest) for name in of_tasks[0]}


def canonical_labels(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Number the classes by their first sample, so that labels do not depend on how the classes were numbered.

    Args:
        labels: `(support,)`, of one task without its padding, ordered by digest.

    Returns:
        The labels with classes numbered in the order in which they first appear, and the old label of each new one.
    """
    old = torch.tensor(list(dict.fromkeys(labels.tolist())), device=labels.device)
    return (labels[:, None] == old).int().argmax(1), old


VIEWS = "views"


def sample_views(support: Support, input_spec: InputSpec, count: int, generator: torch.Generator) -> Randomness:
    """Sample augmented views of one task's support: each image as it is, then `count - 1` times augmented.

    Features have one view, which is themselves.

    Returns:
        "views", `(support, views, *image)`.
    """
    if not input_spec.is_grid or count == 1:
        return {VIEWS: support.images[:, None]}
    others = augment(torch.cat([support.images] * (count - 1)), Augmentation(), flip=False, generator=generator)
    return {VIEWS: torch.cat([support.images, others]).unflatten(0, (count, -1)).transpose(0, 1)}


def views_of(support: Support, randomness: Randomness) -> list[Support]:
    """Return the support once for each of its sampled views."""
    return [replace(support, images=images) for images in randomness[VIEWS].unbind(1)]


def _digests(images: Tensor, weights: Tensor) -> list[bytes]:
    return [
        hashlib.sha256(image.numpy().tobytes()).digest() if weight > 0 else PADDING
        for image, weight in zip(images.detach().cpu(), weights.detach().cpu(), strict=True)
    ]


def _stacked(name: str, tensors: Sequence[Tensor], sizes: list[int], longest: int) -> Tensor:
    lengths = [len(tensor) for tensor in tensors]
    if lengths == sizes:
        padding = [tensor.new_zeros(longest - len(tensor), *tensor.shape[1:]) for tensor in tensors]
        return torch.stack([torch.cat(pair) for pair in zip(tensors, padding, strict=True)])
    if len(set(lengths)) > 1:
        raise ValueError(f"'{name}' has {lengths} rows for supports of {sizes}; sample one row per sample, or as many.")
    return torch.stack(list(tensors))
