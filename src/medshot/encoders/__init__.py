"""Encoders: frozen networks that were trained elsewhere. Learners adapt on their features."""

from medshot.encoders.folder import write_encoder
from medshot.encoders.inputs import EncodedBagInput, EncodedInput
from medshot.encoders.reading import Reader, reader_of
from medshot.encoders.registry import ENCODERS, display_names, encoders_of
from medshot.imaging.inputs import WHOLE

__all__ = [
    "ENCODERS",
    "WHOLE",
    "EncodedBagInput",
    "EncodedInput",
    "Reader",
    "display_names",
    "encoders_of",
    "reader_of",
    "write_encoder",
]
