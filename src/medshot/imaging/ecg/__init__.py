"""Electrocardiograms as pictures."""

from medshot.imaging.ecg.leads import is_page
from medshot.imaging.ecg.page import ecg_page
from medshot.imaging.ecg.pictures import PAGE_PICTURES, page_pictures

__all__ = ["PAGE_PICTURES", "ecg_page", "is_page", "page_pictures"]
