"""Electrocardiograms as pictures."""

from medshot.imaging.ecg.leads import LEADS, cut_leads
from medshot.imaging.ecg.page import ecg_page

__all__ = ["LEADS", "cut_leads", "ecg_page"]
