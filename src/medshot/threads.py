"""The number of threads that torch computes with: one for small work, and as many as before for large work.

On small tensors, two threads take longer than one even on an idle machine, and many times as long beside another busy
program: they wait for each other at every operation. The number depends on the size of the work and never on the load
of the machine, because sums of float32 numbers may differ in their last digits with the number of threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import torch
from torch import nn

from medshot.imaging.inputs import GridInput, InputSpec

LARGE = 2**38
"""Multiplications from which work is large: a network of 30,000 parameters on 240 images of 200 pixels a side."""


def work_of(module: nn.Module, input_spec: InputSpec, samples: int) -> int:
    """Return about how many multiplications a network needs for some samples.

    Every parameter is counted once per sample, or once per pixel or voxel if the network takes these. Strides and the
    number of steps of adaptation are ignored.
    """
    positions = prod(input_spec.dimensions[1:]) if isinstance(input_spec, GridInput) else 1
    return samples * positions * sum(parameter.numel() for parameter in module.parameters())


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Let torch compute with one thread in this block if the work is small; afterwards with as many as before.

    Args:
        work: the number of multiplications, as `work_of` estimates it.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(before if work >= LARGE else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
