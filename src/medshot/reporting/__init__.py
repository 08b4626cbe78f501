"""Reports: a table in the terminal, a Markdown document, and a self-contained HTML page."""

from medshot.reporting.console import results_table
from medshot.reporting.folder import write_evaluation
from medshot.reporting.markdown import results_markdown

__all__ = ["results_markdown", "results_table", "write_evaluation"]
