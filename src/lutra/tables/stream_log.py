"""The streams of all tables of a store: read from a place on, and forgotten once they have expired.

A stream is a log of its own beside the changelog: that one says which rows changed, for consumers that read them as
they are now, this one says what was done, for readers that want each change. Its records are written by
`stream_record.StreamFollower`, in the commits of the changes, under the time of the commit (`committer`).
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from typing import Final

from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore, Reader, prefix_end
from lutra.model.clock import Clock
from lutra.model.errors import Corruption, LutraError, ObjectNotExist, ParameterInvalid, TrimmedDataAccess
from lutra.model.streams import (
    StreamDescription,
    StreamIterator,
    StreamPage,
    StreamPlace,
    StreamRecord,
    StreamShard,
    table_of,
)
from lutra.tables import keyspace, stream_record
from lutra.tables.catalog import Catalog
from lutra.tables.committer import GroupCommitter
from lutra.tables.table import Table

_PLACE: Final = struct.Struct(">QI")
_PREFIX_BYTES: Final = len(keyspace.stream_prefix(0, 0))
_HOUR_US: Final = 3_600_000_000
_TRIMS_PER_LIFE: Final = 24
"""A record is kept by this part of the expiration time longer at most: each trim leaves a tombstone."""
_LEFTOVERS_PERIOD_US: Final = _HOUR_US
_FIRST: Final = StreamPlace(0, 0)

_log = logging.getLogger(__name__)


class StreamLog:
    """The streams of one store. Thread-safe, but for `trim`, which is one thread's at a time."""

    def __init__(self, store: KeyValueStore, catalog: Catalog, committer: GroupCommitter, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._committer = committer
        self._clock = clock
        self._due_us: dict[tuple[int, int, int], int] = {}
        """When to look at a stream again, by its table's id, its time and its expiration time."""
        self._leftovers_due_us = 0

    @property
    def last_time_us(self) -> int:
        """No record of any of them is later than that; 0 where there has been none."""
        return self._committer.last_time_us

    def of_tables(self, instance: str, table: str | None = None) -> list[StreamDescription]:
        """The streams of an instance, or that of one table where it has one, by table. Raises ObjectNotExist."""
        if table is not None:
            tables = [self._catalog.get(instance, table)]
        else:
            tables = sorted((one for one in self._catalog.all() if one.instance == instance), key=lambda one: one.name)
        return [_description(one) for one in tables if one.schema.stream is not None]

    def describe(self, instance: str, stream_id: str) -> StreamDescription:
        """Raises ObjectNotExist, also where it was disabled."""
        return _description(self._table_of(instance, stream_id))

    def iterator(self, instance: str, stream_id: str, shard_id: str, since_us: int | None = None) -> StreamIterator:
        """Where reading begins: at the oldest record, or the first that was committed at ``since_us`` or later.

        Raises ObjectNotExist, ParameterInvalid.
        """
        table = self._table_of(instance, stream_id)
        if shard_id != _description(table).shards[0].id:
            raise ObjectNotExist(f"Requested shard does not exist: '{shard_id}'.")
        if since_us is not None and not 0 <= since_us < 2**63:
            raise ParameterInvalid(f"Invalid timestamp: {since_us}.")
        trimmed = self._trimmed(self._store, _prefix_of(table))
        oldest = _FIRST if trimmed is None else StreamPlace(trimmed.time_us, trimmed.index + 1)
        place = oldest if since_us is None else max(oldest, StreamPlace(since_us, 0))
        return StreamIterator(table.table_id, table.description.stream_created_us, place)

    def read(
        self, instance: str, at: StreamIterator, limit: int, bytes_max: int, until_us: int | None = None
    ) -> StreamPage:
        """The next records, at most ``limit``, and no more than fit ``bytes_max`` as they are stored, or one.

        None that is not yet durable: what a reader has seen is never taken back. ``until_us``: the time of the last
        record that is meant, after which the shard has ended. Raises TrimmedDataAccess where what comes next has
        expired, or the stream is gone; StorageFailure, and Corruption where the next one is damaged.
        """
        table = self._catalog.by_id(at.table_id)
        if table is None or table.instance != instance or not _is_current(table, at.created_us):
            raise TrimmedDataAccess
        prefix = _prefix_of(table)
        last_us = self._committer.last_time_us if until_us is None else min(until_us, self._committer.last_time_us)
        end = prefix + keyspace.pack(last_us + 1)
        with self._store.snapshot() as snapshot:
            trimmed = self._trimmed(snapshot, prefix)
            if trimmed is not None and at.place <= trimmed:
                raise TrimmedDataAccess
            records: list[StreamRecord] = []
            size_bytes, has_more = 0, False
            for key, value in snapshot.scan(_key(prefix, at.place), end):
                if len(records) == limit or (records and size_bytes + len(value) > bytes_max):
                    has_more = True
                    break
                try:
                    records.append(stream_record.decode(_place(key), value))
                except Corruption as error:
                    if not records:
                        raise _damaged(table, error) from error
                    has_more = True  # of which the next call tells
                    break
                size_bytes += len(value)
        if records:
            last = records[-1].place
            at = StreamIterator(at.table_id, at.created_us, StreamPlace(last.time_us, last.index + 1))
        has_ended = until_us is not None and not has_more
        return StreamPage(records, None if has_ended else at, has_more, size_bytes)

    def damaged(self, instance: str, name: str) -> Iterator[Corruption]:
        """Reads all of a table's stream, and gives an error for each record that cannot be read.

        Raises ObjectNotExist, StorageFailure.
        """
        table = self._catalog.get(instance, name)
        if table.schema.stream is not None:
            prefix = _prefix_of(table)
            for key, value in self._store.scan(_key(prefix, _FIRST), prefix_end(prefix)):
                try:
                    stream_record.decode(_place(key), value)
                except Corruption as error:
                    yield error

    def size_bytes(self, instance: str, table: str) -> int:
        """About how many bytes a table's stream takes. Raises ObjectNotExist."""
        prefix = _prefix_of(self._catalog.get(instance, table))
        return self._store.size_bytes(prefix, prefix_end(prefix))

    def trim(self) -> None:
        """Forgets what has expired, where it is time to look, and what is left of streams that were disabled.

        What fails is told, and tried again later.
        """
        now_us = self._clock.now_us()
        streams = {_due_key(table): table for table in self._catalog.all() if table.schema.stream is not None}
        self._due_us = {key: due_us for key, due_us in self._due_us.items() if key in streams}
        for key, table in streams.items():
            if now_us < self._due_us.get(key, 0):
                continue
            try:
                self._due_us[key] = self._trim(table, now_us)
            except LutraError as error:
                _log.warning("the stream of table %s could not be trimmed: %s", table.name, error)
                self._due_us[key] = now_us + _HOUR_US // 60
        if now_us >= self._leftovers_due_us:
            self._leftovers_due_us = now_us + _LEFTOVERS_PERIOD_US
            try:
                self._drop_leftovers()
            except LutraError as error:
                _log.warning("what is left of disabled streams could not be deleted: %s", error)

    def _trim(self, table: Table, now_us: int) -> int:
        """Forgets what has expired of one stream. When to look again."""
        spec = table.schema.stream
        assert spec is not None
        life_us = spec.expiration_h * _HOUR_US
        prefix = _prefix_of(table)
        end = _key(prefix, StreamPlace(max(0, now_us - life_us), 0))
        last = next(self._store.scan(_key(prefix, _FIRST), end, reverse=True), None)
        if last is not None:
            batch = WriteBatch()
            batch.delete_range(_key(prefix, _FIRST), last[0] + b"\0")
            batch.put(prefix, last[0][_PREFIX_BYTES:])
            self._store.commit(batch)
        oldest = next(self._store.scan(_key(prefix, _FIRST), prefix_end(prefix)), None)
        oldest_us = now_us if oldest is None else _place(oldest[0]).time_us
        return max(now_us, oldest_us + life_us) + life_us // _TRIMS_PER_LIFE

    def _drop_leftovers(self) -> None:
        """Deletes what writers that were under way added to streams that were being disabled."""
        for prefix in self._prefixes():
            # Looked up after its key was found: who could write to a new stream found it here.
            table_id, created_us = keyspace.unpack(prefix[1:9]), keyspace.unpack(prefix[9:])
            table = self._catalog.by_id(table_id)
            if table is None or not _is_current(table, created_us):
                batch = WriteBatch()
                batch.delete_range(prefix, prefix_end(prefix))
                self._store.commit(batch)

    def _prefixes(self) -> Iterator[bytes]:
        """Of all streams of which there is something, the keys between them leapt over."""
        begin, end = b"s", b"t"
        while (found := next(self._store.scan(begin, end), None)) is not None:
            prefix = found[0][:_PREFIX_BYTES]
            begin = prefix_end(prefix)
            yield prefix

    def _table_of(self, instance: str, stream_id: str) -> Table:
        name = table_of(stream_id)
        if name is not None:
            table = self._catalog.by_name(instance, name)
            if table is not None and table.description.stream_id == stream_id:
                return table
        raise ObjectNotExist("Requested stream does not exist.")

    def _trimmed(self, reader: Reader, prefix: bytes) -> StreamPlace | None:
        """The place of the last record that was forgotten; None where none was."""
        stored = reader.get(prefix)
        return None if stored is None else StreamPlace(*_PLACE.unpack(stored))


def _damaged(table: Table, error: Corruption) -> Corruption:
    return Corruption(
        f"the stream of table [{table.name}]: {str(error).removesuffix('.')}. Rows are whole. Go on after it, by "
        "GetShardIterator with a later time, or disable the stream and enable it again, which begins another."
    )


def _description(table: Table) -> StreamDescription:
    stream_id, spec, created_us = table.description.stream_id, table.schema.stream, table.description.stream_created_us
    assert stream_id is not None
    assert spec is not None
    shard = StreamShard(f"{table.table_id}-{created_us}")
    return StreamDescription(stream_id, (shard,), table.name, created_us, spec)


def _is_current(table: Table, created_us: int) -> bool:
    return table.schema.stream is not None and table.description.stream_created_us == created_us


def _due_key(table: Table) -> tuple[int, int, int]:
    spec = table.schema.stream
    assert spec is not None
    return table.table_id, table.description.stream_created_us, spec.expiration_h


def _prefix_of(table: Table) -> bytes:
    return keyspace.stream_prefix(table.table_id, table.description.stream_created_us)


def _key(prefix: bytes, place: StreamPlace) -> bytes:
    return prefix + _PLACE.pack(place.time_us, place.index)


def _place(key: bytes) -> StreamPlace:
    return StreamPlace(*_PLACE.unpack(key[_PREFIX_BYTES:]))
