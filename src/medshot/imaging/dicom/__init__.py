"""DICOM to scans: headers and pixels are judged, decoded, put in their place, and what was assumed is said."""

from medshot.imaging.dicom.image import read_dicom
from medshot.imaging.dicom.series import read_series

__all__ = ["read_dicom", "read_series"]
