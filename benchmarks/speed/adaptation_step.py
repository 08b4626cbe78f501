"""Time and memory of one adaptation step of METAL on the reference network, compared with a plain gradient step.

Every variant computes the same gradient of a batch of 32 images, then updates all 11,169,089 parameters in another way.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.common.arguments import ROOT, make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import peak_memory, seconds
from benchmarks.speed.report import finish
from medshot.networks import MetaNetwork, ReferenceNetwork

BATCH, REPEATS = 32, 5
RATE, STRENGTH = 1e-3, 0.3
Propose = Callable[[MetaNetwork, Tensor], Tensor]


def reference_proposal(meta_network: MetaNetwork, gradient: Tensor) -> Tensor:
    return meta_network.propose(gradient)


def normalised_proposal(meta_network: MetaNetwork, gradient: Tensor) -> Tensor:
    scale = gradient.square().mean().sqrt()
    return meta_network.propose(gradient / scale).mul_(scale)


VARIANTS: dict[str, Propose | None] = {
    "plain": None,
    "METAL, m(g)": reference_proposal,
    "METAL, r m(g/r)": normalised_proposal,
}


@torch.no_grad()
def update(parameters: Iterable[nn.Parameter], meta_network: MetaNetwork, propose: Propose | None) -> None:
    for parameter in parameters:
        gradient = parameter.grad
        assert gradient is not None
        if propose is not None:
            gradient.add_(propose(meta_network, gradient), alpha=STRENGTH)
        parameter.sub_(gradient, alpha=RATE)


class Step:
    """The networks, the batch and the two parts of a step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network, self.meta_network = ReferenceNetwork(), MetaNetwork()
        nn.init.normal_(self.meta_network.output.weight, std=0.1)  # zero, its start, would be no test
        self.images, self.labels = torch.rand(BATCH, 3, 224, 224), torch.randint(2, (BATCH,)).float()

    def find_gradient(self) -> None:
        self.network.zero_grad()
        functional.binary_cross_entropy_with_logits(self.network(self.images), self.labels).backward()

    def update(self, variant: str) -> None:
        update(self.network.parameters(), self.meta_network, VARIANTS[variant])

    def find_meta_gradient(self) -> None:
        for parameter in self.network.parameters():
            assert parameter.grad is not None
            self.meta_network.parameter_gradient(parameter.grad, weight=parameter.grad)

    @torch.no_grad()
    def propose_unit_by_unit(self) -> None:
        """Evaluate the meta-network without its pieces: every input through all 128 units."""
        hidden, output = self.meta_network.hidden, self.meta_network.output
        for parameter in self.network.parameters():
            assert parameter.grad is not None
            for block in parameter.grad.reshape(-1, 1).split(2**16):
                torch.tanh(output(torch.relu(hidden(block))))


def own_peak(variant: str) -> float:
    """Return the peak memory of two steps in this process, above what the interpreter and torch take."""
    before = peak_memory()
    step = Step()
    for _ in range(2):
        step.find_gradient()
        step.update(variant)
    return peak_memory() - before


def peak_of(variant: str) -> float:
    command = [sys.executable, "-m", "benchmarks.speed.adaptation_step", "--variant", variant]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)


def main() -> None:
    parser = make_parser("speed.adaptation_step", __doc__, data=False, work=False)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.variant:
        print(own_peak(arguments.variant))
        return
    # memory first: a child's recorded peak starts at its parent's, which has allocated nothing yet
    memory = {variant: peak_of(variant) for variant in VARIANTS}
    step = Step()
    step.find_gradient()
    repeats = 1 if arguments.quick else REPEATS
    gradient_times: list[float] = []
    update_times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(repeats):
        for variant in VARIANTS:
            gradient_times.append(seconds(step.find_gradient))
            update_times[variant].append(seconds(partial(step.update, variant)))
    meta_times = [seconds(step.find_meta_gradient) for _ in range(repeats)]
    gradient_time = median(gradient_times)  # the same work in every variant, so all its repeats count together
    plain_time = gradient_time + median(update_times["plain"])
    rows = []
    for variant in VARIANTS:
        update_time = median(update_times[variant])
        total = gradient_time + update_time
        times = [f"{gradient_time:.3f}", f"{update_time:.3f}", f"{total:.3f}", f"{total / plain_time:.2f}"]
        rows.append([variant, *times, f"{memory[variant]:.0f}", f"{memory[variant] / memory['plain']:.2f}"])
    note = f"""Parameter gradient of the meta-network, first-order meta step: {median(meta_times):.3f} s. For
        comparison, m(g) unit by unit: {seconds(step.propose_unit_by_unit):.3f} s. Median of {repeats} repeats."""
    header = ["step", "gradient, s", "update, s", "total, s", "ratio", "peak, MB", "ratio"]
    finish(arguments, "adaptation_step", table(header, rows), note)


if __name__ == "__main__":
    main()
