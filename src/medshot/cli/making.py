"""Making the learner that a command names, for what the command says it takes of each image."""

from medshot.errors import InputError
from medshot.imaging import ImageShape, InputShape, VolumeShape
from medshot.learners import Learner, create
from medshot.networks.encoders import ENCODERS, EncodedShape

PIXELS = "none"
DEFAULT_ENCODER = "lite0"
REFERENCE = "metal-reference"
SHAPES: dict[int, tuple[type[ImageShape | VolumeShape], int]] = {2: (ImageShape, 64), 3: (VolumeShape, 32)}
"""What is taken of pictures and of volumes, and the size where none is given."""


def input_shape(encoder: str | None, size: int | None, channels: int | None, dimensions: int | None) -> InputShape:
    """What a learner takes: features of the encoder, or pixels where it is "none" or any of the others is given.

    Raises:
        InputError: there is no such encoder, it is given a size, channels or dimensions, or there are no such images.
    """
    given = {"size": size, "channels": channels, "dimensions": dimensions}
    pixels = any(value is not None for value in given.values())
    if encoder is None:
        encoder = PIXELS if pixels else DEFAULT_ENCODER
    if encoder not in (PIXELS, *ENCODERS):
        raise InputError(f"--encoder is '{encoder}', but must be one of {', '.join(ENCODERS)} or {PIXELS}.")
    if encoder != PIXELS:
        if pixels:
            raise InputError(
                f"--size, --channels and --dimensions are for pixels; leave them out, or --encoder {encoder}."
            )
        return EncodedShape(encoder)
    if dimensions not in (None, *SHAPES):
        raise InputError(f"--dimensions is {dimensions}, but must be 2 for pictures or 3 for volumes.")
    shape, usual = SHAPES[dimensions or 2]
    return shape(channels=1 if channels is None else channels, size=usual if size is None else size)


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
