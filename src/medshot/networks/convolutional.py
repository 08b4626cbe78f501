"""A small convolutional base network without batch statistics, fast under `torch.func.vmap`."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.errors import InputError
from medshot.imaging.inputs import GridInput
from medshot.networks.feature_network import Modulation, modulate

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
LARGE = {2: 48, 3: 24}
"""The number of pixels or voxels per side from which the first block strides by 4."""
DEPTH = {2: 4, 3: 3}


class ConvolutionalNetwork(nn.Module):
    """Blocks of strided convolution, GroupNorm and ReLU, then the mean over all positions, on pictures or volumes.

    The first block strides by 2, or by 4 from 48 pixels or 24 voxels on, since it would otherwise take most of the
    time; the others are 3×3 or 3×3×3 with stride 2.

    Each image is first brought to mean 0 and standard deviation 1. Neither that nor GroupNorm involves other
    images, so an image's features do not depend on the rest of the batch. Blocks stride instead of pooling,
    because second-order gradients through max-pooling are slow and batch badly over tasks.

    Args:
        input_spec: the images it takes; 28 to 128 pixels, or 16 to 64 voxels, suit the default depth.
        width: channels of each block, which is also the number of features.
        depth: number of blocks, 4 for pictures and 3 for volumes if left out; at least two positions along each axis
            must remain after the last.

    Raises:
        InputError: width or depth is less than 1, or the images are too small for the depth.
    """

    def __init__(self, input_spec: GridInput, width: int = 32, depth: int | None = None) -> None:
        super().__init__()
        depth = DEPTH[input_spec.axes] if depth is None else depth
        if width < 1 or depth < 1:
            raise InputError(f"width {width} and depth {depth} must both be at least 1; choose larger ones.")
        stride = 2 if input_spec.size < LARGE[input_spec.axes] else 4
        smallest = stride * 2 ** (depth - 1)
        if input_spec.size <= smallest:
            raise InputError(
                f"depth {depth} needs images of more than {smallest} a side, and they have {input_spec.size}; "
                "choose a smaller depth or a larger size."
            )
        self.input_spec = input_spec
        self.features = width
        self.modulated: Sequence[int] = (width,) * depth
        self.blocks = nn.Sequential(
            _block(input_spec.axes, input_spec.channels, width, stride),
            *(_block(input_spec.axes, width, width, 2) for _ in range(depth - 1)),
        )

    def forward(
        self, images: Float[Tensor, "batch channels *sides"], modulation: Modulation | None = None
    ) -> Float[Tensor, "batch features"]:
        """Return the features of each image; its values lie in [0, 1]."""
        maps = functional.group_norm(images, num_groups=1, eps=1e-6)
        for number, block in enumerate(self.blocks):
            convolution, normalisation, activation = block.children()
            maps = modulate(normalisation(convolution(maps)), modulation[number] if modulation else None)
            maps = activation(maps)
        return maps.flatten(2).mean(2)


def _block(axes: int, channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    convolution = CONVOLUTIONS[axes]
    return nn.Sequential(
        convolution(channels_in, channels_out, kernel_size=stride + 1, stride=stride, padding=stride // 2, bias=False),
        nn.GroupNorm(math.gcd(8, channels_out), channels_out),
        nn.ReLU(),
    )
