"""Find names, ages and dates in files and their names, and write copies of the files without them."""

from medshot.deidentify.folder import Deidentified, deidentify
from medshot.deidentify.formats import identifying, identifying_content
from medshot.deidentify.identifying import identifying_name, identifying_text
from medshot.imaging.pseudonyms import Identifying

__all__ = [
    "Deidentified",
    "Identifying",
    "deidentify",
    "identifying",
    "identifying_content",
    "identifying_name",
    "identifying_text",
]
