"""Read DICOM files and series as scans; every assumption is recorded in the scan."""

from medshot.imaging.dicom.image import read_dicom
from medshot.imaging.dicom.series import read_series

__all__ = ["read_dicom", "read_series"]
