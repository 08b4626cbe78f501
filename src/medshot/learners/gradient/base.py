"""What learners share that adapt a base network and a linear head by gradient steps."""

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from medshot.errors import InputError
from medshot.imaging import InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.gradient.inner_loop import Parameters, TaskLoss
from medshot.learners.head import BIAS, WEIGHT, apply_head, is_head, new_head
from medshot.learners.losses import weighted_cross_entropy
from medshot.networks import base_network
from medshot.tasks import Support

HEAD = (WEIGHT, BIAS)
CENTRE = "centre"


class GradientLearner(Learner):
    """A base network and a linear head that is made for each task; a subclass writes `adapt_one`.

    Features enter the head less the support's mean, so that a head that starts at zero first moves along the
    differences between classes. Where the head alone adapts, each image is embedded once.

    Args:
        shape: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps.

    Attributes:
        adapt_parameters: "all" where the inner loop changes base network and head, "head" where the head alone.

    Raises:
        InputError: there are no steps.
    """

    family = "Meta-GD"
    adapt_parameters: Literal["all", "head"] = "all"

    def __init__(self, shape: InputShape, *, width: int, steps: int) -> None:
        super().__init__(shape)
        if steps < 1:
            raise InputError(f"steps is {steps}; give 1 or more.")
        self.width, self.steps = width, steps
        self.network = base_network(shape, width)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width, "steps": self.steps}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images *embedded"]:
        """The base network's features where only the head adapts."""
        return images if self.adapt_parameters == "all" else self.network(images)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Logits of the adapted base network and head."""
        return apply_head(adapted, self.features(adapted, images) - adapted[CENTRE])

    def adapting(self) -> Parameters:
        """The base network's parameters that the inner loop changes."""
        return dict(self.network.named_parameters()) if self.adapt_parameters == "all" else {}

    def start(self, support: Support) -> Parameters:
        """θ₀: the parameters that adapt, and a head of equal rows, one per class."""
        return self.adapting() | new_head(support, self.network.features)

    def features(self, parameters: Parameters, images: Tensor) -> Float[Tensor, "samples features"]:
        """The base network's features under those of its parameters that are given."""
        if self.adapt_parameters == "head":
            return images
        base = {name: value for name, value in parameters.items() if not is_head(name) and name != CENTRE}
        return functional_call(self.network, base, (images,))

    def with_centre(self, parameters: Parameters, support: Support) -> Adapted:
        """The parameters, and the support's mean feature under them."""
        return parameters | {CENTRE: mean_feature(self.features(parameters, support.images), support)}

    def task_loss(self, *minibatches: Support) -> TaskLoss:
        """L_task: the cross-entropy on the support, or on each of several minibatches in turn."""

        def loss(parameters: Parameters, step: int) -> Tensor:
            seen = minibatches[step % len(minibatches)]
            features = self.features(parameters, seen.images)
            logits = apply_head(parameters, features - mean_feature(features, seen))
            return weighted_cross_entropy(logits, seen.labels, seen.weights)

        return loss


def mean_feature(features: Float[Tensor, "samples features"], support: Support) -> Float[Tensor, " features"]:
    """The mean under the support's weights."""
    return (features * support.weights[:, None]).sum(0) / support.weights.sum()
