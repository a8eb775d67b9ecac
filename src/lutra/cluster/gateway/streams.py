"""The streams of one instance of a cluster: a partition is a shard, and what it is split into names it as a parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lutra.cluster.gateway.lineage import Lineage
from lutra.cluster.gateway.names import Names
from lutra.cluster.gateway.router import Router
from lutra.cluster.map import PARTITION_ID_BYTES, ClusterMap, PartitionEntry, TableEntry
from lutra.model.errors import ObjectNotExist, TrimmedDataAccess
from lutra.model.streams import StreamDescription, StreamIterator, StreamPage, table_of


class GatewayStreams:
    """Thread-safe. Errors are those of `lutra.tables.stream_log`.

    An iterator's ``table_id`` is its partition's id, as a number.
    """

    def __init__(self, instance: str, router: Router, names: Names) -> None:
        self._instance = instance
        self._router = router
        self._names = names
        self._lineages: tuple[int, dict[int, Lineage]] = (-1, {})
        """By table, of the map of that version."""

    def of_tables(self, table: str | None = None) -> list[StreamDescription]:
        """As `StreamLog.of_tables`."""
        known = self._router.maps.read()
        tables = known.tables_of(self._instance) if table is None else [self._names.table(self._instance, table)]
        return [self._lineage(known, one).description() for one in tables if one.schema.stream is not None]

    def describe(self, stream_id: str) -> StreamDescription:
        """As `StreamLog.describe`."""
        known = self._router.maps.read()
        return self._lineage(known, self._table(known, stream_id)).description()

    def iterator(self, stream_id: str, shard_id: str, since_us: int | None) -> StreamIterator:
        """As `StreamLog.iterator`."""
        known = self._router.maps.read()
        table = self._table(known, stream_id)
        shard = self._lineage(known, table).of_shard(shard_id)
        if shard is None:
            raise ObjectNotExist(f"Requested shard does not exist: '{shard_id}'.")
        created_us = table.description.stream_created_us

        def find(known: ClusterMap) -> tuple[PartitionEntry, Sequence[Any]]:
            entry, _ = self._reader(known, shard.id, created_us)
            return entry, (created_us, since_us, shard.since_us)

        _, place = self._router.on_found(find, "begin_stream")
        return StreamIterator(int(shard.id, 16), created_us, place)

    def read(self, at: StreamIterator, limit: int, bytes_max: int) -> StreamPage:
        """As `StreamLog.read`."""
        partition_id = f"{at.table_id:0{2 * PARTITION_ID_BYTES}x}"
        if self._router.maps.known.partition(partition_id) is None:
            self._router.maps.read()

        def find(known: ClusterMap) -> tuple[PartitionEntry, Sequence[Any]]:
            entry, until_us = self._reader(known, partition_id, at.created_us)
            return entry, (at.created_us, at.place, limit, bytes_max, until_us)

        _, page = self._router.on_found(find, "read_stream")
        following = None if page.next is None else replace(page.next, table_id=at.table_id)
        return StreamPage(page.records, following, page.has_more, page.size_bytes)

    def _reader(self, known: ClusterMap, partition_id: str, created_us: int) -> tuple[PartitionEntry, int | None]:
        """Which partition has the records of a shard, and when it ended. Raises TrimmedDataAccess."""
        partition = known.partition(partition_id)
        table = None if partition is None else known.table_of(partition)
        if partition is None or table is None or table.instance != self._instance:
            raise TrimmedDataAccess
        if table.schema.stream is None or table.description.stream_created_us != created_us:
            raise TrimmedDataAccess
        lineage = self._lineage(known, table)
        entry = lineage.reader(partition)
        if entry is None:
            raise TrimmedDataAccess
        return entry, lineage.end_us(partition)

    def _lineage(self, known: ClusterMap, table: TableEntry) -> Lineage:
        """Which is worked out from all partitions of the map."""
        version, lineages = self._lineages
        if version != known.version:
            lineages = {}
            self._lineages = known.version, lineages
        found = lineages.get(table.uid)
        if found is None:
            found = lineages[table.uid] = Lineage(known, table)
        return found

    def _table(self, known: ClusterMap, stream_id: str) -> TableEntry:
        name = table_of(stream_id)
        if name is not None and known.has_table(self._instance, name):
            table = known.table(self._instance, name)
            if table.description.stream_id == stream_id:
                return table
        raise ObjectNotExist("Requested stream does not exist.")
