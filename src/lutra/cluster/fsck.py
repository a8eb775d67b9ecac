"""Whether a cluster that nobody serves is what it should be: its map, and each partition as a data directory is."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import Final, Self

from lutra.cluster.fsck_indexes import GlobalIndexCheck
from lutra.cluster.host import PARTITIONS, ROWS, local_schema, place_of, rows_address
from lutra.cluster.lease_records import NODES
from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState, TableEntry, index_tables
from lutra.cluster.map_log import MapLog
from lutra.cluster.node_lease import MARGIN_S, TTL_S
from lutra.cluster.partition_leases import PartitionLeases
from lutra.cluster.splits.ranges import bounds_of, hidden_ranges
from lutra.cluster.status import node_records
from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.check.fsck import Remedy
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.instance.fsck import Fault, OnProgress, StoreCheck
from lutra.kv.slatedb.reader import SlateReader
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import Corruption, DirectoryInUse, StorageFailure
from lutra.model.schema import IndexKind, SecondaryIndex
from lutra.objects.store import ObjectStore
from lutra.tables.space import TableSpace

_INDEX_FAULTS_MAX: Final = 100
"""Of one global index: where nothing is right, as many say so as all of them."""


class StoppedPartition:
    """A partition that no node has open, to be looked at: nothing is taken over, and nothing changed.

    A context manager. Raises StorageFailure where there is none, Corruption.
    """

    def __init__(self, root: str, entry: PartitionEntry, table: TableEntry, objects: ObjectStore, clock: Clock) -> None:
        """``root``: where the cluster is, and ``objects`` its store."""
        self.entry = entry
        self.clock = clock
        self._objects = objects
        self.store = SlateReader(rows_address(root, entry.id))
        try:
            self.store.hide(hidden_ranges(entry, self.store))
            self.space = TableSpace(self.store, clock, bounds=bounds_of(entry, table.schema))
            self.indexes = IndexCatalog(self.store, clock)
        except BaseException:
            self.store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()

    def instance_names(self) -> list[str]:
        """Of its one table."""
        return self.space.instance_names()

    def definitions(self) -> list[IndexDefinition]:
        """All search indexes, by name."""
        return sorted(self.indexes.all(), key=lambda of: (of.instance, of.table, of.name))

    def storage(self, of: IndexDefinition) -> IndexStorage:
        """The objects of an index; some of them are in the places of partitions whose rows it took over."""
        return IndexStorage(self._objects, place_of(self.entry.id) + prefix_of(of))

    def provenance(self, of: IndexDefinition) -> Provenance:
        """Whether what is found of an index is of its table's past."""
        return Provenance(self.space.changelog, of.table_id)


class ClusterCheck:
    """A check of all that a stopped cluster has."""

    def __init__(
        self, root: str, store: ObjectStore, on_progress: OnProgress | None = None, clock: Clock | None = None
    ) -> None:
        """``root``: where the cluster is, as `lutra.cluster.host.PartitionHost` takes it, and ``store`` its store."""
        self.faults: list[Fault] = []
        self.notes: list[str] = []
        """What is as it may be, but good to know."""
        self.left_behind: list[str] = []
        """Objects that nothing names: what a crash left. They are deleted when the cluster runs."""
        self.tables = self.rows = self.indexes = self.segments = self.segment_bytes = self.partitions = 0
        """That were looked at."""
        self._root, self._store = root, store
        self._report = on_progress
        self._clock = clock or SystemClock()

    def run(self) -> None:
        """Reads all there is. Raises DirectoryInUse where a node is alive, StorageFailure, and Corruption for a
        damaged map, or one in which the partitions of a table are not all of its keys."""
        require_stopped(self._store)
        known = MapLog(self._store).newest()
        self.tables = len(known.tables)
        for table in sorted(known.tables, key=lambda table: (table.instance, table.name)):
            for each in (table, *index_tables(table)):
                for entry in known.partitions_of(each.uid):
                    self._check(entry, each)
            for index in table.schema.indexes:
                if index.kind is IndexKind.GLOBAL:
                    self._check_global(known, table, index)
        self._look_beside(known)

    def _check_global(self, known: ClusterMap, table: TableEntry, index: SecondaryIndex) -> None:
        self.indexes += 1
        check = GlobalIndexCheck(known, table, index, self._opened)
        try:
            faults = check.faults()
            found = list(islice(faults, _INDEX_FAULTS_MAX))
            if next(faults, None) is not None:
                found.append("more rows are not as they should be")
        except (Corruption, StorageFailure) as error:
            found = [str(error)]
        self.faults += [
            Fault(table.instance, table.name, index.name, index.name, text, Remedy.RECREATE) for text in found
        ]
        if not check.is_filled:
            self.notes.append(f"secondary index [{index.name}] of table [{table.name}] is not filled yet")

    def _opened(self, entry: PartitionEntry, table: TableEntry) -> Iterator[TableSpace]:
        if self._store.list(f"{ROWS}/{entry.id}"):
            with StoppedPartition(self._root, entry, table, self._store, self._clock) as partition:
                yield partition.space

    def _check(self, entry: PartitionEntry, table: TableEntry) -> None:
        place = f"partition {entry.id}"
        self.partitions += 1
        if not self._store.list(f"{ROWS}/{entry.id}"):
            if PartitionLeases(self._store, secrets.token_bytes).epoch(entry.id):
                self.faults.append(_fault(table, place, "its rows are gone: nothing is left of its key-value store"))
            else:
                self.notes.append(f"{place} of table [{table.name}] was never opened: it is empty")
            return
        try:
            with StoppedPartition(self._root, entry, table, self._store, self._clock) as partition:
                check = StoreCheck(partition, self._report)
                check.run()
                self._add(place, check)
                self.faults += [_fault(table, place, text, Remedy.START) for text in _differences(partition, table)]
        except (Corruption, StorageFailure) as error:
            self.faults.append(_fault(table, place, str(error)))

    def _add(self, place: str, check: StoreCheck) -> None:
        self.faults += [
            Fault(fault.instance, fault.table, fault.index, f"{place}, {fault.place}", fault.text, fault.remedy)
            for fault in check.faults
        ]
        self.notes += [f"{place}: {note}" for note in check.notes]
        self.left_behind += check.left_behind
        self.rows += check.rows
        self.indexes += check.indexes
        self.segments += check.segments
        self.segment_bytes += check.segment_bytes

    def _look_beside(self, known: ClusterMap) -> None:
        """What is there of partitions that the map does not name. Nobody deletes it: it may be of a map that was lost,
        and another brought back in its place."""
        named = {entry.id for entry in known.partitions}
        beside = [
            name
            for folder in (ROWS, PARTITIONS)
            for name in self._store.list(folder)
            if name.split("/")[1] not in named
        ]
        if beside:
            partitions = {name.split("/")[1] for name in beside}
            self.notes.append(
                f"{len(beside):,} objects of {len(partitions):,} partitions that the map does not name, which no node "
                f"reads or deletes ({beside[0]} for one)"
            )
        waiting = sum(entry.state is PartitionState.RETIRED for entry in known.partitions)
        if waiting:
            self.notes.append(f"{waiting:,} partitions that were split are kept for what others need of them")


def require_stopped(store: ObjectStore, wait: Callable[[float], None] = time.sleep) -> None:
    """Returns where no node is alive; looks for some seconds where one did not say that it left.

    Raises DirectoryInUse, StorageFailure.
    """
    records = node_records(store)
    unsure = [name for name, record in records.items() if not record.state.is_over]
    if not unsure:
        return
    before = set(store.list(NODES))
    wait(max([TTL_S, *(records[name].ttl_s for name in unsure)]) + MARGIN_S)
    for name in set(store.list(NODES)) - before:
        node = name.split("/")[1]
        raise DirectoryInUse(f"the cluster is running: node {node} is alive. Stop it first: lutra cluster down")


def _differences(partition: StoppedPartition, table: TableEntry) -> Iterator[str]:
    """What is not as the map says; whoever opens the partition makes it so."""
    tables = partition.space.instance(table.instance)
    names = tables.names()
    if names != [table.name]:
        yield f"it has tables {names}, and not [{table.name}]"
        return
    schema = tables.describe(table.name).schema
    wanted = local_schema(table.schema)
    if (schema.key, schema.defined, schema.options) != (wanted.key, wanted.defined, wanted.options):
        yield f"its table [{table.name}] is of another schema than the map has"
    has, wants = {of.name for of in partition.definitions()}, {index.name for index in table.indexes}
    if has != wants:
        yield f"it has search indexes {sorted(has)}, and the map {sorted(wants)}"


def _fault(table: TableEntry, place: str, text: str, remedy: Remedy = Remedy.RESTORE) -> Fault:
    return Fault(table.instance, table.name, "", place, text, remedy)


def check_cluster(root: str, store: ObjectStore) -> list[Fault]:
    """All that is wrong with a stopped cluster. Raises as `ClusterCheck.run`."""
    check = ClusterCheck(root, store)
    check.run()
    return check.faults
