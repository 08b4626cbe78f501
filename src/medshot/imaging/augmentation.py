"""Random but mild changes of training images, one draw per image, on the device where the images are."""

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from medshot.errors import InputError

Images = Float[Tensor, "batch channels height width"]
Draws = Float[Tensor, " batch"]


@dataclass(frozen=True)
class Augmentation:
    """How strongly images are changed; 0 switches a change off. The defaults are mild.

    Args:
        rotation: largest angle in degrees, either way.
        translation: largest shift as a fraction of the side, in both directions.
        scale: largest relative change of size, below 1.
        shear: largest shear angle in degrees, below 90.
        flip_probability: how often an image is mirrored left to right, where the task allows it at all.
        brightness: largest value added or subtracted.
        contrast: largest relative change of the distance to the image's mean, at most 1.
        gamma: largest change of the logarithm of the exponent.
        noise: largest standard deviation of Gaussian noise.
        blur: largest standard deviation of the Gaussian blur in pixels.

    Raises:
        InputError: a strength that is negative, not finite, or beyond its bound.
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

    All random numbers come from `generator` and are drawn on its device: the same seed gives the same images.

    Args:
        images: values in [0, 1].
        augmentation: the strengths; all zero returns the images unchanged, bit for bit.
        flip: whether mirroring keeps the label's meaning (a chest has its heart on the left).
        generator: source of all random numbers.
    """

    def draw(*shape: int, normal: bool = False) -> Tensor:
        sample = torch.randn if normal else torch.rand
        return sample(shape, generator=generator, device=generator.device, dtype=images.dtype).to(images.device)

    uniform = draw(11, len(images))
    flipped = (uniform[0] < augmentation.flip_probability) & flip
    images = _moved(images, augmentation, flipped, 2 * uniform[1:7] - 1)
    if augmentation.blur > 0:
        images = _blurred(images, augmentation.blur * uniform[7], augmentation.blur)
    images = _recoloured(images, augmentation, 2 * uniform[8:11] - 1)
    if augmentation.noise > 0:
        strength = augmentation.noise * draw(len(images), 1, 1, 1)
        images = images + strength * draw(*images.shape, normal=True)
    return images.clamp(0, 1)


def _moved(images: Images, augmentation: Augmentation, flipped: Tensor, draws: Float[Tensor, "6 batch"]) -> Images:
    """Flip, scale, shear, rotation and shift as one affine map, bilinear; outside is black."""
    strengths = (augmentation.rotation, augmentation.translation, augmentation.scale, augmentation.shear)
    if not any(strengths) and not flipped.any():
        return images
    height, width = images.shape[-2:]
    angle = math.radians(augmentation.rotation) * draws[0]
    shear = torch.tan(math.radians(augmentation.shear) * draws[1])
    grow_x, grow_y = 1 + augmentation.scale * draws[2:4]
    mirror = 1 - 2 * flipped.to(images.dtype)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # From a place in the result, in half sides, to the place in the image that it shows.
    rows = [
        [
            mirror * grow_x * cos,
            mirror * grow_x * (shear * cos - sin) * height / width,
            2 * augmentation.translation * draws[4],
        ],
        [
            grow_y * sin * width / height,
            grow_y * (shear * sin + cos),
            2 * augmentation.translation * draws[5],
        ],
    ]
    affine = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _blurred(images: Images, deviations: Draws, largest: float) -> Images:
    """A separable Gaussian of its own width for each image, tap by tap; borders are repeated."""
    height, width = images.shape[-2:]
    radius = math.ceil(3 * largest)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (offsets / deviations.clamp(min=1e-3)[:, None]) ** 2)
    taps = (kernels / kernels.sum(1, keepdim=True)).T[..., None, None, None]
    planes = functional.pad(images, (radius,) * 4, mode="replicate")
    planes = sum(tap * planes[..., place : place + width] for place, tap in enumerate(taps))
    return sum(tap * planes[..., place : place + height, :] for place, tap in enumerate(taps))


def _recoloured(images: Images, augmentation: Augmentation, draws: Float[Tensor, "3 batch"]) -> Images:
    """Gamma, then contrast about each image's mean, then brightness."""
    exponents, factors, shifts = draws[:, :, None, None, None]
    if augmentation.gamma > 0:
        images = images.clamp(0, 1) ** torch.exp(augmentation.gamma * exponents)
    if augmentation.contrast > 0:
        mean = images.mean((1, 2, 3), keepdim=True)
        images = mean + (images - mean) * (1 + augmentation.contrast * factors)
    return images + augmentation.brightness * shifts if augmentation.brightness > 0 else images
