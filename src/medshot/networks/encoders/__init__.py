"""Encoders: networks trained elsewhere and left as they are, whose features learners adapt on."""

from medshot.networks.encoders.bags import EncodedBagShape
from medshot.networks.encoders.encoded import WHOLE, EncodedShape
from medshot.networks.encoders.folder import write_encoder
from medshot.networks.encoders.known import ENCODERS, called, encoders_of

__all__ = ["ENCODERS", "WHOLE", "EncodedBagShape", "EncodedShape", "called", "encoders_of", "write_encoder"]
