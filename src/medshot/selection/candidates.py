"""The learners that `auto` chooses between, each on the features of one encoder or on those of all."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medshot.imaging import FeatureInput, InputSpec
from medshot.learners import Adapted, Learner, create
from medshot.learners.creation import with_shipped_weights
from medshot.learners.seeding import Randomness
from medshot.tasks import Support

SENTENCES = {
    "depth-ridge": "ridge regression that weighs the encoder's depths",
    "even-ridge": "ridge regression to which all depths count alike",
    "logistic": "logistic regression",
    "svm": "a linear support vector machine",
}
LAST = "the last features of "


@dataclass(frozen=True)
class View:
    """A part of the features that `auto` takes, or whole images.

    Args:
        name: the encoders of the features, joined by "+", or a description of other inputs.
        input_spec: what a learner of them takes.
        columns: the columns of these features; empty for all.
        scale: the factor that gives the features of one encoder the norm that they have without the others.
    """

    name: str
    input_spec: InputSpec
    columns: tuple[int, ...] = ()
    scale: float = 1.0

    def of(self, images: Tensor) -> Tensor:
        """Return the view's part of images as `auto` takes them, `(images, ...)`."""
        return self.scale * images[:, list(self.columns)] if self.columns else images

    def support(self, support: Support) -> Support:
        """Return the support with the view's part of its images."""
        return replace(support, images=self.of(support.images))


class Candidate(Learner):
    """A learner on one view, as a learner that takes the same input as `auto`.

    Args:
        input_spec: what `auto` takes of each image.
        view: the part of it that the learner takes.
        learner: the learner; it needs no further meta-training.
    """

    name = "candidate"
    family = "choice"
    randomised = True
    batchable = False

    def __init__(self, input_spec: InputSpec, view: View, learner: Learner) -> None:
        super().__init__(input_spec)
        self.view, self.learner = view, learner.requires_grad_(False)
        self.training_images = learner.training_images

    @property
    def key(self) -> tuple[str, str]:
        """Return the learner's name and the view's, as in the outcomes."""
        return self.learner.name, self.view.name

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample what is random in the learner."""
        return self.learner.sample_randomness(self.view.support(support), generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Adapt the learner to its view."""
        viewed = self.view.support(support)
        return self.learner.adapt_one(replace(viewed, images=self.learner.embed(viewed.images)), randomness)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Return the learner's logits."""
        return self.learner.predict_one(adapted, self.learner.embed(self.view.of(images)))


def candidates_of(input_spec: InputSpec) -> list[Candidate]:
    """Return every candidate for what `auto` takes of images.

    For features: depth-ridge on each view, even-ridge on all of them, and logistic regression on the last features of
    every encoder. For other inputs: logistic regression and a linear support vector machine.
    """
    if input_spec.is_grid or input_spec.is_bag:
        (view,) = views_of(input_spec)
        return [Candidate(input_spec, view, create(name, input_spec=view.input_spec)) for name in ("logistic", "svm")]
    views = views_of(input_spec)
    chosen = [("depth-ridge", view) for view in views]
    chosen += [("even-ridge", views[-1]), ("logistic", last_view(input_spec))]
    return [
        Candidate(input_spec, view, with_shipped_weights(create(name, input_spec=view.input_spec)))
        for name, view in chosen
    ]


def views_of(input_spec: InputSpec) -> list[View]:
    """Return a view of each encoder, then one of all together; a single view for one encoder or none."""
    names = input_spec.encoder_names()
    if input_spec.is_grid or input_spec.is_bag:
        return [View(input_spec.describe(), input_spec)]
    whole = View("+".join(names) or input_spec.describe(), FeatureInput(input_spec.blocks))
    if len(names) < 2:
        return [whole]
    owners, _ = _origins(input_spec)
    return [*(_part(input_spec, name, owners == number) for number, name in enumerate(names)), whole]


def last_view(input_spec: InputSpec) -> View:
    """Return what is usually called an encoder's features: the first block, which is computed last, of every encoder.

    All features if they come from no encoder.
    """
    names = input_spec.encoder_names()
    if not names:
        return views_of(input_spec)[-1]
    _, places = _origins(input_spec)
    return _part(input_spec, f"{LAST}{'+'.join(names)}", places == 0)


def _origins(input_spec: InputSpec) -> tuple[Int[np.ndarray, " blocks"], Int[np.ndarray, " blocks"]]:
    """Return for each block its encoder and its place in that encoder; both repeat for every picture of an image."""
    depths = input_spec.encoder_depths()
    owners = np.repeat(np.arange(len(depths)), depths)
    places = np.concatenate([np.arange(count) for count in depths])
    return np.resize(owners, len(input_spec.blocks)), np.resize(places, len(input_spec.blocks))


def _part(input_spec: InputSpec, name: str, chosen: Bool[np.ndarray, " blocks"]) -> View:
    """Return a view of some blocks, scaled to the norm of all."""
    sizes = np.array(input_spec.blocks)
    columns = tuple(np.flatnonzero(np.repeat(chosen, sizes)).tolist())
    blocks = tuple(sizes[chosen].tolist())
    return View(name, FeatureInput(blocks), columns, (len(sizes) / len(blocks)) ** 0.5)
