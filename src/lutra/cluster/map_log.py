"""A cluster's map as numbered objects: every node reads the newest, and any may put the next one."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lutra.cluster.lease_records import LEASES
from lutra.cluster.map import ClusterMap
from lutra.cluster.map_codec import decode_map, encode_map
from lutra.model.errors import Corruption, ObjectMissing, ServerBusy, StorageFailure
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

FOLDER: Final = "map"
KEPT: Final = 32
"""So many of the newest maps are never deleted (`ManifestLog.claim`)."""

_FORGET_EVERY: Final = 8
_READ_TRIES: Final = 5
_CHANGE_TRIES: Final = 64
_CLAIMANT_BYTES: Final = 16


class MapLog:
    """The maps of one cluster, below ``map/`` in its store. Thread-safe; changes of one process take turns."""

    def __init__(self, store: ObjectStore, token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """Reads nothing yet. ``token_bytes`` gives so many random bytes, no two times the same."""
        self._store = store
        self._log = ManifestLog(store, FOLDER)
        self._is_new = False
        self._token_bytes = token_bytes
        self._changing = threading.Lock()
        self.known = ClusterMap()
        """The newest that was seen: no request."""

    def newest(self) -> ClusterMap:
        """The newest map, of version 0 where there is none yet: one list, and one get where it is another.

        Raises StorageFailure, and Corruption where it is not what was written, or there was one once.
        """
        for _ in range(_READ_TRIES):
            numbers = self._log.numbers()
            if not numbers and not self.known.version:
                self._require_none_was()
            if not numbers or numbers[-1] <= self.known.version:
                return self.known
            try:
                found = decode_map(self._log.read(numbers[-1]).payload)
            except ObjectMissing:  # as many as are kept have been made since
                continue
            if found.version != numbers[-1]:
                raise Corruption(f"{self._log.name(numbers[-1])}: this is the map of version {found.version}")
            return self._see(found)
        raise StorageFailure(f"the newest map was gone {_READ_TRIES} times before it was read")

    def _require_none_was(self) -> None:
        """A cluster that has lost its map is not to be taken for a new one. Raises Corruption."""
        if self._is_new:
            return
        # By what the map has made: where another makes the first at this moment, it is there before.
        if self._store.list(LEASES) and not self._log.numbers():
            raise Corruption(
                f"the cluster has lost its map: there are leases of partitions, and nothing below {FOLDER}/. Restore "
                "that from a backup, or from older versions of its objects; to begin anew, with no rows at all, begin "
                "at another place"
            )
        self._is_new = True

    def change(self, changed: Callable[[ClusterMap], ClusterMap]) -> ClusterMap:
        """Makes ``changed(newest)`` the newest map and returns it; that is its argument where nothing is to change.

        Where another is faster, ``changed`` is called again with what that one made. Raises what it raises, ServerBusy
        where others are faster many times, and StorageFailure where it is not known whether the change was made.
        """
        with self._changing:
            for _ in range(_CHANGE_TRIES):
                old = self.newest()
                new = changed(old)
                if new is old:
                    return old
                new = replace(new, version=old.version + 1)
                if self._log.claim(new.version, encode_map(new), self._token_bytes(_CLAIMANT_BYTES), KEPT):
                    if new.version % _FORGET_EVERY == 0:
                        self._log.forget(new.version - KEPT + 1)
                    return self._see(new)
        raise ServerBusy("the cluster's map is being changed by others")

    def _see(self, found: ClusterMap) -> ClusterMap:
        """Threads that read at the same time may come in any order."""
        if found.version > self.known.version:
            self.known = found
        return self.known
