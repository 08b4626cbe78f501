"""Making the learner that a command names, for what the command says it takes of each image."""

from collections.abc import Mapping

from medshot.encoders import ENCODERS, WHOLE, EncodedBagInput, EncodedInput, encoders_of
from medshot.errors import InputError
from medshot.imaging import CUTS, ImageInput, InputSpec, VolumeInput
from medshot.learners import Learner, create
from medshot.learners.closed_form.depth_ridge import DepthRidge
from medshot.learners.shipped import with_shipped_weights as ready

PIXELS = "none"
DEFAULT_ENCODER = "lite0"
CHOOSING, ALL_ENCODERS = "auto", "+".join(ENCODERS)
"""The learner that chooses between encoders too, and what it chooses from."""
REFERENCE = "metal-reference"
SHAPES: dict[int, tuple[type[ImageInput | VolumeInput], int]] = {2: (ImageInput, 64), 3: (VolumeInput, 32)}
"""What is taken of pictures and of volumes, and the size where none is given."""


def input_shape(
    encoder: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    dimensions: int | None = None,
    cut: str | None = None,
    images: int | None = None,
    *,
    learner: str | None = None,
) -> InputSpec:
    """What a learner takes: features of the encoder or encoders, or pixels where it is "none" or their size is given.

    Where nothing is given that is Lite0, and for the learner that chooses between encoders all that come with medshot.

    Raises:
        InputError: there is no such encoder or cut, an option does not go with the others, or there are no such images.
    """
    pixels = {"--size": size, "--channels": channels, "--dimensions": dimensions}
    bags = {"--cut": cut, "--images": images}
    if encoder is None:
        usual = ALL_ENCODERS if learner == CHOOSING else DEFAULT_ENCODER
        encoder = PIXELS if _given(pixels) and not _given(bags) else usual
    if encoder != PIXELS:
        encoders_of(encoder, "--encoder")
        _refuse(pixels, f"are for pixels; leave them out, or --encoder {encoder}")
        return _encoded(encoder, cut, images)
    _refuse(bags, "need an encoder; leave them out, or leave out --encoder none")
    if dimensions not in (None, *SHAPES):
        raise InputError(f"--dimensions is {dimensions}, but must be 2 for pictures or 3 for volumes.")
    shape, side = SHAPES[dimensions or 2]
    return shape(channels=1 if channels is None else channels, size=side if size is None else size)


def _encoded(encoder: str, cut: str | None, images: int | None) -> InputSpec:
    """Bags where pictures are pooled, one vector an image where they are not."""
    if cut in (None, WHOLE) and images is None:
        return EncodedInput(encoder)
    if cut in CUTS and not CUTS[cut].pooled and images is None:
        return EncodedInput(encoder, cut)
    return EncodedBagInput(encoder, cut or WHOLE, 1 if images is None else images)


def _given(options: Mapping[str, object]) -> bool:
    return any(value is not None for value in options.values())


def _refuse(options: Mapping[str, object], reason: str) -> None:
    """InputError where any of the options is given."""
    if _given(options):
        *others, last = options
        raise InputError(f"{', '.join(others)} and {last} {reason}.")


def make(name: str, shape: InputSpec, *, preset: str | None = None, seed: int = 0) -> Learner:
    """A new learner for that input; METAL's reference program has an input of its own."""
    if REFERENCE in (name, f"{name}-{preset}"):
        return create(name, preset=preset, seed=seed)
    return create(name, preset=preset, seed=seed, shape=shape)


def make_ready(name: str, shape: InputSpec, *, preset: str | None = None, seed: int = 0) -> Learner:
    """A new learner that needs no meta-training, or comes with what it learned; InputError for any other."""
    made = make(name, shape, preset=preset, seed=seed)
    if isinstance(made, DepthRidge) and type(shape) is EncodedInput:
        return ready(made)
    if made.gradient is not None:
        raise InputError(f"Learner '{name}' must be meta-trained first; give --from RUN (see medshot meta-train).")
    return made
