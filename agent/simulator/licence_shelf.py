"""The licences that the platform holds (annex E.1), in memory: none is larger than 2 MB."""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass

from agent.simulator.refusal import Refusal, ResultCode

LICENCE_BYTES_MAXIMUM = 2 * 1024 * 1024
_LICENCES_MAXIMUM = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedLicence:
    """Is one licence file with the number that the platform gave it."""

    licence_id: int
    provider: str
    content: bytes

    @property
    def etag(self) -> str:
        """Return the ETag of the file."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class LicenceShelf:
    """Holds licences by their numbers; safe in every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._licences: dict[int, ShelvedLicence] = {}

    def add(self, content: bytes, *, provider: str) -> ShelvedLicence:
        """Shelve a licence.

        Raises:
            Refusal: it is larger than table E.1 allows, or there are too many.
        """
        if len(content) > LICENCE_BYTES_MAXIMUM:
            raise Refusal(
                "table E.1 row 4, File: a licence has at most 2 MB", code=ResultCode.TOO_LARGE
            )
        with self._lock:
            if len(self._licences) >= _LICENCES_MAXIMUM:
                raise Refusal(
                    f"the platform holds {_LICENCES_MAXIMUM} licences, which is all it takes",
                    code=ResultCode.PLATFORM_FULL,
                )
            licence = ShelvedLicence(licence_id=next(self._ids), provider=provider, content=content)
            self._licences[licence.licence_id] = licence
            return licence

    def get(self, licence_id: str) -> ShelvedLicence:
        """Return a licence.

        Raises:
            Refusal: there is none of this number.
        """
        number = int(licence_id) if licence_id.isascii() and licence_id.isdigit() else 0
        with self._lock:
            licence = self._licences.get(number) if len(licence_id) <= 10 else None
        if licence is None:
            raise Refusal(
                f"the platform has no licence {licence_id[:20]!r}",
                code=ResultCode.UNKNOWN_LICENCE,
            )
        return licence

    def licences(self) -> list[ShelvedLicence]:
        """Return every licence, in the order of the numbers."""
        with self._lock:
            return list(self._licences.values())
