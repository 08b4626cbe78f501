"""The base network that suits what a learner takes: pixels, voxels, features or bags of features."""

from jaxtyping import Float
from torch import Tensor, nn

from medshot.errors import InputError
from medshot.imaging import FeatureInput, GridInput, InputSpec
from medshot.imaging.inputs import ImageInput
from medshot.networks.bag_network import BagInput, BagNetwork
from medshot.networks.convolutional import ConvolutionalNetwork
from medshot.networks.feature_network import FeatureNetwork

BaseNetwork = ConvolutionalNetwork | FeatureNetwork | BagNetwork


def base_network(input_spec: InputSpec, width: int) -> BaseNetwork:
    """Make a base network.

    All kinds have `features`, the number of features they give, and `modulated`, the channels of each layer that
    `forward(inputs, modulation)` may modulate.

    Args:
        input_spec: what it takes.
        width: channels of the convolutions, or units of the bottleneck.

    Raises:
        InputError: no base network takes such input.
    """
    match input_spec:
        case GridInput():
            return ConvolutionalNetwork(input_spec, width)
        case BagInput():
            return BagNetwork(input_spec, width)
        case FeatureInput():
            return FeatureNetwork(input_spec, width)
        case _:
            raise InputError(
                f"There is no base network for {input_spec}; give an ImageInput, a VolumeInput or a FeatureInput."
            )


class ReferenceNetwork(nn.Module):
    """Three 3×3 convolutions with ReLU and max-pooling, then two dense layers, for images of 3×224×224.

    Conv(32)-ReLU-MaxPool-Conv(64)-ReLU-MaxPool-Conv(128)-ReLU-MaxPool-Flatten-Dense(128)-ReLU-Dense(1),
    unpadded: 11,169,089 parameters, nearly all in the first dense layer. The published network ends in a
    sigmoid; here `forward` stops before it, because losses on logits are computed without loss of precision:
    the published output, the probability of class 1, is `sigmoid(forward(images))`.
    """

    input_spec = ImageInput(channels=3, size=224)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_block(3, 32),
            *_block(32, 64),
            *_block(64, 128),
            nn.Flatten(),
            nn.Linear(128 * 26 * 26, 128),
            nn.ReLU(),
            nn.Linear(128, 1),
        )

    def forward(self, images: Float[Tensor, "batch 3 224 224"]) -> Float[Tensor, " batch"]:
        """Return one logit for each RGB image with values in [0, 1]; its sigmoid is the probability of class 1."""
        return self.layers(images)[:, 0]


def _block(channels_in: int, channels_out: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return nn.Conv2d(channels_in, channels_out, kernel_size=3), nn.ReLU(), nn.MaxPool2d(2)
