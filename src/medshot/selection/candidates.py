"""Between what `auto` chooses: learners, each on the features of one encoder or on those of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medshot.imaging import FeatureShape, InputShape
from medshot.learners import Learner, create
from medshot.learners.neural.depth_ridge import DepthRidge
from medshot.networks.bag_network import BagShape
from medshot.networks.encoders import ENCODERS, EncodedBagShape, EncodedShape, called, encoders_of
from medshot.networks.encoders.encoder import Images
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
    """Some of the features that `auto` is given, or images whole.

    Args:
        name: the encoders that features come from, joined by "+"; otherwise what is taken of images.
        shape: what a learner of them takes.
        columns: which features they are; all where it is left out.
        scale: what they are multiplied by, so that one encoder alone has the norm that it has by itself.
    """

    name: str
    shape: InputShape
    columns: tuple[int, ...] = ()
    scale: float = 1.0

    def of(self, images: Tensor) -> Tensor:
        """The view's part of images as `auto` gets them, `(images, ...)`."""
        return self.scale * images[:, list(self.columns)] if self.columns else images

    def support(self, support: Support) -> Support:
        """The same support with the view's part of its images."""
        return replace(support, images=self.of(support.images))


def views_of(shape: InputShape) -> list[View]:
    """Each encoder alone, then all together; one view where there is one encoder or none."""
    match shape:
        case EncodedShape(encoder=encoder, blocks=blocks):
            names = called(encoder)
            whole = View("+".join(names), FeatureShape(blocks))
            return [whole] if len(names) == 1 else [*_alone(shape, names), whole]
        case EncodedBagShape(encoder=encoder):
            return [View(f"bags of {'+'.join(called(encoder))}", shape)]
        case BagShape():
            return [View("bags", shape)]
        case FeatureShape(blocks=blocks):
            return [View("features", FeatureShape(blocks))]
        case _:
            return [View("voxels" if len(shape.dimensions) == 4 else "pixels", shape)]


def _alone(shape: EncodedShape, names: Sequence[str]) -> list[View]:
    """Each of several encoders by itself; the pictures of an image stand side by side, and of each all encoders."""
    depths = [len(encoder.blocks) for encoder in encoders_of(shape.encoder)]
    owners = np.resize(np.repeat(np.arange(len(depths)), depths), len(shape.blocks))
    of_columns = np.repeat(owners, shape.blocks)
    views = []
    for number, name in enumerate(names):
        blocks = tuple(size for size, owner in zip(shape.blocks, owners, strict=True) if owner == number)
        columns = tuple(np.flatnonzero(of_columns == number).tolist())
        views.append(View(name, FeatureShape(blocks), columns, (len(shape.blocks) / len(blocks)) ** 0.5))
    return views


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
                with_prior(learner)
            found.append((view, learner.requires_grad_(False)))
    return found


def with_prior(learner: DepthRidge) -> DepthRidge:
    """The learner with the start that it learned from the tasks that medshot was made with."""
    give_prior(learner, shipped_prior(), shipped_images())
    return learner


def give_prior(learner: DepthRidge, prior: Mapping[str, Tensor], seen: Images) -> None:
    """Set what the learner starts from; weights of an encoder's depths serve every encoder of as many depths.

    Args:
        learner: of any encoder's features.
        prior: what it learned of one encoder's.
        seen: the images that this was learned from.
    """
    depths = len(prior["log_weights"])
    state = {name: value.clone() for name, value in prior.items()}
    times, rest = divmod(len(learner.sizes), depths)
    state["log_weights"] = prior["log_weights"].repeat(times) if rest == 0 else torch.zeros(len(learner.sizes))
    learner.load_state_dict(state, assign=True)
    learner.seen = dict(seen)


@cache
def shipped_prior() -> dict[str, Tensor]:
    """What depth-ridge learned from the tasks that medshot was made with."""
    return {name: torch.from_numpy(value.copy()) for name, value in read_arrays(PRIOR).items()}


def shipped_images() -> Images:
    """The images of those tasks: they are among those that the encoder `medical` was trained on."""
    seen = ENCODERS["medical"].seen
    assert seen is not None
    return seen()
