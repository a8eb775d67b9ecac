"""A page of a range over the partitions that have it, one after the other, in either direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lutra.cluster.gateway.names import Names, Routed
from lutra.cluster.gateway.router import Router
from lutra.cluster.map import ClusterMap, PartitionEntry
from lutra.model.rows import KeyInput, RangeRequest, RangeResult, Row
from lutra.model.values import INF_MIN
from lutra.tables.pages import NEW_PAGE, PageSoFar


def read_range(router: Router, names: Names, instance: str, name: str, request: RangeRequest) -> RangeResult:
    """The page that one machine would give: also its end, and what it consumes. Raises what an owner says."""
    walk = _Walk(names, instance, name, request)
    while True:
        entry, (result, so_far) = router.on_found(walk.find, "read_range")
        walk.rows += result.rows
        if result.next_start is not None or walk.is_last(entry):
            return RangeResult(walk.rows, result.consumed, result.next_start)
        walk.go_on(entry, so_far)


class _Walk:
    """Where it has come to is a key, not a partition: that may be split in the meantime."""

    def __init__(self, names: Names, instance: str, name: str, request: RangeRequest) -> None:
        self._names = names
        self._instance = instance
        self._name = name
        self._request = request
        self._table: Routed | None = None
        self._at: bytes | None = None
        """None: behind all keys."""
        self._has_begun = False
        self._so_far: PageSoFar = NEW_PAGE
        self.rows: list[Row] = []

    def find(self, known: ClusterMap) -> tuple[PartitionEntry, Sequence[Any]]:
        """Whom to ask next, and what."""
        if not self._has_begun:  # later it is this table, whatever another is called then
            self._table = self._names.readable(known, self._instance, self._name)
            self._at = self._table.route_bound(self._request.start)
        return self._partition(known), (self._name, self._request, self._so_far)

    def go_on(self, behind: PartitionEntry, so_far: PageSoFar) -> None:
        """A partition has given all that it has of the range."""
        self._at = behind.begin if self._request.backward else behind.end
        self._has_begun = True
        self._so_far = so_far

    def is_last(self, entry: PartitionEntry) -> bool:
        """Whether nothing of the range lies beyond a partition."""
        assert self._table is not None
        end = self._table.route_bound(self._request.end)
        if self._request.backward:
            return not entry.begin or (end is not None and entry.begin <= end)
        if entry.end is None:
            return True
        return end is not None and (entry.end > end if _reaches_into(self._request.end) else entry.end >= end)

    def _partition(self, known: ClusterMap) -> PartitionEntry:
        assert self._table is not None
        if self._at is None or (self._request.backward and self._has_begun):
            return known.partition_before(self._table.uid, self._at)
        return known.partition_of(self._table.uid, self._at)


def _reaches_into(end: KeyInput) -> bool:
    """Whether a range that goes up to ``end`` may have rows of its partition key."""
    return len(end) > 1 and end[1][1] is not INF_MIN
