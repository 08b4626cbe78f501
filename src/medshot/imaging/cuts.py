"""Cutting one image into the pictures that an encoder takes: slices of a volume, patches of a film, leads of a page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import groupby

import cv2
import numpy as np
from jaxtyping import Float32, Int

from medshot.imaging.cache import in_threads
from medshot.imaging.ecg import PAGE_PICTURES, is_page, page_pictures
from medshot.imaging.inputs import FilmInput, GridInput, ImageInput, VolumeInput
from medshot.imaging.resizing import prepare
from medshot.imaging.scan import FittedImage, Image
from medshot.imaging.sources import ImageSource

OVERVIEW = 224  # pixels per side of what an encoder sees of the whole film
FINER = 4  # pixels of the map of lost detail in each pixel of the overview, along a side
PARTS = 8  # sides of a patch in the side of the film
PATCHES = 8
NARROW, WIDE = 2.5, 7.5  # of the map: the detail between the two is as large as a pixel of the overview
FLOOR = 0.5  # grey levels of 255: smaller swings are none

Place = tuple[slice, slice]


def patches(film: FittedImage) -> list[np.ndarray]:
    """The whole film, then its patches, from what stands out most to least.

    Args:
        film: `(1, side, side)` grey or `(3, side, side)` RGB.

    Returns:
        Views of the film, grey `(height, width)` or RGB `(height, width, 3)`.
    """
    whole = film[0] if len(film) == 1 else film.transpose(1, 2, 0)
    return [whole, *(whole[place] for place in places(whole))]


def places(whole: Image) -> list[Place]:
    """Rows and columns of each patch; patches may overlap by half, and each has its peak in the middle.

    Args:
        whole: a square film.
    """
    standing_out = lost_detail(whole)
    side = len(whole)
    patch, reach = max(1, side // PARTS), OVERVIEW * FINER // PARTS // 2
    found = []
    for _ in range(PATCHES):
        peak = np.unravel_index(standing_out.argmax(), standing_out.shape)
        first = [_within(int(at) * side // len(standing_out) - patch // 2, side - patch) for at in peak]
        found.append((slice(first[0], first[0] + patch), slice(first[1], first[1] + patch)))
        row, column = (max(int(at) - reach, 0) for at in peak)
        standing_out[row : int(peak[0]) + reach, column : int(peak[1]) + reach] = -1
    return found


def _within(first: int, last: int) -> int:
    return min(max(first, 0), last)


def lost_detail(whole: Image) -> Float32[np.ndarray, "map map"]:
    """How far the detail at each place stands out from its surroundings, in root mean squares of the detail there.

    Detail is the difference of two Gaussian blurs (Marr & Hildreth, Theory of edge detection, 1980), of the size that
    an overview of 224 pixels loses; the surroundings are as large as a patch.
    """
    grey = whole if whole.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(whole), cv2.COLOR_RGB2GRAY)
    side = OVERVIEW * FINER
    method = cv2.INTER_AREA if len(grey) > side else cv2.INTER_LINEAR
    levels = cv2.resize(np.ascontiguousarray(grey), (side, side), interpolation=method).astype(np.float32)
    levels *= 255 / np.iinfo(grey.dtype).max
    detail = cv2.GaussianBlur(levels, (0, 0), NARROW) - cv2.GaussianBlur(levels, (0, 0), WIDE)
    around = cv2.blur(detail * detail, (side // PARTS, side // PARTS), borderType=cv2.BORDER_REFLECT)
    return np.abs(detail) / (np.sqrt(around) + FLOOR)


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
    shape: GridInput
    kinds: tuple[str, ...]
    weights: tuple[float, ...]
    pooled: bool
    identifying: tuple[int, ...]
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

    def pixels(self, shape: GridInput) -> np.ndarray:
        """All pictures in memory."""
        return np.stack(list(self.stream(shape, np.arange(len(self)))))

    def stream(self, shape: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The pictures of these rows in order; each image is decoded once for all of its pictures that follow it."""
        wanted = [
            (image, [row % len(self.cut) for row in of_image])
            for image, of_image in groupby(rows.tolist(), lambda row: row // len(self.cut))
        ]
        for pictures in in_threads(partial(self._pictures, shape), wanted, cv2.getNumberOfCPUs()):
            yield from pictures

    def _pictures(self, shape: GridInput, wanted: tuple[int, list[int]]) -> list[FittedImage]:
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
    shape=VolumeInput(size=SLICED),
    kinds=tuple(plane for plane in PLANES for _ in range(SLICES)),
    weights=(1.0,) * len(PLANES) * SLICES,
    pooled=True,
    identifying=tuple(plane * SLICES + SLICES // 2 for plane in range(len(PLANES))),
    pictures=slices,
)
PATCHED_FILM = Cut(
    name="patches",
    version=2,
    shape=FilmInput(),
    kinds=("overview", *(f"patch {rank}" for rank in range(1, PATCHES + 1))),
    weights=(1.0, *(rank**-2 for rank in range(1, PATCHES + 1))),
    pooled=True,
    identifying=(0,),
    pictures=patches,
)
LEADS_OF_PAGE = Cut(
    name="leads",
    version=2,
    shape=ImageInput(channels=3, size=PAGE),
    kinds=PAGE_PICTURES,
    weights=(*[1.0] * (len(PAGE_PICTURES) - 1), len(PAGE_PICTURES) - 1.0),  # beats tell as much as all leads together
    pooled=False,
    identifying=tuple(range(len(PAGE_PICTURES) - 1)),
    pictures=leads,
)
CUTS = {cut.name: cut for cut in (SLICED_VOLUME, PATCHED_FILM, LEADS_OF_PAGE)}
