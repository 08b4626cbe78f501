"""Between what `auto` chooses: learners, each on the features of one encoder or on those of all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from medshot.imaging import FeatureShape, InputShape
from medshot.learners import Learner, create
from medshot.learners.neural.depth_ridge import DepthRidge
from medshot.networks.bag_network import BagShape
from medshot.networks.encoders import EncodedShape, called, encoders_of
from medshot.storage import read_arrays
from medshot.tasks import Support

PRIOR = Path(__file__).with_name("depth_ridge.safetensors")
SENTENCES = {
    "depth-ridge": "ridge regression that weighs the encoder's depths",
    "logistic": "logistic regression",
    "svm": "a linear support vector machine",
}


@dataclass(frozen=True)
class View:
    """Some of the features that `auto` is given.

    Args:
        name: the encoders they come from, joined by "+"; "images" where there are none.
        start: the first of them.
        end: the one after the last.
        scale: what they are multiplied by, so that one encoder alone has the norm that it has by itself.
        shape: what a learner of them takes.
    """

    name: str
    start: int
    end: int
    scale: float
    shape: InputShape

    def of(self, images: Tensor) -> Tensor:
        """The view's part of images as `auto` gets them, `(images, ...)`."""
        return images if isinstance(self.shape, BagShape) or images.ndim != 2 else self.scale * images[:, self._columns]

    def support(self, support: Support) -> Support:
        """The same support with the view's part of its images."""
        return replace(support, images=self.of(support.images))

    @property
    def _columns(self) -> slice:
        return slice(self.start, self.end)


def views_of(shape: InputShape) -> list[View]:
    """Each encoder alone, then all together; one view where there is one encoder or none."""
    if not isinstance(shape, FeatureShape) or isinstance(shape, BagShape):
        return [View("images", 0, 0, 1.0, shape)]
    features = sum(shape.blocks)
    if not isinstance(shape, EncodedShape):
        return [View("features", 0, features, 1.0, FeatureShape(shape.blocks))]
    names = called(shape.encoder)
    whole = View("+".join(names), 0, features, 1.0, FeatureShape(shape.blocks))
    if len(names) == 1:
        return [whole]
    views, first, start = [], 0, 0
    pictures = len(shape.blocks) // sum(len(encoder.blocks) for encoder in encoders_of(shape.encoder))
    for name, encoder in zip(names, encoders_of(shape.encoder), strict=True):
        blocks = shape.blocks[first : first + pictures * len(encoder.blocks)]
        end = start + sum(blocks)
        views.append(View(name, start, end, (len(shape.blocks) / len(blocks)) ** 0.5, FeatureShape(blocks)))
        first, start = first + len(blocks), end
    return [*views, whole]


def candidates_of(views: Sequence[View]) -> list[tuple[View, Learner]]:
    """Every candidate: the view it takes and the learner, which needs no more meta-training.

    Of features each view by depth-ridge, and the last, which is all of them, by logistic regression too; of anything
    else logistic regression and a linear support vector machine.
    """
    found = []
    for view in views:
        if type(view.shape) is FeatureShape:
            names = ["depth-ridge", "logistic"] if view is views[-1] else ["depth-ridge"]
        else:
            names = ["logistic", "svm"]
        for name in names:
            learner = create(name, shape=view.shape)
            if isinstance(learner, DepthRidge):
                give_prior(learner, shipped_prior())
            found.append((view, learner.requires_grad_(False)))
    return found


def give_prior(learner: DepthRidge, prior: dict[str, Tensor]) -> None:
    """Set what the learner starts from; weights of an encoder's depths serve every encoder of as many depths."""
    depths = len(prior["log_weights"])
    state = dict(prior)
    times, rest = divmod(len(learner.sizes), depths)
    state["log_weights"] = prior["log_weights"].repeat(times) if rest == 0 else torch.zeros(len(learner.sizes))
    learner.load_state_dict(state, assign=True)


@cache
def shipped_prior() -> dict[str, Tensor]:
    """What depth-ridge learned from the tasks that medshot was made with."""
    return {name: torch.from_numpy(value.copy()) for name, value in read_arrays(PRIOR).items()}
