"""Making the learner that a command names, for what the command says it takes of each image."""

from medshot.errors import InputError
from medshot.imaging import ImageShape, InputShape
from medshot.learners import Learner, create
from medshot.networks.encoders import ENCODERS, EncodedShape

PIXELS = "none"
DEFAULT_ENCODER = "lite0"
REFERENCE = "metal-reference"


def input_shape(encoder: str | None, size: int | None, channels: int | None) -> InputShape:
    """What a learner takes: features of the encoder, or pixels where it is "none" or a size or channels are given.

    Raises:
        InputError: there is no such encoder, it is given a size or channels, or there are no such images.
    """
    pixels = size is not None or channels is not None
    if encoder is None:
        encoder = PIXELS if pixels else DEFAULT_ENCODER
    if encoder not in (PIXELS, *ENCODERS):
        raise InputError(f"--encoder is '{encoder}', but must be one of {', '.join(ENCODERS)} or {PIXELS}.")
    if encoder == PIXELS:
        return ImageShape(channels=1 if channels is None else channels, size=64 if size is None else size)
    if pixels:
        raise InputError(f"--size and --channels are for pixels; leave them out, or --encoder {encoder}.")
    return EncodedShape(encoder)


def make(name: str, shape: InputShape, *, preset: str | None = None, seed: int = 0) -> Learner:
    """A new learner for that input; METAL's reference program has an input of its own."""
    if REFERENCE in (name, f"{name}-{preset}"):
        return create(name, preset=preset, seed=seed)
    return create(name, preset=preset, seed=seed, shape=shape)


def make_ready(name: str, shape: InputShape, *, preset: str | None = None, seed: int = 0) -> Learner:
    """A new learner that needs no meta-training; InputError for one that does."""
    made = make(name, shape, preset=preset, seed=seed)
    if made.gradient is not None:
        raise InputError(f"Learner '{name}' must be meta-trained first; give --from RUN (see medshot meta-train).")
    return made
