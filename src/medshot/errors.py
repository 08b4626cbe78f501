"""Errors that a user can cause: one sentence that names the file or argument, what was found, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class MedshotError(Exception):
    """Base of every error that a user can cause; the command line prints its sentence and exits with 2.

    Example: "The loss is nan at step 12; lower --learning-rate."
    """


class InputError(MedshotError, ValueError):
    """A file, folder or argument cannot be used as given.

    Example: "scan.png is empty (0 bytes); replace the file or remove it from the data."
    """


class TooFewPatients(InputError):
    """A class has fewer patients than the requested ways, shots and queries need.

    Example: "Class 'benign' of task 'lungs' has 3 patients, but 4 are needed; add patients of that class."
    """


class StorageError(MedshotError, OSError):
    """A file could not be written, or its content is not what medshot wrote.

    Example: "runs/metal exists already; choose another name or remove it."
    """


class Interrupted(MedshotError):
    """The user stopped the work; the state is saved, and the sentence says how to continue.

    Example: "Stopped after step 40 of 100: it is saved in runs/metal; give the same command with --resume to continue."
    """


def closest(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean 'X'?" if one of the names is close to `name`, capitals or not, and otherwise ""."""
    by_lower = {known.lower(): known for known in names}
    found = get_close_matches(name.lower(), by_lower, n=1)
    return f" Did you mean '{by_lower[found[0]]}'?" if found else ""
