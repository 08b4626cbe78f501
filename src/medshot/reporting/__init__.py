"""Reports: tables in the terminal and for papers, a Markdown document, and a self-contained HTML page."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medshot.reporting.console import classes_table, results_table
    from medshot.reporting.folder import write_evaluation
    from medshot.reporting.markdown import results_markdown
    from medshot.reporting.tables import write_table

# Imported at first use, because matplotlib is slow to import and a table does without it.
_HOMES = {
    "classes_table": "medshot.reporting.console",
    "results_markdown": "medshot.reporting.markdown",
    "results_table": "medshot.reporting.console",
    "write_evaluation": "medshot.reporting.folder",
    "write_table": "medshot.reporting.tables",
}

__all__ = ["classes_table", "results_markdown", "results_table", "write_evaluation", "write_table"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'medshot.reporting' has no attribute '{name}'")
