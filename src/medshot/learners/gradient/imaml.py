"""iMAML: a regularised inner problem, solved, and differentiated at its solution alone."""

import math
from typing import Any

from torch import Tensor

from medshot.errors import InputError
from medshot.imaging import GridShape, ImageShape, InputShape
from medshot.learners.base import Adapted
from medshot.learners.content import Drawn
from medshot.learners.gradient.base import HEAD, GradientLearner
from medshot.learners.gradient.implicit import Minimum
from medshot.learners.gradient.inner_loop import Parameters
from medshot.learners.gradient.rates import key, learned_logarithms
from medshot.tasks import Support

ON_PIXELS, ON_FEATURES = (100.0, 0.2), (2.0, 0.04)
"""Where λ starts for network and head: as small as still lets ten steps and five of the solver come near the true
meta-gradient (cosine 0.98 or more)."""


class Imaml(GradientLearner):
    """Implicit MAML (Rajeswaran et al., 2019, equations 3 and 6).

    θ* = argmin_θ L_task(θ) + Σ λ/2 |θ − θ₀|², found by `steps` gradient steps without a graph. The meta-gradient is
    (I + H/λ)⁻¹ ∇L_query(θ*), with H the Hessian of L_task at θ*, by conjugate gradients on products with H: it depends
    on the solution and not on the way there, and its memory not on the number of steps. λ is learned, by the same
    theorem, one for each parameter tensor; the head, which starts at zero for each task, has a smaller one. All is
    solved in u = √λ (θ − θ₀), in which every λ is 1. Inductive; `adapt` costs `steps` forward and backward passes over
    the support.

    Args:
        shape: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps, enough to come near the minimum.
        solver_steps: of conjugate gradients.
        regularisation: factor on where λ starts: 100 for the network and 0.2 for the head on pixels, 2 and 0.04 on
            features.

    Raises:
        InputError: a number is out of range.
    """

    name = "imaml"
    summary = "MAML with a regularised inner problem and its implicit meta-gradient"
    paper = "Rajeswaran et al., NeurIPS 2019"
    cost = "10 gradient steps of network and head"
    gradient = "implicit"

    def __init__(
        self,
        shape: InputShape = ImageShape(channels=1, size=64),
        *,
        width: int = 64,
        steps: int = 10,
        solver_steps: int = 5,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(shape, width=width, steps=steps)
        if solver_steps < 1 or not 0 < regularisation < math.inf:
            raise InputError(
                f"solver_steps is {solver_steps} and regularisation {regularisation}; give 1 or more, and a finite "
                "number above 0."
            )
        self.solver_steps, self.regularisation = solver_steps, regularisation
        of_network, of_head = ON_PIXELS if isinstance(shape, GridShape) else ON_FEATURES
        strengths = dict.fromkeys(self.adapting(), of_network) | dict.fromkeys(HEAD, of_head)
        self.log_strengths = learned_logarithms({name: regularisation * value for name, value in strengths.items()})

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return super().settings() | {"solver_steps": self.solver_steps, "regularisation": self.regularisation}

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """θ*, and the support's mean feature under it."""
        start = self.start(support)
        units = {name: (-0.5 * self.log_strengths[key(name)]).exp() for name in start}

        def objective(u: Tensor, images: Tensor, labels: Tensor, weights: Tensor, *tensors: Tensor) -> Tensor:
            """L_task + |u|²/2, of tensors alone: what a closure holds has no derivative and no task axis here."""
            halves = tensors[: len(start)], tensors[len(start) :]
            values, scales = (dict(zip(start, half, strict=True)) for half in halves)
            loss = self.task_loss(Support(images, labels, weights, support.ways))
            return loss(moved(values, scales, u), 0) + 0.5 * u.square().sum()

        coordinates = sum(value.numel() for value in start.values())
        sides = support.images, support.labels, support.weights
        u = Minimum.apply(
            objective, coordinates, self.steps, self.solver_steps, *sides, *start.values(), *units.values()
        )
        return self.with_centre(moved(start, units, u), support)


def moved(start: Parameters, units: Parameters, u: Tensor) -> Parameters:
    """θ = θ₀ + u / √λ, with the coordinates of u in the order of the parameters."""
    parts = u.split([value.numel() for value in start.values()])
    return {
        name: value + units[name] * part.view_as(value)
        for (name, value), part in zip(start.items(), parts, strict=True)
    }
