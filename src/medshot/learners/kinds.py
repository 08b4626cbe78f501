"""Two kinds of learner: on the features of a network that is meta-trained, and on images flattened to vectors."""

from jaxtyping import Float
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Learner
from medshot.learners.features import flatten_features
from medshot.learners.run import Gradient
from medshot.networks import base_network


class NetworkLearner(Learner):
    """A learner that adapts on the features of a base network, which is meta-trained through all of `adapt`.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network's convolutions, or units of its bottleneck on features.
    """

    family = "Meta-NN"
    gradient: Gradient = "exact"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec)
        self.width = width
        self.network = base_network(input_spec, width)

    def embed(self, images: Float[Tensor, "images *image"]) -> Float[Tensor, "images *embedded"]:
        """Return the base network's features."""
        return self.network(images)


class VectorLearner(Learner):
    """A learner that adapts on vectors: features as they are, the mean of a bag, or shrunken pixels.

    Args:
        input_spec: what it takes of each image.
        pixels: side of the shrunken image, if it takes pixels or voxels.
    """

    family = "baseline"

    def __init__(self, input_spec: InputSpec, *, pixels: int = 16) -> None:
        super().__init__(input_spec)
        self.pixels = pixels

    def embed(self, images: Float[Tensor, "images *image"]) -> Float[Tensor, "images *embedded"]:
        """Return the images as vectors."""
        return flatten_features(images, self.pixels)
