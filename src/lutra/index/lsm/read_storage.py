"""The objects of one index, for who only reads: what is opened is what goes with one state of the table."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

from lutra.index.lsm.manifest import Manifest
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import ObjectMissing, Outdated
from lutra.objects.store import ObjectStore

_TRIES: Final = 5
_KEPT: Final = 2
"""So many manifests keep their objects: the newest, and the one before it."""

Opened = TypeVar("Opened")


class Look(Enum):
    """At a table and its index, one after the other, while somebody may write both."""

    FIRST = "first"
    """There can be another, at a newer table."""
    LAST = "last"
    """There is to be none: where no manifest goes with the table, the index is taken for empty."""
    STILL = "still"
    """The same, as nobody has written between the look before and this one."""


class ReadStorage(IndexStorage):
    """Puts and deletes nothing. The table is at one moment, and who writes the index goes on meanwhile."""

    def __init__(self, store: ObjectStore, prefix: str, provenance: Provenance) -> None:
        super().__init__(store, prefix, provenance)
        self._of_past = provenance
        self.look = Look.FIRST

    def take_over(self, first: Manifest, opened_of: Callable[[Manifest], Opened]) -> tuple[Manifest, Opened]:
        """The newest manifest that the table, as it is read, can go on from, and what ``opened_of`` makes of it.

        ``first`` where there is none. Raises Outdated where there are only manifests that know of later changes, or may
        do so, and another `look` is to come; and what ``opened_of`` raises.
        """
        for tries_left in reversed(range(_TRIES)):
            numbers = self._log.numbers()
            why: str | None = None
            try:
                for number in reversed(numbers[-_KEPT:]):
                    manifest = Manifest.from_json(self._log.read(number).payload)
                    why = self._why_not(manifest)
                    if why is None:
                        self._number = number
                        return manifest, opened_of(manifest)
            except ObjectMissing:
                if tries_left and not self._is_newest(numbers[-1]):  # who writes it has gone on meanwhile
                    continue
                raise
            if not numbers or self.look is not Look.FIRST:
                return first, opened_of(first)
            raise Outdated(f"{self.prefix}: this index is of a later time: {why}. refresh() shows what there is now")
        raise AssertionError("the last try returns or raises")

    def _why_not(self, manifest: Manifest) -> str | None:
        """Why the table cannot go on from it; None where it can.

        Segments without the rows of later changes lack what these rows were: no reading of earlier changes brings it.
        """
        if self.look is not Look.STILL:
            if manifest.seen is None:
                return "it does not tell which changes it knows of"
            if manifest.seen > self._of_past.last_sequence:
                return f"it knows of changes up to {manifest.seen}"
        return self._of_past.why_not(manifest)

    def has_gone_on(self) -> bool:
        """Whether there are newer manifests than that which was opened last, or tried. Raises StorageFailure."""
        return max(self._log.numbers(), default=0) > self._number
