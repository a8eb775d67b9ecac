"""Whose objects a place holds, as the newest of numbered objects below ``owner/`` says: of two who claim it, one wins.

Every opening of a store puts one more. So a store that another has taken the place from, or whose copy has come to the
same place, finds out: the newest is not its own.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from lutra.model.errors import Corruption, Fenced, StorageFailure
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

OWNER: Final = "owner"
_FORMAT: Final = 1
_TRIES: Final = 5
_TIME_END_US: Final = 253_402_300_800_000_000
"""The year 10,000."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A store, in one of its openings. The rest helps people: no program goes by it."""

    store: str
    opening: str
    directory: str
    host: str
    time_us: int

    def __str__(self) -> str:
        opened = datetime.fromtimestamp(self.time_us / 1_000_000, UTC).isoformat(timespec="seconds")
        return f"store {self.store}, data directory {self.directory} on {self.host}, opened {opened}"

    def to_json(self) -> bytes:
        return json.dumps({"format": _FORMAT, **asdict(self)}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Owner:
        """Raises Corruption where ``data`` is not what `to_json` wrote, or of a format this version does not know."""
        try:
            stored = json.loads(data)
            if stored["format"] != _FORMAT:
                raise Corruption(f"an owner has format {stored['format']!r}; this version reads {_FORMAT}")
            owner = cls(**{name: stored[name] for name in cls.__slots__})
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"an owner cannot be read: {error!r}") from error
        if not all(isinstance(text, str) for text in (owner.store, owner.opening, owner.directory, owner.host)):
            raise Corruption("an owner cannot be read: it is no text")
        if type(owner.time_us) is not int or not 0 <= owner.time_us < _TIME_END_US:
            raise Corruption("an owner cannot be read: its time is none")
        return owner


def owner_of(store: ObjectStore, place: str = "") -> Owner | None:
    """Who has ``place``, a folder of the store with '/' at its end, or all of it; None where nobody does.

    A list and a get. Raises StorageFailure, Corruption.
    """
    newest = ManifestLog(store, place + OWNER).latest()
    return None if newest is None else Owner.from_json(newest.payload)


class Claim:
    """The right of one opening of a store to put and delete objects at a place. Thread-safe.

    Until it has the place it tries at every use: the place may be out of reach at first.
    """

    def __init__(
        self, store: ObjectStore, owner: Owner, judge: Callable[[Owner | None], None], place: str = ""
    ) -> None:
        """
        :param owner: who is to have the place.
        :param judge: is handed who has it, and raises where it may not be taken from them.
        :param place: as `owner_of` takes it.
        """
        self.owner = owner
        self._log = ManifestLog(store, place + OWNER)
        self._judge = judge
        self._lock = threading.Lock()
        self._number = 0

    def take(self) -> None:
        """Takes the place. Two lists, a get and a put, and deletes what earlier openings put.

        Raises what ``judge`` raises, StorageFailure, Corruption where what says who has it is damaged, and Fenced where
        others take it all the time.
        """
        with self._lock:
            self._take(self._judged)

    def seize(self) -> None:
        """Takes the place whoever has it, also where that cannot be read. Raises StorageFailure, Fenced."""
        with self._lock:
            self._take(self._newest)

    def require(self) -> None:
        """Raises Fenced where the place is another's by now. A list, as long as it is not.

        Where it is not taken yet, raises as `take`; but StorageFailure where what says who has it is damaged.
        """
        try:
            self._require()
        except Corruption as error:
            raise StorageFailure(
                f"whose these objects are cannot be told: {str(error).removesuffix('.')}. With the server stopped, "
                "`lutra objects adopt` writes it anew."
            ) from error

    def _require(self) -> None:
        if self._number and self._newest() == self._number:  # without the lock: one that waits holds up no other
            return
        with self._lock:
            if not self._number:
                self._take(self._judged)
                return
            newest = self._newest()
            if newest == self._number:
                return
            if not newest:  # all objects were deleted
                self._take(self._judged)
                return
            by = Owner.from_json(self._log.read(newest).payload)
            if (by.store, by.opening) == (self.owner.store, self.owner.opening):
                self._number = newest
                return
            who = "a copy of this data directory" if by.store == self.owner.store else "another store"
            raise Fenced(f"{self._log.name(newest)}: {who} has taken the place of these objects: {by}")

    def _newest(self) -> int:
        return max(self._log.numbers(), default=0)

    def _judged(self) -> int:
        """The number of the newest claim, once it may be followed by this one."""
        latest = self._log.latest()
        owner = None if latest is None else Owner.from_json(latest.payload)
        if owner is None or owner.opening != self.owner.opening:  # a put that seemed to fail may have happened
            self._judge(owner)
        return 0 if latest is None else latest.number

    def _take(self, number_before: Callable[[], int]) -> None:
        for tries_left in reversed(range(_TRIES)):
            before = number_before()
            try:
                self._number = self._log.commit(before + 1, self.owner.to_json())
            except Fenced:  # another has taken it meanwhile
                if not tries_left:
                    raise
            else:
                with contextlib.suppress(StorageFailure):  # the newest counts, and the next to take it tidies up
                    self._log.forget(self._number)
                return
