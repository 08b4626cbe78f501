"""Files to arrays: reading, resizing, caching, fingerprints and augmentation of images."""

from medshot.imaging.augmentation import Augmentation, augment
from medshot.imaging.cache import cache_folder
from medshot.imaging.fingerprint import fingerprints, near_duplicates
from medshot.imaging.intensity import percentile_window, window
from medshot.imaging.medmnist import read_medmnist
from medshot.imaging.reading import read_image
from medshot.imaging.resizing import fit
from medshot.imaging.shape import FeatureShape, ImageShape, ImageSource, InputShape, Vectors
from medshot.imaging.sources import ArrayImages, FileImages

__all__ = [
    "ArrayImages",
    "Augmentation",
    "FeatureShape",
    "FileImages",
    "ImageShape",
    "ImageSource",
    "InputShape",
    "Vectors",
    "augment",
    "cache_folder",
    "fingerprints",
    "fit",
    "near_duplicates",
    "percentile_window",
    "read_image",
    "read_medmnist",
    "window",
]
