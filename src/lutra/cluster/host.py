"""The partitions that this node owns: opened, made what the map says, answered from, and let go."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from lutra.cluster.calls import Calls
from lutra.cluster.errors import Moved
from lutra.cluster.map import PartitionEntry, TableEntry
from lutra.cluster.outgoing import OutgoingIndexes, SendRows
from lutra.cluster.splits.ranges import bounds_of, hidden_ranges
from lutra.index.lsm.resources import Resources
from lutra.instance.index_changes import WantedIndex
from lutra.instance.instance import Instance
from lutra.instance.partition import Partition
from lutra.instance.recall_sampler import RecallSampler
from lutra.kv.slatedb.settings import SlateSettings
from lutra.kv.slatedb.store import SlateStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import LutraError, PartitionUnopened
from lutra.model.schema import IndexKind, TableSchema
from lutra.tables.incomingindex import IncomingRows, IndexRow
from lutra.tables.keys import KeyCodec

ROWS: Final = "rows"
PARTITIONS: Final = "partitions"
"""The folders of the cluster's store with what partitions have: `rows_address` and `place_of` of each."""
_MIB: Final = 1024 * 1024
_DRAIN_S: Final = 10.0
"""Calls under way get so long to end, before the partition goes from under them."""
_OPENING_S: Final = 60.0
_LOOK_S: Final = 0.02
_ROWS: Final = SlateSettings(block_cache_bytes=16 * _MIB, write_buffer_bytes=8 * _MIB)
"""Of one partition, which takes that much only where so much is read or written."""
_BUSY_PARTITIONS: Final = 4
"""That are read or written much at one time: each may take a part in so many of what rows have."""
_ROWS_BYTES: Final = (4 * _MIB, 48 * _MIB)

_log = logging.getLogger(__name__)


Sureness = Callable[[], Callable[[], bool]]
"""Gives what tells, at any time, whether the lease that the node had when it was asked surely holds."""


class OwnedPartition:
    """A partition that this node has open, as its owner in one epoch. Thread-safe.

    Whatever is answered from it is answered within `reading` or `writing`.
    """

    def __init__(
        self,
        entry: PartitionEntry,
        table: TableEntry,
        epoch: int,
        partition: Partition,
        rows: SlateStore,
        is_sure: Callable[[], bool],
        send: SendRows | None = None,
    ) -> None:
        """``send``: as `PartitionHost.send_index_rows`."""
        self.entry = entry
        self.table = table
        """As it was last made to be (`reconcile`)."""
        self.keys = KeyCodec(b"", table.schema.key)
        """Of its table, whose key never changes: as its entry's bounds are encoded."""
        self.epoch = epoch
        self.partition = partition
        self.instance = Instance(table.instance, partition)
        """Which has its one table."""
        self.rows = rows
        """The partition's store."""
        self.calls = Calls(self.check)
        """Those under way. Splits and handovers pause them."""
        self.outgoing = OutgoingIndexes(partition, self.instance.tables, send and partial(self._send, send))
        """Global secondary indexes of its table: what they list is sent to where it belongs."""
        self.incoming: IncomingRows | None = None
        """Where its table is such an index: what is sent of it."""
        self.is_sure = is_sure
        """Whether the lease of this node by which it was opened surely holds: not another that the node got since."""
        self.is_answering = False
        """Whether anybody is answered from it yet."""
        self._reconciling = threading.Lock()

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def is_closed(self) -> bool:
        """Whether it is being let go."""
        return self.calls.is_closed

    def check(self) -> None:
        """Raises Moved unless the partition's lease is surely held, and it is not being let go."""
        if self.calls.is_closed or not self.is_sure():
            raise Moved(f"partition {self.entry.id} is not surely here")

    def reading(self) -> AbstractContextManager[None]:
        """Around a call that writes nothing. Raises Moved before it begins, or before what it found may leave: so what
        is told is no older than the lease."""
        return self.calls.reading()

    def writing(self) -> AbstractContextManager[None]:
        """Around a call that may write. Raises Moved before it begins; later, storage refuses what comes too late.

        Waits where writes are paused, and raises ServerBusy where that takes long, RequestTimeout.
        """
        return self.calls.writing()

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """What there is of tables and indexes stays within."""
        with self._reconciling:
            yield

    def _send(self, send: SendRows, index_uid: int, rows: Sequence[IndexRow]) -> None:
        """Nothing is sent but by its owner: what is sent after all is older than what the next one sends.

        And nothing before it is answered from: it may be dropped, and then whose place it was to take goes on sending.
        """
        self.check()
        if not self.is_answering:
            raise Moved(f"partition {self.id} is not answered from yet")
        send(index_uid, rows)

    def reopen(self) -> None:
        """Begins to follow its table by the indexes that it has. Once, before anybody writes."""
        self.instance.reopen_secondary_indexes()  # first: what they need of the changes is trimmed by nobody then
        deleted = self.partition.indexes.deleted()
        for definition in self.partition.indexes.all():
            self.instance.reopen_index(definition)
        tables = self.instance.tables
        self.partition.feeder.hurry(tables.describe(name).table_id for name in tables.names())
        self.partition.sweep(deleted)

    def reconcile(self, table: TableEntry) -> None:
        """Makes its table, and the indexes of that, what the map says. Of an older version of the table does nothing.

        Raises StorageFailure, Fenced, and what does not go with what is there.
        """
        with self._reconciling:
            if table.version < self.table.version:
                return
            wanted = [
                WantedIndex(index.name, index.uid, index.schema, index.source, index.weight) for index in table.indexes
            ]
            self.instance.reconcile(replace(table.description, schema=local_schema(table.schema)), wanted)
            self.outgoing.reconcile(table.schema)
            if table.is_index and self.incoming is None:
                table_id = self.instance.tables.describe(table.name).table_id
                self.incoming = self.partition.space.incoming_rows(table_id)
                self.partition.feeder.regularly(self.incoming.sweep)
            self.table = table

    def close(self, drain_s: float = _DRAIN_S) -> None:
        """Begins no call any more, waits for those under way, and lets go of all that is open.

        Nothing is acknowledged after it. What fails is logged: whoever opens the partition next goes by storage alone.
        """
        self.calls.close()
        if self.instance.recall is not None:
            self.instance.recall.forget_partition(self.id)
        if not self.calls.drain(drain_s):
            _log.warning("partition %s is closed with %d calls under way", self.id, self.calls.under_way)
        for end in (self.partition.stop, self.partition.close):
            try:
                end()
            except LutraError as error:
                _log.warning("partition %s could not be closed cleanly: %s", self.id, error)


def place_of(partition_id: str) -> str:
    """The folder of the cluster's store in which a partition's search indexes have their objects."""
    return f"{PARTITIONS}/{partition_id}/"


def rows_address(root: str, partition_id: str) -> str:
    """Of a partition's key-value store. ``root``: where the cluster is, as `PartitionHost` takes it."""
    return f"{root.rstrip('/')}/{ROWS}/{partition_id}"


def local_schema(schema: TableSchema) -> TableSchema:
    """What one partition has of a table: global secondary indexes are partitioned tables of their own."""
    return replace(schema, indexes=tuple(index for index in schema.indexes if index.kind is IndexKind.LOCAL))


class PartitionHost:
    """The partitions of one node. Thread-safe; several may be opened and closed at once, each by one thread."""

    def __init__(
        self,
        root: str,
        resources: Resources,
        sureness: Sureness,
        clock: Clock | None = None,
        settle: Callable[[str], None] = lambda partition_id: None,
        rows_bytes: int | None = None,
        recall: RecallSampler | None = None,
    ) -> None:
        """
        :param root: where the cluster is: a folder, or ``s3://bucket/prefix``.
        :param resources: what all partitions share; its ``store`` and ``address`` are the cluster's root.
        :param sureness: of the lease that this node has when a partition is opened.
        :param settle: is called with the id of a partition that has been opened, before anything is answered from it,
            and raises where it is not to be (`lutra.cluster.splits.splitting.settle`).
        :param rows_bytes: of memory, for the rows of all partitions; None: as much for each as it can use.
        :param recall: is told of searches for neighbours.
        """
        self._recall = recall
        self._rows_settings = _ROWS
        if rows_bytes is not None:
            least, most = _ROWS_BYTES
            self._rows_settings = SlateSettings.within(max(least, min(most, rows_bytes // _BUSY_PARTITIONS)))
        self._root = root.rstrip("/")
        self._resources = resources
        self._sureness = sureness
        self._clock = clock or SystemClock()
        self._settle = settle
        self._lock = threading.Lock()
        self._owned: dict[str, OwnedPartition] = {}
        self.send_index_rows: SendRows | None = None
        """Has rows of a global secondary index, by its uid, stored where they belong; None: there is nobody to ask."""
        self.refusal_of: Callable[[str], PartitionUnopened | None] = lambda partition_id: None
        """What to raise of a partition that is this node's, and cannot be opened; None: it may be elsewhere."""
        self.openings = 0
        """So many have been opened. To look at."""
        self.opening_s = 0.0
        """What that took, all together."""

    def open(self, entry: PartitionEntry, table: TableEntry, epoch: int) -> OwnedPartition:
        """Opens a partition, which fences whoever had it, and makes its table what the map says.

        One that is open here already is let go first. Raises StorageFailure, Fenced where another has taken it over
        meanwhile, Corruption; nothing is left open then.
        """
        self.close(entry.id)
        began_s = time.monotonic()
        owned = self.prepare(entry, table, epoch)
        try:
            self._settle(entry.id)
        except BaseException:
            owned.close(drain_s=0)
            raise
        owned.is_answering = True
        took_s = time.monotonic() - began_s
        with self._lock:
            self._owned[entry.id] = owned
            self.openings += 1
            self.opening_s += took_s
        _log.info("took over partition %s of table %s, epoch %d, in %.2f s", entry.id, table.name, epoch, took_s)
        return owned

    def prepare(
        self, entry: PartitionEntry, table: TableEntry, epoch: int, is_sure: Callable[[], bool] | None = None
    ) -> OwnedPartition:
        """As `open`, but for now nothing is answered from it (`exchange`).

        ``is_sure``: as of an `OwnedPartition`, where that is to be by an earlier lease than the newest.
        """
        is_sure = is_sure or self._sureness()
        rows = SlateStore(self.rows_address(entry.id), settings=self._rows_settings)
        try:
            rows.hide(hidden_ranges(entry, rows))
            # In the one store of all: its indexes may have segments of those whose rows it took over.
            resources = replace(self._resources, place=place_of(entry.id))
            known_as = Path(self._root, resources.place)
            partition = Partition(rows, known_as, resources, self._clock, bounds_of(entry, table.schema))
        except BaseException:
            rows.close()
            raise
        owned = OwnedPartition(entry, table, epoch, partition, rows, is_sure, self.send_index_rows)
        owned.instance.recall, owned.instance.partition_id = self._recall, entry.id
        try:
            owned.reopen()
            owned.reconcile(table)
        except BaseException:
            owned.close(drain_s=0)
            raise
        return owned

    def exchange(self, gone: OwnedPartition, come: Sequence[OwnedPartition]) -> None:
        """From now on it is answered from what was prepared to take the place of a partition, and not from that.

        Which is closed by a thread of its own: calls under way end first, and the others' indexes are open by then.
        """
        with self._lock:
            self._owned.pop(gone.id, None)
            self._owned.update((owned.id, owned) for owned in come)
        for owned in come:
            owned.is_answering = True
        gone.calls.close()

        def retire() -> None:
            # What is open of its segments need not be read again by who goes on with them.
            until_s = time.monotonic() + _OPENING_S
            feeds = [feed for owned in come for feed in owned.instance.index_feeds()]
            while not all(feed.index.is_open or feed.has_ended() for feed in feeds) and time.monotonic() < until_s:
                time.sleep(_LOOK_S)
            gone.close()

        threading.Thread(target=retire, name=f"lutra-retire-{gone.id}", daemon=True).start()

    def rows_address(self, partition_id: str) -> str:
        """Of a partition's key-value store."""
        return rows_address(self._root, partition_id)

    def close(self, partition_id: str) -> None:
        """Lets a partition go; does nothing where it is not here. Nothing of it is acknowledged after this.

        Where this node is sure of itself, all that was acknowledged is put where who opens it next reads it quickly.
        Where it is not, nothing is waited for: the store may be out of reach, and the partition another's already.
        """
        with self._lock:
            owned = self._owned.get(partition_id)
        if owned is None:
            return
        owned.calls.close()
        if owned.is_sure():
            owned.close()
            _log.info("let go of partition %s, epoch %d", partition_id, owned.epoch)
        else:
            owned.rows.abandon(f"partition {partition_id} is not surely here any more")
            threading.Thread(target=owned.close, args=(0,), name=f"lutra-abandon-{partition_id}", daemon=True).start()
            _log.warning(
                "abandoned partition %s, epoch %d: the node is not sure of its lease", partition_id, owned.epoch
            )
        with self._lock:
            if self._owned.get(partition_id) is owned:
                del self._owned[partition_id]

    def get(self, partition_id: str) -> OwnedPartition:
        """Raises Moved where the partition is not open here, or not surely this node's; PartitionUnopened where it is
        this node's, and waiting for it would be of no use."""
        owned = self._owned.get(partition_id)
        if owned is None:
            raise self.refusal_of(partition_id) or Moved(f"partition {partition_id} is not here")
        owned.check()
        return owned

    def owned(self) -> list[OwnedPartition]:
        """Those that are open, by id."""
        with self._lock:
            return [self._owned[partition_id] for partition_id in sorted(self._owned)]

    def broken(self) -> list[str]:
        """Ids of those that cannot go on as they are, by their stores: fenced, or not sure of what the last commit came
        to. To be opened again, they are to be owned again."""
        return [owned.id for owned in self.owned() if owned.rows.refusal is not None]

    def close_all(self) -> None:
        """Lets all go, several at a time."""
        threads = [threading.Thread(target=self.close, args=(owned.id,), daemon=True) for owned in self.owned()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
