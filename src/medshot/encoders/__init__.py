"""Encoders: networks trained elsewhere and left as they are, whose features learners adapt on."""

from medshot.encoders.bags import EncodedBagInput
from medshot.encoders.folder import write_encoder
from medshot.encoders.inputs import WHOLE, EncodedInput
from medshot.encoders.registry import ENCODERS, called, encoders_of

__all__ = ["ENCODERS", "WHOLE", "EncodedBagInput", "EncodedInput", "called", "encoders_of", "write_encoder"]
