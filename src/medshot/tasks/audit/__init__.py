"""The data audit: what is wrong with labelled images before anything is trained on them."""

from medshot.tasks.audit.audit import ENCODED, Audit, audit
from medshot.tasks.audit.pictures import Pictures
from medshot.tasks.audit.verdict import HARMS, Counts, Example, Finding, Verdict

__all__ = ["ENCODED", "HARMS", "Audit", "Counts", "Example", "Finding", "Pictures", "Verdict", "audit"]
