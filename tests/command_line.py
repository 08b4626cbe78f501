"""Run the command line within the test process."""

import sys
from pathlib import Path

import pytest
from small_tasks import write_images

from medshot.cli import main
from medshot.tasks import Task

PIXELS = ("--encoder", "none")
TRAIN = (
    *("--size", "20", "--steps", "3", "--shots", "1,2", "--queries", "1", "--ways", "2", "--batch", "2"),
    *("--engine", "loop"),
)


def medshot(*arguments: object) -> int:
    """Return the exit code of `medshot` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["medshot", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def write_ward(folder: Path, task: Task) -> Path:
    """Write the task as class folders below `folder` and return its folder."""
    write_images(task, folder / task.name)
    return folder / task.name
