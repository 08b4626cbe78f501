"""A small convolutional base network without batch statistics, fast under `torch.func.vmap`."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.errors import InputError
from medshot.imaging.shape import ImageShape
from medshot.networks.modulation import Modulation, modulate

LARGE = 48


class ConvolutionalNetwork(nn.Module):
    """Blocks of strided convolution, GroupNorm and ReLU, then the mean over all positions.

    The first block strides by 2, or by 4 from 48 pixels on, where it would otherwise take most of the time; the others
    are 3×3 with stride 2.

    Each image is first brought to mean 0 and standard deviation 1. Neither that nor GroupNorm looks beyond
    the image, so an image's features do not depend on the rest of the batch. Strides instead of pooling,
    because second-order gradients through max-pooling are slow and batch badly over tasks.

    Args:
        shape: the images it takes; 28 to 128 pixels suit the default depth.
        width: channels of each block, which is also the number of features.
        depth: number of blocks; at least 2×2 positions must remain after the last.

    Raises:
        InputError: width or depth is less than 1, or the images are too small for the depth.
    """

    def __init__(self, shape: ImageShape, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise InputError(f"width {width} and depth {depth} must both be at least 1; choose larger ones.")
        stride = 2 if shape.size < LARGE else 4
        smallest = stride * 2 ** (depth - 1)
        if shape.size <= smallest:
            raise InputError(
                f"depth {depth} needs images of more than {smallest} pixels, and they have {shape.size}; "
                "choose a smaller depth or a larger size."
            )
        self.shape = shape
        self.features = width
        self.modulated: Sequence[int] = (width,) * depth
        self.blocks = nn.Sequential(
            _block(shape.channels, width, stride), *(_block(width, width, 2) for _ in range(depth - 1))
        )

    def forward(
        self, images: Float[Tensor, "batch channels size size"], modulation: Modulation | None = None
    ) -> Float[Tensor, "batch features"]:
        """The features of each image; its values lie in [0, 1]."""
        maps = functional.group_norm(images, num_groups=1, eps=1e-6)
        for number, block in enumerate(self.blocks):
            convolution, normalisation, activation = block.children()
            maps = modulate(normalisation(convolution(maps)), modulation[number] if modulation else None)
            maps = activation(maps)
        return maps.mean(dim=(-2, -1))


def _block(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=stride + 1, stride=stride, padding=stride // 2, bias=False),
        nn.GroupNorm(math.gcd(8, channels_out), channels_out),
        nn.ReLU(),
    )
