"""Cutting one image into the pictures that an encoder takes: slices of a volume, patches of a film, leads of a page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import groupby

import cv2
import numpy as np
from jaxtyping import Int

from medshot.imaging.arrays import FittedImage
from medshot.imaging.cache import in_threads
from medshot.imaging.ecg import PAGE_PICTURES, is_page, page_pictures
from medshot.imaging.film_shape import FilmShape
from medshot.imaging.patches import PATCHES, patches
from medshot.imaging.resizing import prepare
from medshot.imaging.shape import GridShape, ImageShape, ImageSource
from medshot.imaging.volume_shape import VolumeShape

PLANES = ("axial", "coronal", "sagittal")
SLICES, SLICED = 8, 128  # slices in each plane, of a cube of so many voxels a side
LOOKED_AT = 8  # images of a source by whose looks a cut is chosen
PAGE = 896  # pixels per side of an ECG page: a quarter of a row is then as wide as the pictures that encoders take


@dataclass(frozen=True)
class Cut:
    """One way of cutting.

    Args:
        name: what it is called on the command line; with `version` part of the key under which features are kept.
        version: changes whenever the pictures may change.
        shape: the form in which the whole image is taken.
        kinds: what each picture is, one for each.
        weights: how much each picture counts before anything is learned.
        pooled: whether features of the pictures are pooled into one; they stand side by side where each has a meaning
            of its own.
        telling: the pictures by whose fingerprints an image is known again.
        pictures: from the whole image to the pictures, grey `(height, width)` or RGB `(height, width, 3)`.
    """

    name: str
    version: int
    shape: GridShape
    kinds: tuple[str, ...]
    weights: tuple[float, ...]
    pooled: bool
    telling: tuple[int, ...]
    pictures: Callable[[FittedImage], list[np.ndarray]] = field(compare=False)

    def __len__(self) -> int:
        """Pictures of an image."""
        return len(self.kinds)


class CutImages:
    """The pictures of all images of a source: picture k of image i is image `i · len(cut) + k` of this one.

    At most one whole image a thread is in memory, whatever their number.

    Args:
        images: what is cut.
        cut: how.
    """

    axes = 2

    def __init__(self, images: ImageSource, cut: Cut) -> None:
        self.images, self.cut = images, cut

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.images) * len(self.cut)

    def hashes(self) -> list[str]:
        """SHA-256 of the image's own, the cut and the number of the picture."""
        name = f"{self.cut.name} {self.cut.version}"
        return [
            sha256(f"{digest} {name} {number}".encode()).hexdigest()
            for digest in self.images.hashes()
            for number in range(len(self.cut))
        ]

    def pixels(self, shape: GridShape) -> np.ndarray:
        """All pictures in memory."""
        return np.stack(list(self.stream(shape, np.arange(len(self)))))

    def stream(self, shape: GridShape, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The pictures of these rows in order; each image is decoded once for all of its pictures that follow it."""
        wanted = [
            (image, [row % len(self.cut) for row in of_image])
            for image, of_image in groupby(rows.tolist(), lambda row: row // len(self.cut))
        ]
        for pictures in in_threads(partial(self._pictures, shape), wanted, cv2.getNumberOfCPUs()):
            yield from pictures

    def _pictures(self, shape: GridShape, wanted: tuple[int, list[int]]) -> list[FittedImage]:
        image, numbers = wanted
        (whole,) = self.images.stream(self.cut.shape, np.array([image]))
        pictures = self.cut.pictures(whole)
        # The window of the whole image was applied before: eight bits are not stretched once more.
        return [prepare(_eight_bits(pictures[number]), shape, np.dtype(np.uint8)) for number in numbers]


def _eight_bits(picture: np.ndarray) -> np.ndarray:
    return (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture


def slices(cube: FittedImage) -> list[np.ndarray]:
    """Slices in three planes, evenly through what is not background, in the order of `PLANES`.

    Args:
        cube: `(1, depth, height, width)`.
    """
    volume = cube[0]
    low, high = _extent(volume)
    cropped = volume[tuple(map(slice, low, high))]
    return [
        np.take(cropped, int((number + 0.5) / SLICES * cropped.shape[axis]), axis)
        for axis in range(3)
        for number in range(SLICES)
    ]


def _extent(volume: np.ndarray) -> tuple[list[int], list[int]]:
    """Where the voxels lie that are brighter than a twentieth of the brightest; all of it where none are."""
    inside = volume > volume.max() / 20
    if not inside.any():
        return [0, 0, 0], list(volume.shape)
    along = [np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    return [int(places[0]) for places in along], [int(places[-1]) + 1 for places in along]


def leads(page: FittedImage) -> list[np.ndarray]:
    """The pictures of an ECG page, in the order of `PAGE_PICTURES`, white on black and without the ruling.

    Args:
        page: `(3, side, side)`.
    """
    return list(page_pictures(_as_picture(page)))


def usual_cut(images: ImageSource) -> str | None:
    """The cut that suits images by their looks: "leads" where most of a few are ECG pages of the usual layout.

    Raises:
        InputError: an image cannot be read.
    """
    if images.axes != LEADS_OF_PAGE.shape.axes:
        return None
    rows = np.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).astype(np.int64)
    pages = [is_page(_as_picture(page)) for page in images.stream(LEADS_OF_PAGE.shape, rows)]
    return LEADS_OF_PAGE.name if np.mean(pages) > 0.5 else None


def _as_picture(page: FittedImage) -> np.ndarray:
    return np.ascontiguousarray(_eight_bits(page).transpose(1, 2, 0))


SLICED_VOLUME = Cut(
    name="slices",
    version=1,
    shape=VolumeShape(size=SLICED),
    kinds=tuple(plane for plane in PLANES for _ in range(SLICES)),
    weights=(1.0,) * len(PLANES) * SLICES,
    pooled=True,
    telling=tuple(plane * SLICES + SLICES // 2 for plane in range(len(PLANES))),
    pictures=slices,
)
PATCHED_FILM = Cut(
    name="patches",
    version=2,
    shape=FilmShape(),
    kinds=("overview", *(f"patch {rank}" for rank in range(1, PATCHES + 1))),
    weights=(1.0, *(rank**-2 for rank in range(1, PATCHES + 1))),
    pooled=True,
    telling=(0,),
    pictures=patches,
)
LEADS_OF_PAGE = Cut(
    name="leads",
    version=2,
    shape=ImageShape(channels=3, size=PAGE),
    kinds=PAGE_PICTURES,
    weights=(*[1.0] * (len(PAGE_PICTURES) - 1), len(PAGE_PICTURES) - 1.0),  # beats tell as much as all leads together
    pooled=False,
    telling=tuple(range(len(PAGE_PICTURES) - 1)),
    pictures=leads,
)
CUTS = {cut.name: cut for cut in (SLICED_VOLUME, PATCHED_FILM, LEADS_OF_PAGE)}
