"""Rows as CSV that is safe to open: a cell that a spreadsheet would run as a formula becomes plain text."""

import csv
import io
from collections.abc import Mapping, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Sequence[Mapping[str, str | int | float]], columns: Sequence[str]) -> str:
    """The rows under a header of the columns, which are the names that every row has."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerow({name: _harmless(name) for name in columns})
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _harmless(value: str | int | float) -> str | int | float:
    """A file or class name that a spreadsheet would run as a formula becomes plain text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
