"""Names, ages and dates that should not leave the hospital: found in files and their names, and taken out of a copy."""

from medshot.imaging.deidentification.folder import Deidentified, deidentify
from medshot.imaging.deidentification.formats import identifying, identifying_content
from medshot.imaging.deidentification.names import identifying_name, identifying_text
from medshot.imaging.secrecy import Identifying

__all__ = [
    "Deidentified",
    "Identifying",
    "deidentify",
    "identifying",
    "identifying_content",
    "identifying_name",
    "identifying_text",
]
