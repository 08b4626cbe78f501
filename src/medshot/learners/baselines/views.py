"""The support as baselines see it that train on it: augmented views of pixels in turn, features as they are."""

from dataclasses import replace

import torch

from medshot.imaging import GridShape, InputShape
from medshot.learners.baselines.logistic import augmented_views
from medshot.learners.content import Drawn
from medshot.tasks import Support

VIEWS = "views"


def draw_views(support: Support, shape: InputShape, count: int, generator: torch.Generator) -> Drawn:
    """That many views of one task's support as `(support, views, channels, *spatial)`; of features one."""
    count = count if isinstance(shape, GridShape) else 1
    images = augmented_views(support, count, generator)["images"]
    return {VIEWS: images.unflatten(0, (count, -1)).transpose(0, 1)}


def views_of(support: Support, drawn: Drawn) -> list[Support]:
    """The support with each of the views that were drawn."""
    return [replace(support, images=images) for images in drawn[VIEWS].unbind(1)]
