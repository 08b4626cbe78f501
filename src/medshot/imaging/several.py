"""Samples of several images each: sequences, views or dates, any of which may be missing."""

from collections.abc import Iterator, Mapping
from hashlib import sha256

import numpy as np
from jaxtyping import Int

from medshot.errors import InputError
from medshot.imaging.arrays import FittedImage, Pixels
from medshot.imaging.shape import GridShape, ImageSource
from medshot.imaging.sources import ArrayImages, FileImages

MISSING = -1
Images = FileImages | ArrayImages


class SeveralImages:
    """A source whose samples are several images each.

    Args:
        sources: for each name, such as "flair", where those images come from.
        rows: for each name, the image of each sample in its source; -1 where the sample lacks it.

    Raises:
        InputError: there are no names, they differ between the two, the numbers of rows differ, a row is not in its
            source, or a sample has no image at all.
    """

    def __init__(self, sources: Mapping[str, Images], rows: Mapping[str, Int[np.ndarray, " samples"]]) -> None:
        self.sources, self.names = dict(sources), tuple(sources)
        if not sources or sources.keys() != rows.keys():
            raise InputError(f"the images are named {', '.join(sources)} and their rows {', '.join(rows)}; name alike.")
        lengths = {name: len(of_name) for name, of_name in rows.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"the numbers of samples differ by name ({lengths}); give one row for each sample.")
        self.rows = np.stack([np.asarray(rows[name], dtype=np.int64) for name in self.names], axis=1)
        for name, of_name in zip(self.names, self.rows.T, strict=True):
            if len(of_name) and not MISSING <= of_name.min() <= of_name.max() < len(sources[name]):
                raise InputError(f"rows of '{name}' go beyond its {len(sources[name])} images; correct them.")
        empty = np.flatnonzero((self.rows == MISSING).all(1))
        if len(empty):
            raise InputError(f"sample {empty[0]} has no image at all; give it one or leave it out.")

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.rows)

    @property
    def axes(self) -> int:
        """How many axes the images of the first name lie in."""
        return self.sources[self.names[0]].axes

    def take(self, rows: Int[np.ndarray, " taken"]) -> "SeveralImages":
        """The samples of these rows alone; names that none of them has are gone."""
        sources, of_names = {}, {}
        for name, of_name in zip(self.names, self.rows[rows].T, strict=True):
            there = of_name != MISSING
            if there.any():
                used, places = np.unique(of_name[there], return_inverse=True)
                sources[name], of_names[name] = self.sources[name].take(used), np.full(len(rows), MISSING)
                of_names[name][there] = places
        return SeveralImages(sources, of_names)

    def hashes(self) -> list[str]:
        """SHA-256 of the names and hashes of the images that each sample has."""
        return [
            sha256("\n".join(f"{name} {digest}" for name, digest in of_sample.items()).encode()).hexdigest()
            for of_sample in self.hashes_by_name()
        ]

    def hashes_by_name(self) -> list[dict[str, str]]:
        """For each sample, the SHA-256 of every image that it has."""
        of_names = [self.sources[name].hashes() for name in self.names]
        return [
            {
                name: of_name[row]
                for name, of_name, row in zip(self.names, of_names, rows, strict=True)
                if row != MISSING
            }
            for rows in self.rows.tolist()
        ]

    def pixels(self, shape: GridShape) -> Pixels:
        """Refused: InputError."""
        raise InputError(
            f"each sample has several images ({', '.join(self.names)}) and this learner takes one; meta-train with "
            f"--images {len(self.names)}, or make a manifest with one column 'image'."
        )

    def stream(self, shape: GridShape, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Refused: InputError."""
        self.pixels(shape)
        return iter(())


def hashes_of_each(images: ImageSource) -> list[list[str]]:
    """For each sample of a source, the SHA-256 of every image that it has: one, or several."""
    if isinstance(images, SeveralImages):
        return [list(of_sample.values()) for of_sample in images.hashes_by_name()]
    return [[digest] for digest in images.hashes()]
