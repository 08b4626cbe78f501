"""Files to arrays: reading, resizing, caching, fingerprints and augmentation of images."""

from medshot.imaging.augmentation import Augmentation, augment
from medshot.imaging.cache import cache_folder
from medshot.imaging.cuts import CUTS, Cut, CutImages, usual_cut
from medshot.imaging.decoding import all_image_paths, image_paths, patient_of
from medshot.imaging.display import display
from medshot.imaging.film_shape import FilmShape
from medshot.imaging.fingerprint import fingerprints, near_duplicates
from medshot.imaging.intensity import percentile_window, window
from medshot.imaging.medmnist import read_medmnist
from medshot.imaging.npz_volume import parted, read_volume
from medshot.imaging.opening import read
from medshot.imaging.reading import read_image
from medshot.imaging.resizing import fit, fit_cube
from medshot.imaging.scan import Scan
from medshot.imaging.several import MISSING, SeveralImages, hashes_of_each
from medshot.imaging.shape import FeatureShape, GridShape, ImageShape, ImageSource, InputShape, Vectors
from medshot.imaging.sources import ArrayImages, FileImages
from medshot.imaging.volume_shape import VolumeShape

__all__ = [
    "CUTS",
    "MISSING",
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
    "Scan",
    "SeveralImages",
    "Vectors",
    "VolumeShape",
    "all_image_paths",
    "augment",
    "cache_folder",
    "display",
    "fingerprints",
    "fit",
    "fit_cube",
    "hashes_of_each",
    "image_paths",
    "near_duplicates",
    "parted",
    "patient_of",
    "percentile_window",
    "read",
    "read_image",
    "read_medmnist",
    "read_volume",
    "usual_cut",
    "window",
]
