"""Reports: tables in the terminal and for papers, a Markdown document, and a self-contained HTML page."""

from medshot.reporting.console import classes_table, results_table
from medshot.reporting.folder import write_evaluation
from medshot.reporting.markdown import results_markdown
from medshot.reporting.tables import write_table

__all__ = ["classes_table", "results_markdown", "results_table", "write_evaluation", "write_table"]
