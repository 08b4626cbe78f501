"""The base network that suits what a learner takes: pixels, voxels, features or bags of features."""

from medshot.errors import InputError
from medshot.imaging import FeatureShape, GridShape, InputShape
from medshot.networks.bag_network import BagNetwork, BagShape
from medshot.networks.convolutional import ConvolutionalNetwork
from medshot.networks.feature_network import FeatureNetwork

BaseNetwork = ConvolutionalNetwork | FeatureNetwork | BagNetwork


def base_network(shape: InputShape, width: int) -> BaseNetwork:
    """A new base network.

    All kinds have `features`, the number of features they give, and `modulated`, the channels of each layer that
    `forward(inputs, modulation)` may modulate.

    Args:
        shape: what it takes.
        width: channels of the convolutions, or units of the bottleneck.

    Raises:
        InputError: there is no base network for such input.
    """
    match shape:
        case GridShape():
            return ConvolutionalNetwork(shape, width)
        case BagShape():
            return BagNetwork(shape, width)
        case FeatureShape():
            return FeatureNetwork(shape, width)
        case _:
            raise InputError(
                f"There is no base network for {shape}; give an ImageShape, a VolumeShape or a FeatureShape."
            )
