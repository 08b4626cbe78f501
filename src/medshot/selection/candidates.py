"""Between what `auto` chooses: learners, each on the features of one encoder or on those of all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medshot.encoders import ENCODERS
from medshot.encoders.encoder import TrainingImages
from medshot.imaging import FeatureInput, InputSpec
from medshot.learners import Adapted, Learner, create
from medshot.learners.closed_form.depth_ridge import DepthRidge
from medshot.learners.seeding import Drawn
from medshot.storage import read_arrays
from medshot.tasks import Support

HOME = Path(__file__).parent
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
        shape: what a learner of them takes.
        columns: which features they are; all where it is left out.
        scale: what they are multiplied by, so that one encoder alone has the norm that it has by itself.
    """

    name: str
    shape: InputSpec
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
        shape: what `auto` takes of each image.
        view: what the learner sees of that.
        learner: needs no more meta-training.
    """

    name = "candidate"
    family = "choice"
    randomised = True
    batchable = False

    def __init__(self, shape: InputSpec, view: View, learner: Learner) -> None:
        super().__init__(shape)
        self.view, self.learner = view, learner.requires_grad_(False)
        self.seen = learner.seen

    @property
    def key(self) -> tuple[str, str]:
        """The learner's name and the view's, by which outcomes know it."""
        return self.learner.name, self.view.name

    def draw(self, support: Support, generator: torch.Generator) -> Drawn:
        """What the learner draws."""
        return self.learner.draw(self.view.support(support), generator)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The learner, adapted to what it sees."""
        seen = self.view.support(support)
        return self.learner.adapt_one(replace(seen, images=self.learner.embed(seen.images)), drawn)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """The learner's logits."""
        return self.learner.predict_one(adapted, self.learner.embed(self.view.of(images)))


def candidates_of(shape: InputSpec) -> list[Candidate]:
    """Every candidate for what `auto` takes of images.

    Of features each view by depth-ridge; all of them by even-ridge too, and the last features of every encoder by
    logistic regression. Of anything else logistic regression and a linear support vector machine.
    """
    if shape.is_grid or shape.is_bag:
        (view,) = views_of(shape)
        return [Candidate(shape, view, create(name, shape=view.shape)) for name in ("logistic", "svm")]
    views = views_of(shape)
    chosen = [("depth-ridge", view) for view in views]
    chosen += [("even-ridge", views[-1]), ("logistic", last_view(shape))]
    return [Candidate(shape, view, ready(create(name, shape=view.shape))) for name, view in chosen]


def views_of(shape: InputSpec) -> list[View]:
    """Return a view of each encoder, then one of all together; a single view for one encoder or none."""
    names = shape.encoder_names()
    if shape.is_grid or shape.is_bag:
        return [View(shape.describe(), shape)]
    whole = View("+".join(names) or shape.describe(), FeatureInput(shape.blocks))
    if len(names) < 2:
        return [whole]
    owners, _ = _origins(shape)
    return [*(_part(shape, name, owners == number) for number, name in enumerate(names)), whole]


def last_view(shape: InputSpec) -> View:
    """Return what is usually called an encoder's features: the first block, which is computed last, of every encoder.

    All features if they come from no encoder.
    """
    names = shape.encoder_names()
    if not names:
        return views_of(shape)[-1]
    _, places = _origins(shape)
    return _part(shape, f"{LAST}{'+'.join(names)}", places == 0)


def _origins(shape: InputSpec) -> tuple[Int[np.ndarray, " blocks"], Int[np.ndarray, " blocks"]]:
    """Return for each block its encoder and its place in that encoder; both repeat for every picture of an image."""
    depths = shape.encoder_depths()
    owners = np.repeat(np.arange(len(depths)), depths)
    places = np.concatenate([np.arange(count) for count in depths])
    return np.resize(owners, len(shape.blocks)), np.resize(places, len(shape.blocks))


def _part(shape: InputSpec, name: str, chosen: Bool[np.ndarray, " blocks"]) -> View:
    """Some blocks, as long together as all of them are."""
    sizes = np.array(shape.blocks)
    columns = tuple(np.flatnonzero(np.repeat(chosen, sizes)).tolist())
    blocks = tuple(sizes[chosen].tolist())
    return View(name, FeatureInput(blocks), columns, (len(sizes) / len(blocks)) ** 0.5)


def ready(learner: Learner) -> Learner:
    """The learner with the start that it learned from the tasks that medshot was made with, where there is one."""
    if isinstance(learner, DepthRidge):
        give_prior(learner, shipped_prior(learner.name), shipped_images())
    return learner


def give_prior(learner: DepthRidge, prior: Mapping[str, Tensor], seen: TrainingImages) -> None:
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


def prior_file(name: str) -> Path:
    """Where what a learner of that name starts from comes with medshot."""
    return HOME / f"{name.replace('-', '_')}.safetensors"


@cache
def shipped_prior(name: str) -> dict[str, Tensor]:
    """What a learner learned from the tasks that medshot was made with."""
    return {key: torch.from_numpy(value.copy()) for key, value in read_arrays(prior_file(name)).items()}


def shipped_images() -> TrainingImages:
    """The images of those tasks: they are among those that the encoder `medical` was trained on."""
    seen = ENCODERS["medical"].training_images
    assert seen is not None
    return seen()
