"""Adam as a rule of the inner loop."""

from torch import Tensor

from medshot.learners.gradient.inner_loop import Parameters


class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1, with its defaults); it remembers, so every adaptation takes its own.

    Args:
        learning_rate: its α.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate, self.step = learning_rate, 0
        self.first: dict[str, Tensor | float] = {}
        self.second: dict[str, Tensor | float] = {}

    def __call__(self, gradients: Parameters) -> Parameters:
        """The updates of the next step."""
        self.step += 1
        updates = {}
        for name, gradient in gradients.items():
            first = self.first[name] = 0.9 * self.first.get(name, 0.0) + 0.1 * gradient
            second = self.second[name] = 0.999 * self.second.get(name, 0.0) + 0.001 * gradient.square()
            root = (second / (1 - 0.999**self.step)).sqrt() + 1e-8
            updates[name] = self.learning_rate / (1 - 0.9**self.step) * first / root
        return updates
