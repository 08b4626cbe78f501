"""Draw electrocardiograms as pictures, and find the leads on pictures of them."""

from medshot.imaging.ecg.leads import PAGE_PICTURES, is_page, page_pictures
from medshot.imaging.ecg.page import ecg_page

__all__ = ["PAGE_PICTURES", "ecg_page", "is_page", "page_pictures"]
