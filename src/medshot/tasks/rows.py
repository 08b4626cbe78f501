"""The rows of a table: those that can be used, column by column, and what is wrong with the others."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from sys import intern

from medshot.imaging import split_member
from medshot.storage import printable_path
from medshot.tasks.columns import DataOptions, Roles, same_column
from medshot.tasks.spelling import is_missing

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # as in C:\images or \\server\images


@dataclass(frozen=True)
class Problem:
    """A problem of one row of a manifest.

    Args:
        line: its line in the file; of a row over several lines, the last.
        what: the rest of a sentence that starts with the file and the line, and ends with what to do.
        harmful: whether the manifest has to be corrected; otherwise the row has no label and is left out.
    """

    line: int
    what: str
    harmful: bool = True


class Rows:
    """The rows of a table that were read so far.

    Args:
        header: the names of the columns.
        roles: which of them hold images, labels and patients.
        options: which rows are kept, and whether words for a missing label count as none.
        folder: the folder that the paths of images are relative to.
        of_patients: whether a row is a patient and has no image.
    """

    def __init__(
        self, header: Sequence[str], roles: Roles, options: DataOptions, folder: Path, *, of_patients: bool
    ) -> None:
        self.header = header
        self.roles = roles
        self.columns: dict[str, list[str]] = {name: [] for name in header}
        self.lines: list[int] = []
        self.problems: list[Problem] = []
        self._folder = folder
        self._absolute = os.path.abspath(folder)  # noqa: PTH100 (a path object for each row takes seconds)
        self._of_patients = of_patients
        self._no_label = is_missing if options.join_labels else _is_empty
        self._keep = {same_column(header, column) or column: set(values) for column, values in options.keep.items()}
        self._first_line = {name: dict[str, int]() for name in roles.images}

    def add(self, line: int, values: Sequence[str]) -> None:
        """Add a row that can be used and is kept to the columns, and any other that is kept to the problems."""
        if len(values) != len(self.header):
            what = f"has {len(values)} fields where the header has {len(self.header)}"
            self.problems.append(Problem(line, f"{what}; quote fields that hold the delimiter"))
            return
        row = dict(zip(self.header, map(str.strip, values), strict=True))
        if any(row[column] not in allowed for column, allowed in self._keep.items()):
            return
        for name in self.roles.images:
            row[name] = _posix(row[name], self._folder)
        if self.roles.label is not None and self._no_label(row[self.roles.label]):
            self.problems.append(Problem(line, "has no label", harmful=False))
        elif what := self._unusable(row, line):
            self.problems.append(Problem(line, what))
        else:
            self.lines.append(line)
            for name, value in row.items():
                self.columns[name].append(value if name in self._first_line else intern(value))

    def _unusable(self, row: dict[str, str], line: int) -> str:
        """Return why a row cannot be used, "" if it can; its images then count as named."""
        images = {column: self._place(row[column]) for column in self._first_line if row[column]}
        if not images and not self._of_patients:
            return "names no image; fill in the image column or remove the row"
        for column, image in images.items():
            if image in self._first_line[column]:
                first = self._first_line[column][image]
                name = printable_path(row[column])
                return f"names {name} a second time (first on line {first}); remove one of the two rows"
        for column, image in images.items():
            self._first_line[column][image] = line
        if self.roles.patient is not None and not row[self.roles.patient]:
            return "names no patient; fill in the column, or remove it if every image is a patient"
        return ""

    def _place(self, cell: str) -> str:
        """Return the absolute path of an image, the same in whichever way it is written."""
        return os.path.normpath(os.path.join(self._absolute, cell))  # noqa: PTH118


def _is_empty(value: str) -> bool:
    return not value


def _posix(cell: str, folder: Path) -> str:
    """Return a path of Windows with slashes; one on a drive, or that is the name of a file here, as it is."""
    if "\\" not in cell or _DRIVE.match(cell) or os.path.exists(split_member(folder / cell)[0]):  # noqa: PTH110
        return cell
    return cell.replace("\\", "/")


def why_missing(image: str | Path, folder: Path) -> str:
    """Return the rest of a sentence on an image that does not exist, with where it may be if the path is of Windows."""
    image = Path(image)
    cell = str(image.relative_to(folder)) if image.is_relative_to(folder) else str(image)
    if not _DRIVE.match(cell):
        return "does not exist"
    parts = PureWindowsPath(cell).parts[1:]
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    end = next((end for end in ends if os.path.exists(folder / end)), "")  # noqa: PTH110
    found = f"; {end} does, so remove what is before it" if end else ""
    return f"is a path of another computer's drive and does not exist here{found}"
