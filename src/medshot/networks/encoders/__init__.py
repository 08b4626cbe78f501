"""Encoders: networks trained elsewhere and left as they are, whose features learners adapt on."""

from medshot.networks.encoders.bags import EncodedBagShape
from medshot.networks.encoders.encoded import ENCODERS, WHOLE, EncodedShape

__all__ = ["ENCODERS", "WHOLE", "EncodedBagShape", "EncodedShape"]
