"""Files to arrays: reading, resizing, caching, fingerprints and augmentation of images."""

from medshot.environment import cache_folder
from medshot.imaging.augmentation import Augmentation, augment
from medshot.imaging.cuts import CUTS, Cut, CutImages, usual_cut
from medshot.imaging.display import display
from medshot.imaging.fingerprint import fingerprints, near_duplicates
from medshot.imaging.folders import all_image_paths, image_paths, patient_of
from medshot.imaging.formats import split_member
from medshot.imaging.inputs import (
    WHOLE,
    FeatureInput,
    FilmInput,
    GridInput,
    ImageInput,
    InputSpec,
    VolumeInput,
)
from medshot.imaging.npz import read_medmnist, read_volume
from medshot.imaging.opening import read
from medshot.imaging.preparing import fit, fit_cube, percentile_window, window
from medshot.imaging.reading import read_image
from medshot.imaging.scan import Scan
from medshot.imaging.sources import (
    MISSING,
    ArrayImages,
    FileImages,
    ImageSource,
    SeveralImages,
    Vectors,
    hashes_of_each,
)

__all__ = [
    "CUTS",
    "MISSING",
    "WHOLE",
    "ArrayImages",
    "Augmentation",
    "Cut",
    "CutImages",
    "FeatureInput",
    "FileImages",
    "FilmInput",
    "GridInput",
    "ImageInput",
    "ImageSource",
    "InputSpec",
    "Scan",
    "SeveralImages",
    "Vectors",
    "VolumeInput",
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
    "patient_of",
    "percentile_window",
    "read",
    "read_image",
    "read_medmnist",
    "read_volume",
    "split_member",
    "usual_cut",
    "window",
]
