"""The number of threads that torch computes with: one for small work, all for large work.

The number depends on the size of the work and never on the load of the machine, because sums of float32 numbers may
differ in their last digits with the number of threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

SMALL = 2**33
"""Multiplications up to which work is small."""


@contextmanager
def threads_for(module: nn.Module, images: Tensor) -> Iterator[None]:
    """Compute with one thread in this block if the work of `module` on these images is small.

    Afterwards this thread of the program computes with as many threads as before.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if images.numel() <= SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
