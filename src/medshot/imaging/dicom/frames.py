"""Say what the frames of a file are that have no position in the patient: moments, views, or tiles of a slide."""

import math

import numpy as np
from jaxtyping import Shaped
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileDataset

from medshot.imaging.dicom.header import Unsuitable, first_item
from medshot.imaging.reading import PIXEL_LIMIT

_POINTERS = {
    "FrameTime": "moments in time",
    "FrameTimeVector": "moments in time",
    "TimeSlotVector": "moments in time",
    "TimeSliceVector": "moments in time",
    "PhaseVector": "phases",
    "RRIntervalVector": "heart beats",
    "SliceVector": "slices",
    "RotationVector": "rotations",
    "AngularViewVector": "views",
    "DetectorVector": "detectors",
    "EnergyWindowVector": "energy windows",
}
_RATES = ("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate")


def meaning_of_frames(dataset: Dataset) -> str:
    """Return a sentence on what frames without positions are, from the element that FrameIncrementPointer names."""
    pointer = dataset.get("FrameIncrementPointer") or ()
    tags = pointer if isinstance(pointer, list | tuple) or hasattr(pointer, "__iter__") else (pointer,)
    keywords = [keyword_for_tag(tag) for tag in tags]
    names = dict.fromkeys(_POINTERS[word] for word in keywords if word in _POINTERS)
    if not names and any(dataset.get(word) not in (None, "") for word in _RATES):
        names = {"moments in time": None}
    if names:
        return f"The frames are {' and '.join(names)} without positions; they were taken in the file's order."
    return "The file does not say what its frames without positions are; they were taken in the file's order."


class Tiling:
    """The places of the tiles of a whole-slide image in the whole picture.

    Args:
        dataset: a file with a total pixel matrix.
        frames: the number of tiles.

    Raises:
        Unsuitable: the picture is too large, or the tiles do not fit together.
    """

    def __init__(self, dataset: FileDataset, frames: int) -> None:
        self.rows, self.columns = int(dataset.TotalPixelMatrixRows), int(dataset.TotalPixelMatrixColumns)
        high, wide = int(dataset.Rows), int(dataset.Columns)
        if self.rows < 1 or self.columns < 1 or self.rows * self.columns > PIXEL_LIMIT:
            raise Unsuitable(
                f"holds {frames} tiles of a whole-slide image of {self.columns} × {self.rows} pixels, with a limit of "
                f"{PIXEL_LIMIT:,}; save the region to use as a picture, or give the file of a lower magnification"
            )
        down, across = math.ceil(self.rows / high), math.ceil(self.columns / wide)
        named = [first_item(item, "PlanePositionSlideSequence") for item in self._groups(dataset)]
        if len(named) == frames and all(item is not None for item in named):
            self.corners = [
                (
                    int(item.RowPositionInTotalImagePixelMatrix) - 1,
                    int(item.ColumnPositionInTotalImagePixelMatrix) - 1,
                )
                for item in named
                if item is not None
            ]
        else:
            self.corners = [(row * high, column * wide) for row in range(down) for column in range(across)]
        inside = all(0 <= row < self.rows and 0 <= column < self.columns for row, column in self.corners)
        if len(self.corners) != frames or len(set(self.corners)) != frames or not inside:
            raise Unsuitable(
                f"holds {frames} tiles of a whole-slide image of {self.columns} × {self.rows} pixels that do not fit "
                "into one picture (several focal planes or colours); save the region to use as a picture"
            )

    @staticmethod
    def _groups(dataset: FileDataset) -> list[Dataset]:
        return list(dataset.get("PerFrameFunctionalGroupsSequence") or ())

    def assemble(
        self, tiles: Shaped[np.ndarray, "frames rows columns *colours"], assumed: list[str]
    ) -> Shaped[np.ndarray, "one total_rows total_columns *colours"]:
        """Return the whole picture; where there is no tile it is black, which is reported."""
        whole = np.zeros((self.rows, self.columns, *tiles.shape[3:]), tiles.dtype)
        filled = np.zeros((self.rows, self.columns), bool)
        for (row, column), tile in zip(self.corners, tiles, strict=True):
            part = whole[row : row + tile.shape[0], column : column + tile.shape[1]]
            part[:] = tile[: part.shape[0], : part.shape[1]]
            filled[row : row + tile.shape[0], column : column + tile.shape[1]] = True
        assumed.append(f"The {len(tiles)} tiles of a whole-slide image were put together to one picture.")
        if not filled.all():
            assumed.append(f"{100 - 100 * filled.mean():.0f} % of the picture have no tile and are black.")
        return whole[None]


def tiling_of(dataset: FileDataset, frames: int) -> Tiling | None:
    """Return how a file's frames tile a whole-slide image; None if they do not."""
    if dataset.get("TotalPixelMatrixColumns") in (None, "") or dataset.get("TotalPixelMatrixRows") in (None, ""):
        return None
    return Tiling(dataset, frames)
