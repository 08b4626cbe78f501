"""Files to arrays: reading, resizing, caching, fingerprints and augmentation of images."""

from medshot.imaging.augmentation import Augmentation, augment
from medshot.imaging.cache import cache_folder
from medshot.imaging.display import display
from medshot.imaging.fingerprint import fingerprints, near_duplicates
from medshot.imaging.intensity import percentile_window, window
from medshot.imaging.medmnist import read_medmnist
from medshot.imaging.opening import read
from medshot.imaging.reading import read_image
from medshot.imaging.resizing import fit
from medshot.imaging.scan import Scan
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
    "Scan",
    "Vectors",
    "augment",
    "cache_folder",
    "display",
    "fingerprints",
    "fit",
    "near_duplicates",
    "percentile_window",
    "read",
    "read_image",
    "read_medmnist",
    "window",
]
