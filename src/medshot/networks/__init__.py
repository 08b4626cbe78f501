"""Base networks and meta-networks: plain torch modules, independent of tasks and files."""

from medshot.networks.bag_network import BagInput, BagNetwork
from medshot.networks.base import BaseNetwork, ReferenceNetwork, base_network
from medshot.networks.convolutional import ConvolutionalNetwork
from medshot.networks.feature_network import FeatureNetwork, Modulation
from medshot.networks.meta_network import MetaNetwork

__all__ = [
    "BagInput",
    "BagNetwork",
    "BaseNetwork",
    "ConvolutionalNetwork",
    "FeatureNetwork",
    "MetaNetwork",
    "Modulation",
    "ReferenceNetwork",
    "base_network",
]
