"""Geometry of scans: what moves, turns, cuts or resamples a scan keeps every voxel where it lies in the patient."""

from medshot.imaging.geometry.boxes import crop, pad
from medshot.imaging.geometry.fitting import fit_volume
from medshot.imaging.geometry.orientation import orientation, reorient
from medshot.imaging.geometry.resampling import resample
from medshot.imaging.geometry.world import to_index, to_world

__all__ = [
    "crop",
    "fit_volume",
    "orientation",
    "pad",
    "reorient",
    "resample",
    "to_index",
    "to_world",
]
