"""A table that is written row by row, so that a stopped command can go on where it was."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from medshot.cli.options import Row, as_csv
from medshot.errors import StorageError

SUFFIX = ".part"


def partial_path(out: Path) -> Path:
    """Return the place of the unfinished table beside its own."""
    return out.with_name(out.name + SUFFIX)


class PartialTable:
    """The rows of an unfinished table, in a file beside its place; it gets its name when it is complete.

    Args:
        out: the place of the table.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.path = out, partial_path(out)

    def start(self, *, resume: bool) -> list[Row]:
        """Return the complete rows without an error that an earlier command wrote; none unless `resume`.

        Raises:
            StorageError: there is a table or an unfinished one and `resume` is not asked for, or it cannot be read.
        """
        from medshot.storage import refuse_existing

        if not resume:
            refuse_existing(self.out)
            if self.path.exists():
                raise StorageError(
                    f"{self.path} is an unfinished table of an earlier command; add --resume to continue it, or remove "
                    "it."
                )
            return []
        source = self.path if self.path.exists() else self.out
        if not source.exists():
            return []
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"{source} could not be read ({error}); remove it or leave out --resume.") from error
        return [row for row in _complete_rows(text) if not row.get("error")]

    def write(self, rows: Sequence[Row]) -> None:
        """Put these rows into the unfinished table, instead of what it holds.

        Raises:
            StorageError: it cannot be written.
        """
        from medshot.storage import write_bytes

        write_bytes(self.path, as_csv(rows).encode())

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows to the unfinished table; each is there as a whole or counts as missing.

        Raises:
            StorageError: it cannot be written.
        """
        if not self.path.exists():
            return self.write(rows)
        try:
            with self.path.open("ab") as file:
                file.write(as_csv(rows, header=False).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"{self.path} could not be written ({error.strerror or error}); free some space and add --resume."
            ) from error

    def finish(self, rows: Sequence[Row]) -> None:
        """Write the complete table to its place and remove the unfinished one."""
        from medshot.storage import write_bytes

        write_bytes(self.out, as_csv(rows).encode())
        self.path.unlink(missing_ok=True)


def _complete_rows(text: str) -> Iterator[Row]:
    """Yield the rows of a table up to the first that is not complete; a row may have line breaks in quotes."""
    records, pending = [], ""
    for line in text.splitlines(keepends=True):
        pending += line
        if pending.endswith("\n") and pending.count('"') % 2 == 0:
            records.append(pending)
            pending = ""
    if not records:
        return
    header = next(csv.reader(io.StringIO(records[0])))
    for record in records[1:]:
        values = next(csv.reader(io.StringIO(record)), [])
        if len(values) != len(header):
            return
        yield dict(zip(header, values, strict=True))
