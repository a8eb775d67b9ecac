"""Where a partition can be cut, and what of its parents' rows is none of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from lutra.cluster.map import PartitionEntry
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model.errors import ParameterInvalid
from lutra.model.schema import IndexKind, TableDescription, TableSchema
from lutra.tables import definition, keyspace
from lutra.tables.bounds import KeyBounds
from lutra.tables.indexrows import schema_of
from lutra.tables.keys import KeyCodec
from lutra.tables.outgoingindex import outgoing_ids

_PIECES: Final = 16
"""A middle is looked for among so many cuts."""


def bounds_of(entry: PartitionEntry, schema: TableSchema) -> KeyBounds:
    """The partition keys from which on, and below which, a partition has rows. Raises Corruption."""
    keys = KeyCodec(b"", schema.key)
    return KeyBounds(
        begin=keys.decode_partition(entry.begin) if entry.begin else None,
        end=None if entry.end is None else keys.decode_partition(entry.end),
    )


def hidden_ranges(entry: PartitionEntry, store: KeyValueStore) -> list[tuple[bytes, bytes]]:
    """The keys of a partition's key-value store below which there may be rows of its parents that are not its own.

    Rows of the table and of its local indexes, counters, and what is kept of global indexes: all that is stored by
    partition key. By the ids that they have in this store. Raises StorageFailure, Corruption.
    """
    if not entry.begin and entry.end is None:
        return []
    found = []
    outgoing = list(outgoing_ids(store))
    for _, data in store.scan(keyspace.DEFINITIONS_BEGIN, keyspace.DEFINITIONS_END):
        table = definition.from_json(data).description
        bounds = bounds_of(entry, table.schema)
        found += [hidden for keys in _codecs(table, outgoing) for hidden in _beyond(keys, bounds)]
    return found


def _codecs(table: TableDescription, outgoing: Iterable[int]) -> Iterator[KeyCodec]:
    """``outgoing``: ids of the table's global indexes."""
    key = table.schema.key
    yield KeyCodec(keyspace.rows_prefix(table.table_id), key)
    yield KeyCodec(keyspace.stamps_prefix(table.table_id), key)
    for index_id in outgoing:
        yield KeyCodec(keyspace.outgoing_prefix(index_id), key)
    if len(key) > 1:  # counters are kept by the first of several columns
        yield KeyCodec(keyspace.counters_prefix(table.table_id), key)
    for index in table.schema.indexes:
        if index.kind is IndexKind.LOCAL:
            yield KeyCodec(keyspace.rows_prefix(index.index_id), schema_of(table.schema, index).key)


def _beyond(keys: KeyCodec, bounds: KeyBounds) -> Iterator[tuple[bytes, bytes]]:
    if bounds.begin is not None and (first := keys.encode_partition_value(bounds.begin)) > keys.prefix:
        yield keys.prefix, first
    if bounds.end is not None:
        yield keys.encode_partition_value(bounds.end), prefix_end(keys.prefix)


def middle_of(store: KeyValueStore, entry: PartitionEntry, table: TableDescription) -> bytes:
    """The partition key that cuts a partition into halves of about one size, as its children's bounds have it.

    ``table``: as the store has it. Raises ParameterInvalid where there are rows of fewer than two partition keys;
    StorageFailure, Corruption.
    """
    prefix = keyspace.rows_prefix(table.table_id)
    keys = KeyCodec(prefix, table.schema.key)
    begin = prefix + entry.begin
    end = prefix_end(prefix) if entry.end is None else prefix + entry.end
    first = next(store.scan(begin, end), None)
    if first is not None:
        lowest = keys.partition(first[0])
        piece_bytes = max(1, store.size_bytes(begin, end) // _PIECES)
        cuts = [key for key in store.split(begin, end, piece_bytes, _PIECES) if key > begin]
        firsts: dict[
            bytes, int
        ] = {}  # of each partition key, which cut is the first in its rows: soon after they begin
        for number, key in enumerate(cuts, 1):
            firsts.setdefault(keys.partition(key), number)
        firsts.pop(lowest, None)
        if firsts:
            return min(firsts, key=lambda key: abs(firsts[key] - (len(cuts) + 1) / 2))[len(prefix) :]
        next_key = lowest + b"\0" if len(table.schema.key) == 1 else prefix_end(lowest)
        after = next(store.scan(next_key, end), None)
        if after is not None:
            return keys.partition(after[0])[len(prefix) :]
    raise ParameterInvalid(
        f"partition {entry.id} cannot be split: rows of one partition key stay together, and it has "
        f"{'none' if first is None else 'those of one only'}"
    )
