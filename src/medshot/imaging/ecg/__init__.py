"""Electrocardiograms as pictures."""

from medshot.imaging.ecg.leads import PAGE_LEADS, cut_leads, is_page
from medshot.imaging.ecg.page import ecg_page

__all__ = ["PAGE_LEADS", "cut_leads", "ecg_page", "is_page"]
