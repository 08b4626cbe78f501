"""Define the findings, refusals and pseudonyms of de-identification."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "name",
    "identifier",
    "date",
    "age, sex or body",
    "place",
    "device",
    "free text",
    "unique identifier",
    "private element",
    "embedded picture",
]

PSEUDONYM = r"anon-[0-9a-f]{12}"
REMOVED = "REMOVED"
SECRET_LENGTH = 4  # shorter words of a name or an id occur in other words
_LONGEST_SHIFT = 3650


@dataclass(frozen=True, order=True)
class Identifying:
    """A place in a file that identifies a patient or a date, without its value.

    Args:
        where: the attribute, chunk, column or part of the name.
        kind: the kind of information.
    """

    where: str
    kind: Kind


class CannotClean(Exception):
    """The reason why a file cannot be cleaned: the end of a sentence that begins with its path, without its values."""


class Pseudonyms:
    """Pseudonyms, date shifts and unique identifiers that are consistent within one run.

    They are computed from a random key that is never written (HMAC-SHA256, RFC 2104), so two runs give different
    pseudonyms, and nobody, not even the owner of the data, can reverse them.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def patient(self, identity: str) -> str:
        """Return the pseudonym of a patient; blanks around the id are ignored."""
        return f"anon-{self._digest('patient', identity.strip()).hex()[:12]}"

    def days(self, identity: str) -> int:
        """Return the number of days, 1 to 3650, by which all dates of a patient are moved back."""
        return 1 + int.from_bytes(self._digest("days", identity.strip())[:8]) % _LONGEST_SHIFT

    def uid(self, uid: str) -> str:
        """Return a substitute for a DICOM unique identifier, under the root 2.25, which names no owner (PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid.strip())[:16])}"

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(errors="surrogateescape"), hashlib.sha256)
