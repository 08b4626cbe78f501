"""Base networks and meta-networks: plain torch modules that know nothing of tasks."""

from medshot.networks.convolutional import ConvolutionalNetwork
from medshot.networks.meta_network import MetaNetwork
from medshot.networks.reference import ReferenceNetwork

__all__ = ["ConvolutionalNetwork", "MetaNetwork", "ReferenceNetwork"]
