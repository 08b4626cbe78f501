"""Ridge regression to which every depth of an encoder tells the images of a task apart equally."""

from typing import Any

from medshot.imaging import ImageShape, InputShape
from medshot.learners.neural.depth_ridge import DepthRidge


class EvenRidge(DepthRidge):
    """`DepthRidge` without an inner loop and with γ = 1: every depth counts as if its scatter were the same.

    Learned across tasks: a; λ and the scale of the logits as functions of the shots. Inductive; `adapt` costs one
    linear system.

    Args:
        shape: what it takes of each image.
        width: channels of the base network for pixels and voxels; features have none.
    """

    name = "even-ridge"
    summary = "ridge regression to which every depth tells images apart equally"
    paper = "after Hoerl & Kennard, Technometrics 1970"
    cost = "one linear system"

    def __init__(self, shape: InputShape = ImageShape(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(shape, width=width, steps=0)
        del self.evenness, self.log_precision, self.log_step
        self.evenness = (1.0, 0.0)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}
