"""Files to arrays: reading, resizing, caching, fingerprints and augmentation of images."""

from medshot.imaging.augmentation import Augmentation, augment
from medshot.imaging.cache import cache_folder
from medshot.imaging.cuts import CUTS, Cut, CutImages
from medshot.imaging.film_shape import FilmShape
from medshot.imaging.fingerprint import fingerprints, near_duplicates
from medshot.imaging.intensity import percentile_window, window
from medshot.imaging.medmnist import read_medmnist
from medshot.imaging.reading import read_image
from medshot.imaging.resizing import fit, fit_cube
from medshot.imaging.several import MISSING, SeveralImages
from medshot.imaging.shape import FeatureShape, GridShape, ImageShape, ImageSource, InputShape, Vectors
from medshot.imaging.sources import ArrayImages, FileImages
from medshot.imaging.volume_shape import VolumeShape
from medshot.imaging.volumes import VOLUME_SUFFIXES, parted, read_volume

__all__ = [
    "CUTS",
    "MISSING",
    "VOLUME_SUFFIXES",
    "ArrayImages",
    "Augmentation",
    "Cut",
    "CutImages",
    "FeatureShape",
    "FileImages",
    "FilmShape",
    "GridShape",
    "ImageShape",
    "ImageSource",
    "InputShape",
    "SeveralImages",
    "Vectors",
    "VolumeShape",
    "augment",
    "cache_folder",
    "fingerprints",
    "fit",
    "fit_cube",
    "near_duplicates",
    "parted",
    "percentile_window",
    "read_image",
    "read_medmnist",
    "read_volume",
    "window",
]
