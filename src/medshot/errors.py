"""Errors that a user can cause: one sentence that names the file or argument, what was found, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class MedshotError(Exception):
    """Base of every error that a user can cause; the command line prints its sentence and exits with 2."""


class InputError(MedshotError, ValueError):
    """A file, folder or argument cannot be used as given."""


class TooFewPatients(InputError):
    """A class has fewer patients than the way, shots and queries asked for need."""


class StorageError(MedshotError, OSError):
    """A file could not be written, or what was read back is not what medshot wrote."""


class Interrupted(MedshotError):
    """The user stopped the work; what was done is saved and the sentence says how to go on."""


def closest(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean 'X'?" if one of the names is close to `name`, capitals or not, and otherwise ""."""
    by_lower = {known.lower(): known for known in names}
    found = get_close_matches(name.lower(), by_lower, n=1)
    return f" Did you mean '{by_lower[found[0]]}'?" if found else ""
