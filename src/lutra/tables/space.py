"""The tables of all instances over one store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lutra.kv.store import KeyValueStore, Reader
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import ObjectNotExist
from lutra.model.schema import SecondaryIndex, TableDescription
from lutra.tables.bounds import EVERYWHERE, KeyBounds
from lutra.tables.catalog import Catalog
from lutra.tables.changelog import Changelog
from lutra.tables.committer import GroupCommitter
from lutra.tables.incomingindex import IncomingRows
from lutra.tables.indexcheck import IndexCheck
from lutra.tables.indexrows import IndexRows
from lutra.tables.indexwriter import IndexWriter
from lutra.tables.locks import RowLocks
from lutra.tables.open_transactions import OpenTransactions
from lutra.tables.outgoingindex import OutgoingIndex, Send, outgoing_ids, sweep_outgoing
from lutra.tables.reader import RowReader
from lutra.tables.stream_log import StreamLog
from lutra.tables.table import Table
from lutra.tables.tables import Tables
from lutra.tables.transactions import Transactions
from lutra.tables.writer import RowWriter


class TableSpace:
    """Opens what a store holds: one of it for a store at a time. Thread-safe.

    ``changelog`` is that of all instances, ``streams`` are those of all. Closing the store is its owner's business, and
    ends all use of this.
    """

    def __init__(
        self,
        store: KeyValueStore,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        bounds: KeyBounds = EVERYWHERE,
    ) -> None:
        """Reads the catalog. Raises StorageFailure, and Corruption for a format this version does not know.

        ``monotonic``: seconds, by which local transactions end. ``bounds``: which rows are meant, where the store was
        cloned from one that had more; nobody may ask for others by their keys.
        """
        clock = clock or SystemClock()
        committer = GroupCommitter(store, clock)
        self.store = store
        """To look at."""
        self.clock = clock
        self._bounds = bounds
        self._committer = committer
        self._catalog = Catalog(store, committer, clock)
        self._reader = RowReader(store, clock, bounds)
        locks, opened = RowLocks(), OpenTransactions(store, monotonic)
        self._writer = RowWriter(store, committer, clock, locks, opened)
        self.transactions = Transactions(store, self._catalog, self._writer, committer, opened, locks, clock)
        """Of all instances. To look at."""
        self._lock = threading.Lock()
        self._instances: dict[str, Tables] = {}
        self.changelog = Changelog(store, self._catalog, committer)
        self.streams = StreamLog(store, self._catalog, committer, clock)
        self.index_writer = IndexWriter(store, committer, self._catalog, self._writer)
        """For what keeps secondary indexes current."""

    def table(self, instance: str, name: str) -> Table:
        """As it is worked out. Raises ObjectNotExist."""
        return self._catalog.get(instance, name)

    def outgoing_index(
        self, main: TableDescription, index: SecondaryIndex, send: Send, next_stamp: Callable[[], bytes]
    ) -> OutgoingIndex:
        """A global secondary index of a table here, whose rows are elsewhere. ``main``: the table, whose id is that of
        this store, with the columns of the index."""
        rows = IndexRows(main.schema, index)
        key = main.schema.key
        return OutgoingIndex(self.store, self._committer, self.index_writer, rows, key, send, next_stamp)

    def outgoing_ids(self) -> list[int]:
        """Of such indexes, those included that are no more. Raises StorageFailure."""
        return list(outgoing_ids(self.store))

    def sweep_outgoing(self, index_id: int) -> None:
        """Removes what is stored of one that is no more. Raises StorageFailure."""
        sweep_outgoing(self.store, self._committer, index_id)

    def incoming_rows(self, table_id: int) -> IncomingRows:
        """What is sent of an index whose table is elsewhere, and that is a table here."""
        return IncomingRows(self.store, self._committer, table_id, self.clock)

    def index_check(self, table_id: int, index: SecondaryIndex, reader: Reader) -> IndexCheck:
        """A check of a secondary index. Raises ObjectNotExist, StorageFailure, Corruption."""
        table = self._catalog.by_id(table_id)
        as_table = None if table is None else self._catalog.indexes.get(table.instance, index.name)
        rows = None if table is None else next((one for one in table.indexes if one.index == index), None)
        if table is None or as_table is None or rows is None:
            raise ObjectNotExist("Requested index does not exist.")
        return IndexCheck(reader, table, as_table, rows, self.clock.now_us() // 1_000)

    def instance_names(self) -> list[str]:
        """The names of instances that have tables, sorted."""
        return sorted({table.instance for table in self._catalog.all()})

    def instance(self, name: str) -> Tables:
        """The tables of an instance; an instance that has none is as good as any."""
        with self._lock:
            tables = self._instances.get(name)
            if tables is None:
                tables = Tables(
                    name, self.store, self._catalog, self._reader, self._writer, self.transactions, self._bounds
                )
                self._instances[name] = tables
            return tables
