"""The data audit: what is wrong with labelled images before anything is trained on them."""

from medshot.audit.audit import ENCODED, Audit, audit
from medshot.audit.cues import SampleImages
from medshot.audit.findings import HARMS, Counts, Example, Finding, Verdict

__all__ = ["ENCODED", "HARMS", "Audit", "Counts", "Example", "Finding", "SampleImages", "Verdict", "audit"]
