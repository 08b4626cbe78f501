"""What deidentification shares: a finding, the refusal to clean, and pseudonyms from a key that is never written."""

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
SECRET_LENGTH = 4  # shorter words of a name or an id occur everywhere
_LONGEST_SHIFT = 3650


@dataclass(frozen=True, order=True)
class Identifying:
    """One place that tells who a patient is, or when; never the value that stands there.

    Args:
        where: the attribute, chunk, column or part of the name.
        kind: what it tells.
    """

    where: str
    kind: Kind


class CannotClean(Exception):
    """Why a file cannot be cleaned: the end of a sentence that begins with the file, without any of its values."""


class Pseudonyms:
    """Pseudonyms, dates and unique identifiers that agree within one run and mean nothing outside it.

    All come from a random key that lives in memory alone (HMAC-SHA256, RFC 2104): two runs give two sets, and nobody,
    not even the owner of the data, can go back from a pseudonym.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def patient(self, identity: str) -> str:
        """The pseudonym of a patient: the same for the same id, surrounding blanks apart."""
        return f"anon-{self._digest('patient', identity.strip()).hex()[:12]}"

    def days(self, identity: str) -> int:
        """By how many days a patient's dates move back: 1 to 3650, the same for all dates of the patient."""
        return 1 + int.from_bytes(self._digest("days", identity.strip())[:8]) % _LONGEST_SHIFT

    def uid(self, uid: str) -> str:
        """A DICOM unique identifier in place of another, under the root 2.25 that tells no owner (PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid.strip())[:16])}"

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(errors="surrogateescape"), hashlib.sha256)
