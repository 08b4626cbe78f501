"""Base networks, meta-networks and encoders: plain torch modules that know nothing of tasks."""

from medshot.networks.bag_network import BagNetwork, BagShape
from medshot.networks.base import BaseNetwork, base_network
from medshot.networks.convolutional import ConvolutionalNetwork
from medshot.networks.feature_network import FeatureNetwork
from medshot.networks.meta_network import MetaNetwork
from medshot.networks.modulation import Modulation
from medshot.networks.reference import ReferenceNetwork

__all__ = [
    "BagNetwork",
    "BagShape",
    "BaseNetwork",
    "ConvolutionalNetwork",
    "FeatureNetwork",
    "MetaNetwork",
    "Modulation",
    "ReferenceNetwork",
    "base_network",
]
