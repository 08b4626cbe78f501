"""Augment training pictures and volumes by mild random changes, on their own device."""

import math
from dataclasses import dataclass, fields
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from medshot.errors import InputError

Images = Float[Tensor, "batch channels *sides"]
Draws = Float[Tensor, " batch"]


@dataclass(frozen=True)
class Augmentation:
    """The strengths of random changes; 0 switches a change off.

    Args:
        rotation: largest angle in degrees, either way; of volumes in each of the three planes.
        translation: largest shift as a fraction of the side, along each axis.
        scale: largest relative change of size, below 1.
        shear: largest shear angle in degrees, below 90, in each plane.
        flip_probability: the probability that an image is mirrored left to right, if the task allows it.
        brightness: largest value added or subtracted.
        contrast: largest relative change of the distance to the image's mean, at most 1.
        gamma: largest change of the logarithm of the exponent.
        noise: largest standard deviation of Gaussian noise.
        blur: largest standard deviation of the Gaussian blur in pixels.

    Raises:
        InputError: a strength is negative, not finite, or beyond its bound.
    """

    rotation: float = 10.0
    translation: float = 0.05
    scale: float = 0.1
    shear: float = 5.0
    flip_probability: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.15
    gamma: float = 0.15
    noise: float = 0.02
    blur: float = 0.7

    def __post_init__(self) -> None:
        bounds = {"scale": 0.99, "shear": 89.0, "flip_probability": 1.0, "contrast": 1.0}
        for field in fields(self):
            value, bound = getattr(self, field.name), bounds.get(field.name, math.inf)
            if not (math.isfinite(value) and 0 <= value <= bound):
                raise InputError(f"augmentation {field.name} is {value}; choose a number from 0 to {bound:g}.")


def augment(images: Images, augmentation: Augmentation, *, flip: bool, generator: torch.Generator) -> Images:
    """Change each image at random: geometry, then blur, intensity and noise; values stay in [0, 1].

    All random numbers come from `generator`, so the same seed gives the same images.

    Args:
        images: values in [0, 1]; pictures `(batch, channels, height, width)` or volumes `(batch, channels, depth,
            height, width)`. Left and right lie along the width, as in a volume whose orientation is canonical.
        augmentation: the strengths; all zero returns the images unchanged, bit for bit.
        flip: whether the label stays true if the image is mirrored (a chest has its heart on the left).
        generator: the source of all random numbers.
    """

    def draw(*shape: int, normal: bool = False) -> Tensor:
        sample = torch.randn if normal else torch.rand
        return sample(shape, generator=generator, device=generator.device, dtype=images.dtype).to(images.device)

    axes = images.ndim - 2
    flips, moves, blurs, colours = draw(5 + axes * (axes + 1), len(images)).split([1, axes * (axes + 1), 1, 3])
    images = _moved(images, augmentation, (flips[0] < augmentation.flip_probability) & flip, 2 * moves - 1)
    if augmentation.blur > 0:
        images = _blurred(images, augmentation.blur * blurs[0], augmentation.blur)
    images = _recoloured(images, augmentation, 2 * colours - 1)
    if augmentation.noise > 0:
        strength = _per_image(augmentation.noise * draw(len(images)), images)
        images = images + strength * draw(*images.shape, normal=True)
    return images.clamp(0, 1)


def _moved(images: Images, augmentation: Augmentation, flipped: Tensor, draws: Float[Tensor, "_ batch"]) -> Images:
    """Flip, scale, shear, rotate and shift by one affine map with linear interpolation; the outside is black."""
    strengths = (augmentation.rotation, augmentation.translation, augmentation.scale, augmentation.shear)
    if not any(strengths) and not flipped.any():
        return images
    sides = images.shape[:1:-1]  # width, height and, of volumes, depth: the order in which places are given
    axes, planes = len(sides), list(combinations(range(len(sides)), 2))
    angles, shears, growths, shifts = draws.split([len(planes), len(planes), axes, axes])
    # From a place in the result to the place in the image that it shows: both in voxels from the middle.
    turned = torch.eye(axes, device=images.device, dtype=images.dtype).expand(len(images), -1, -1)
    for plane, angle, shear in zip(planes, angles, shears, strict=True):
        turned = turned @ _in_plane(plane, axes, math.radians(augmentation.rotation) * angle, shear, augmentation)
    grown = 1 + augmentation.scale * growths.T
    grown[:, 0] *= 1 - 2 * flipped.to(images.dtype)
    lengths = torch.tensor(sides, device=images.device, dtype=images.dtype)
    linear = grown[:, :, None] * turned * lengths / lengths[:, None]  # in half sides
    affine = torch.cat([linear, 2 * augmentation.translation * shifts.T[:, :, None]], dim=2)
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _in_plane(
    plane: tuple[int, int], axes: int, angle: Draws, shear: Draws, augmentation: Augmentation
) -> Float[Tensor, "batch axes axes"]:
    """Return a shear followed by a rotation, in the plane of two axes."""
    slant = torch.tan(math.radians(augmentation.shear) * shear)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = torch.stack([torch.stack([cos, slant * cos - sin], 1), torch.stack([sin, slant * sin + cos], 1)], 1)
    matrix = torch.eye(axes, device=angle.device, dtype=angle.dtype).repeat(len(angle), 1, 1)
    both = torch.tensor(plane, device=angle.device)
    matrix[:, both[:, None], both] = rows
    return matrix


def _blurred(images: Images, deviations: Draws, largest: float) -> Images:
    """Blur each image by a separable Gaussian of its own width; borders are repeated."""
    radius = math.ceil(3 * largest)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (offsets / deviations.clamp(min=1e-3)[:, None]) ** 2)
    taps = [_per_image(tap, images) for tap in (kernels / kernels.sum(1, keepdim=True)).T]
    sides = images.shape[2:]
    blurred = functional.pad(images, (radius,) * 2 * len(sides), mode="replicate")
    for axis, side in reversed(list(enumerate(sides, start=2))):
        blurred = sum((tap * blurred.narrow(axis, at, side) for at, tap in enumerate(taps)), blurred.new_zeros(()))
    return blurred


def _recoloured(images: Images, augmentation: Augmentation, draws: Float[Tensor, "3 batch"]) -> Images:
    """Change gamma, then contrast about each image's mean, then brightness."""
    exponents, factors, shifts = (_per_image(draw, images) for draw in draws)
    if augmentation.gamma > 0:
        images = images.clamp(0, 1) ** torch.exp(augmentation.gamma * exponents)
    if augmentation.contrast > 0:
        mean = _per_image(images.flatten(1).mean(1), images)
        images = mean + (images - mean) * (1 + augmentation.contrast * factors)
    return images + augmentation.brightness * shifts if augmentation.brightness > 0 else images


def _per_image(values: Draws, images: Images) -> Float[Tensor, "batch *_"]:
    """Reshape one value per image so that it broadcasts over the image's pixels."""
    return values.view(-1, *[1] * (images.ndim - 1))
