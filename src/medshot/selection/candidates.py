"""Between what `auto` chooses: learners, each on the features of one encoder or on those of all."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medshot.encoders import EncodedBagInput, EncodedInput, called, encoders_of
from medshot.imaging import FeatureInput, InputSpec
from medshot.learners import Adapted, Learner, create
from medshot.learners.seeding import Randomness
from medshot.learners.shipped import with_shipped_weights
from medshot.networks.bag_network import BagInput
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
    """Some of the features that `auto` is given, or images whole.

    Args:
        name: the encoders that features come from, joined by "+"; otherwise what is taken of images.
        input_spec: what a learner of them takes.
        columns: which features they are; all where it is left out.
        scale: what they are multiplied by, so that one encoder alone has the norm that it has by itself.
    """

    name: str
    input_spec: InputSpec
    columns: tuple[int, ...] = ()
    scale: float = 1.0

    def of(self, images: Tensor) -> Tensor:
        """The view's part of images as `auto` gets them, `(images, ...)`."""
        return self.scale * images[:, list(self.columns)] if self.columns else images

    def support(self, support: Support) -> Support:
        """The same support with the view's part of its images."""
        return replace(support, images=self.of(support.images))


class Candidate(Learner):
    """One learner on one view: a learner of all that `auto` is given.

    Args:
        input_spec: what `auto` takes of each image.
        view: what the learner sees of that.
        learner: needs no more meta-training.
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
        """The learner's name and the view's, by which outcomes know it."""
        return self.learner.name, self.view.name

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """What the learner draws."""
        return self.learner.sample_randomness(self.view.support(support), generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """The learner, adapted to what it sees."""
        viewed = self.view.support(support)
        return self.learner.adapt_one(replace(viewed, images=self.learner.embed(viewed.images)), randomness)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """The learner's logits."""
        return self.learner.predict_one(adapted, self.learner.embed(self.view.of(images)))


def candidates_of(input_spec: InputSpec) -> list[Candidate]:
    """Every candidate for what `auto` takes of images.

    Of features each view by depth-ridge; all of them by even-ridge too, and the last features of every encoder by
    logistic regression. Of anything else logistic regression and a linear support vector machine.
    """
    if not isinstance(input_spec, FeatureInput) or isinstance(input_spec, BagInput):
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
    """Each encoder alone, then all together; one view where there is one encoder or none."""
    match input_spec:
        case EncodedInput(encoder=encoder, blocks=blocks):
            names = called(encoder)
            whole = View("+".join(names), FeatureInput(blocks))
            if len(names) == 1:
                return [whole]
            owners, _ = _origins(input_spec)
            return [*(_part(input_spec, name, owners == number) for number, name in enumerate(names)), whole]
        case EncodedBagInput(encoder=encoder):
            return [View(f"bags of {'+'.join(called(encoder))}", input_spec)]
        case BagInput():
            return [View("bags", input_spec)]
        case FeatureInput(blocks=blocks):
            return [View("features", FeatureInput(blocks))]
        case _:
            return [View("voxels" if len(input_spec.dimensions) == 4 else "pixels", input_spec)]


def last_view(input_spec: FeatureInput) -> View:
    """What is usually called an encoder's features: the first block, which comes last in the network, of every encoder.

    All features where no encoder has several depths, or none is known.
    """
    if not isinstance(input_spec, EncodedInput):
        return views_of(input_spec)[-1]
    _, places = _origins(input_spec)
    return _part(input_spec, f"{LAST}{'+'.join(called(input_spec.encoder))}", places == 0)


def _origins(input_spec: EncodedInput) -> tuple[Int[np.ndarray, " blocks"], Int[np.ndarray, " blocks"]]:
    """Of each block the encoder and the place in it; pictures stand side by side, and of each all encoders."""
    depths = [len(encoder.blocks) for encoder in encoders_of(input_spec.encoder)]
    owners = np.repeat(np.arange(len(depths)), depths)
    places = np.concatenate([np.arange(count) for count in depths])
    return np.resize(owners, len(input_spec.blocks)), np.resize(places, len(input_spec.blocks))


def _part(input_spec: EncodedInput, name: str, chosen: Bool[np.ndarray, " blocks"]) -> View:
    """Some blocks, as long together as all of them are."""
    sizes = np.array(input_spec.blocks)
    columns = tuple(np.flatnonzero(np.repeat(chosen, sizes)).tolist())
    blocks = tuple(sizes[chosen].tolist())
    return View(name, FeatureInput(blocks), columns, (len(sizes) / len(blocks)) ** 0.5)
