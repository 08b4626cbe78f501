"""Cut an image into the pictures that an encoder takes: slices of a volume, patches of a film, leads of a page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import groupby

import cv2
import numpy as np
from jaxtyping import Float32, Int

from medshot.imaging.ecg import PAGE_PICTURES, is_page, page_pictures
from medshot.imaging.inputs import FilmInput, GridInput, ImageInput, VolumeInput
from medshot.imaging.preparing import prepare
from medshot.imaging.scan import FittedImage, Image
from medshot.imaging.sources import ImageSource
from medshot.process import in_threads

OVERVIEW = 224  # pixels per side of what an encoder sees of the whole film
FINER = 4  # pixels of the map of lost detail in each pixel of the overview, along a side
PARTS = 8  # sides of a patch in the side of the film
PATCHES = 8
NARROW, WIDE = 2.5, 7.5  # in pixels of the map: detail between the two is as large as a pixel of the overview
FLOOR = 0.5  # grey levels of 255: smaller variations are noise

Region = tuple[slice, slice]


def patches(film: FittedImage) -> list[np.ndarray]:
    """Return the whole film, then its patches, the most conspicuous first.

    Args:
        film: `(1, side, side)` grey or `(3, side, side)` RGB.

    Returns:
        Views of the film, grey `(height, width)` or RGB `(height, width, 3)`.
    """
    whole = film[0] if len(film) == 1 else film.transpose(1, 2, 0)
    return [whole, *(whole[region] for region in patch_regions(whole))]


def patch_regions(whole: Image) -> list[Region]:
    """Return rows and columns of each patch; patches may overlap by half, and each has its peak in the middle.

    Args:
        whole: a square film.
    """
    conspicuity = lost_detail(whole)
    side = len(whole)
    patch, reach = max(1, side // PARTS), OVERVIEW * FINER // PARTS // 2
    found = []
    for _ in range(PATCHES):
        peak = np.unravel_index(conspicuity.argmax(), conspicuity.shape)
        first = [_within(int(at) * side // len(conspicuity) - patch // 2, side - patch) for at in peak]
        found.append((slice(first[0], first[0] + patch), slice(first[1], first[1] + patch)))
        row, column = (max(int(at) - reach, 0) for at in peak)
        conspicuity[row : int(peak[0]) + reach, column : int(peak[1]) + reach] = -1
    return found


def _within(first: int, last: int) -> int:
    return min(max(first, 0), last)


def lost_detail(whole: Image) -> Float32[np.ndarray, "map map"]:
    """Return how conspicuous the detail is at each point, relative to the root mean square of detail around it.

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
LOOKED_AT = 8  # images of a source that are examined to choose a cut
PAGE = 896  # pixels per side of an ECG page: a quarter of a row is then as wide as the pictures that encoders take


@dataclass(frozen=True)
class Cut:
    """A way of cutting images into pictures.

    Args:
        name: on the command line; with `version` part of the key under which features are stored.
        version: changes whenever the pictures may change.
        input_spec: how the whole image is read.
        kinds: the kind of each picture.
        weights: of each picture before training.
        pooled: whether the features of the pictures are pooled; if not, they are concatenated, since each picture has a
            meaning of its own.
        identifying: the pictures whose fingerprints identify an image.
        pictures: from the whole image to the pictures, grey `(height, width)` or RGB `(height, width, 3)`.
    """

    name: str
    version: int
    input_spec: GridInput
    kinds: tuple[str, ...]
    weights: tuple[float, ...]
    pooled: bool
    identifying: tuple[int, ...]
    pictures: Callable[[FittedImage], list[np.ndarray]] = field(compare=False)

    def __len__(self) -> int:
        """Return the number of pictures of an image."""
        return len(self.kinds)


class CutImages:
    """The pictures of all images of a source: picture k of image i is image `i · len(cut) + k` of this one.

    Each thread holds at most one whole image in memory.

    Args:
        images: the source to cut.
        cut: how.
    """

    axes = 2

    def __init__(self, images: ImageSource, cut: Cut) -> None:
        self.images, self.cut = images, cut

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.images) * len(self.cut)

    def hashes(self) -> list[str]:
        """Return the SHA-256 of the hash of the image, the cut and the number of the picture."""
        name = f"{self.cut.name} {self.cut.version}"
        return [
            sha256(f"{digest} {name} {number}".encode()).hexdigest()
            for digest in self.images.hashes()
            for number in range(len(self.cut))
        ]

    def pixels(self, spec: GridInput) -> np.ndarray:
        """Return all pictures, in memory."""
        return np.stack(list(self.stream(spec, np.arange(len(self)))))

    def stream(self, spec: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Yield the pictures of these rows in order; an image is decoded once for consecutive pictures of it."""
        wanted = [
            (image, [row % len(self.cut) for row in of_image])
            for image, of_image in groupby(rows.tolist(), lambda row: row // len(self.cut))
        ]
        for pictures in in_threads(partial(self._pictures, spec), wanted, cv2.getNumberOfCPUs()):
            yield from pictures

    def _pictures(self, spec: GridInput, wanted: tuple[int, list[int]]) -> list[FittedImage]:
        image, numbers = wanted
        (whole,) = self.images.stream(self.cut.input_spec, np.array([image]))
        pictures = self.cut.pictures(whole)
        # The whole image was windowed before: eight bits are not stretched again.
        return [prepare(_eight_bits(pictures[number]), spec, np.dtype(np.uint8)) for number in numbers]


def _eight_bits(picture: np.ndarray) -> np.ndarray:
    return (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture


def slices(cube: FittedImage) -> list[np.ndarray]:
    """Return slices in three planes, evenly spaced through the foreground, in the order of `PLANES`.

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
    """Return the bounds of the voxels above a twentieth of the brightest; the whole volume if there are none."""
    inside = volume > volume.max() / 20
    if not inside.any():
        return [0, 0, 0], list(volume.shape)
    along = [np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    return [int(places[0]) for places in along], [int(places[-1]) + 1 for places in along]


def leads(page: FittedImage) -> list[np.ndarray]:
    """Return the pictures of an ECG page, in the order of `PAGE_PICTURES`, white on black and without the ruling.

    Args:
        page: `(3, side, side)`.
    """
    return list(page_pictures(_as_picture(page)))


def usual_cut(images: ImageSource) -> str | None:
    """Return the cut that suits images: "leads" if most of a few are ECG pages of the usual layout, otherwise None.

    Raises:
        InputError: an image cannot be read.
    """
    if images.axes != LEADS_OF_PAGE.input_spec.axes:
        return None
    rows = np.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).astype(np.int64)
    pages = [is_page(_as_picture(page)) for page in images.stream(LEADS_OF_PAGE.input_spec, rows)]
    return LEADS_OF_PAGE.name if np.mean(pages) > 0.5 else None


def _as_picture(page: FittedImage) -> np.ndarray:
    return np.ascontiguousarray(_eight_bits(page).transpose(1, 2, 0))


SLICED_VOLUME = Cut(
    name="slices",
    version=1,
    input_spec=VolumeInput(size=SLICED),
    kinds=tuple(plane for plane in PLANES for _ in range(SLICES)),
    weights=(1.0,) * len(PLANES) * SLICES,
    pooled=True,
    identifying=tuple(plane * SLICES + SLICES // 2 for plane in range(len(PLANES))),
    pictures=slices,
)
PATCHED_FILM = Cut(
    name="patches",
    version=2,
    input_spec=FilmInput(),
    kinds=("overview", *(f"patch {rank}" for rank in range(1, PATCHES + 1))),
    weights=(1.0, *(rank**-2 for rank in range(1, PATCHES + 1))),
    pooled=True,
    identifying=(0,),
    pictures=patches,
)
LEADS_OF_PAGE = Cut(
    name="leads",
    version=2,
    input_spec=ImageInput(channels=3, size=PAGE),
    kinds=PAGE_PICTURES,
    weights=(
        *[1.0] * (len(PAGE_PICTURES) - 1),
        len(PAGE_PICTURES) - 1.0,
    ),  # the beats weigh as much as all leads
    pooled=False,
    identifying=tuple(range(len(PAGE_PICTURES) - 1)),
    pictures=leads,
)
CUTS = {cut.name: cut for cut in (SLICED_VOLUME, PATCHED_FILM, LEADS_OF_PAGE)}
