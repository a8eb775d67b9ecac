"""Rows of one partition: what `lutra.tables.tables.Tables` does, at their owner.

A gateway sends what it was asked; the owner's tables check it, so that errors are those of one machine. Where a key
does not go with the table, it is any partition's to say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from lutra.cluster.errors import Moved
from lutra.cluster.host import OwnedPartition
from lutra.cluster.methods import PeerLane
from lutra.cluster.partition import packing
from lutra.cluster.partition.method import Codec, PartitionMethod
from lutra.model import limits
from lutra.model.errors import LutraError
from lutra.model.rows import KeyInput, RangeRequest, RangeResult, ReadOptions, ReadResult, RowChange, WriteResult
from lutra.tables.pages import PageSoFar
from lutra.tables.tables import Tables


def _tables(owned: OwnedPartition) -> Tables:
    return owned.instance.tables


def _require(owned: OwnedPartition, keys: Iterable[KeyInput]) -> None:
    """Raises Moved where a key is another partition's: rows of other ranges may lie here, and are not to be seen."""
    for key in keys:
        try:
            encoded = owned.keys.encode_partition_key(key[:1])
        except (LutraError, IndexError):
            continue  # the tables say what is wrong with it
        if not owned.entry.holds(encoded):
            raise Moved(f"a row of partition {owned.id} is beyond its range")


# --- writing ----------------------------------------------------------------------------------------------------------


def write(owned: OwnedPartition, change: RowChange, transaction: str | None) -> WriteResult:
    if transaction is None:
        _require(owned, (change.key,))
    return _tables(owned).write(owned.table.name, change, transaction)


def write_batch(
    owned: OwnedPartition, changes: Sequence[RowChange], transaction: str | None, is_atomic: bool
) -> list[WriteResult | LutraError]:
    """Changes of one BatchWriteRow. The rows of an atomic one are the first's partition's, or it is refused."""
    if transaction is None:
        _require(owned, [change.key for change in (changes[:1] if is_atomic else changes)])
    batch = [(owned.table.name, changes)]
    return _tables(owned).write_batch(batch, limits.BATCH_WRITE_ROWS_MAX, transaction, is_atomic=is_atomic)[0]


def write_bulk(owned: OwnedPartition, changes: Sequence[RowChange | LutraError]) -> list[WriteResult | LutraError]:
    _require(owned, [change.key for change in changes if isinstance(change, RowChange)])
    return _tables(owned).write_bulk(owned.table.name, changes)


# --- reading ----------------------------------------------------------------------------------------------------------


def read(owned: OwnedPartition, name: str, key: KeyInput, options: ReadOptions, transaction: str | None) -> ReadResult:
    """``name``: the table's, or that of one of its local indexes, whose first column is the table's; here and below."""
    if transaction is None:
        _require(owned, (key,))
    return _tables(owned).read(name, key, options, transaction)


def read_batch(
    owned: OwnedPartition, reads: Sequence[tuple[str, Sequence[KeyInput], ReadOptions]]
) -> list[ReadResult | LutraError]:
    """What each finds, one after the other."""
    _require(owned, [key for _, keys, _ in reads for key in keys])
    return [result for results in _tables(owned).read_batch(reads) for result in results]


def read_range(
    owned: OwnedPartition, name: str, request: RangeRequest, so_far: PageSoFar
) -> tuple[RangeResult, PageSoFar]:
    """What of a range is in this partition, as part of a page (`Tables.go_on`)."""
    return _tables(owned).go_on(name, request, so_far)


def split_points(owned: OwnedPartition, size_bytes: int) -> tuple[int, list[KeyInput]]:
    """About how many bytes its rows take, and keys that cut these into pieces of about ``size_bytes``."""
    tables, name = _tables(owned), owned.table.name
    return tables.size_bytes(name), tables.split_points(name, size_bytes)


# --- local transactions -----------------------------------------------------------------------------------------------


def start_transaction(owned: OwnedPartition, key: KeyInput, rows: Sequence[KeyInput]) -> str:
    _require(owned, (key,))
    return _tables(owned).start_transaction(owned.table.name, key, rows)


def read_range_in(owned: OwnedPartition, name: str, request: RangeRequest, transaction: str) -> RangeResult:
    """A range within a transaction's partition key, which is all here."""
    return _tables(owned).read_range(name, request, transaction)


def commit_transaction(owned: OwnedPartition, transaction: str) -> None:
    _tables(owned).commit_transaction(transaction)


def require_transaction(owned: OwnedPartition, transaction: str) -> None:
    """Returns where it is open, and could be used."""
    owned.partition.space.transactions.require(owned.table.instance, transaction)


def abort_transaction(owned: OwnedPartition, transaction: str) -> None:
    _tables(owned).abort_transaction(transaction)


# --- how they are sent ------------------------------------------------------------------------------------------------


def _pack_page(page: RangeResult) -> list[Any]:
    return packing.pack_page((page, PageSoFar()))


_WRITTEN: Final = Codec(packing.pack_write_result, packing.unpack_write_result)
_ALL_WRITTEN: Final = Codec(packing.pack_write_results, packing.unpack_write_results)

METHODS: Final[dict[str, PartitionMethod]] = {
    "write": PartitionMethod(
        PeerLane.WRITE,
        write,
        writes=True,
        arguments=Codec(
            lambda given: [packing.pack_change(given[0]), given[1]],
            lambda sent: (packing.unpack_change(sent[0]), sent[1]),
        ),
        result=_WRITTEN,
    ),
    "write_batch": PartitionMethod(
        PeerLane.WRITE,
        write_batch,
        writes=True,
        arguments=Codec(
            lambda given: [packing.pack_changes(given[0]), given[1], given[2]],
            lambda sent: (packing.unpack_changes(sent[0]), sent[1], sent[2]),
        ),
        result=_ALL_WRITTEN,
    ),
    "write_bulk": PartitionMethod(
        PeerLane.WRITE,
        write_bulk,
        writes=True,
        arguments=Codec(
            lambda given: [packing.pack_changes(given[0])], lambda sent: (packing.unpack_changes(sent[0]),)
        ),
        result=_ALL_WRITTEN,
    ),
    "read": PartitionMethod(
        PeerLane.POINT,
        read,
        arguments=Codec(
            lambda given: [given[0], packing.pack_key(given[1]), packing.pack_options(given[2]), given[3]],
            lambda sent: (sent[0], packing.unpack_key(sent[1]), packing.unpack_options(sent[2]), sent[3]),
        ),
        result=Codec(packing.pack_read_result, packing.unpack_read_result),
    ),
    "read_batch": PartitionMethod(
        PeerLane.SCAN,
        read_batch,
        arguments=Codec(lambda given: [packing.pack_reads(given[0])], lambda sent: (packing.unpack_reads(sent[0]),)),
        result=Codec(packing.pack_read_results, packing.unpack_read_results),
    ),
    "read_range": PartitionMethod(
        PeerLane.SCAN,
        read_range,
        arguments=Codec(
            lambda given: [given[0], packing.pack_range(given[1]), packing.pack_so_far(given[2])],
            lambda sent: (sent[0], packing.unpack_range(sent[1]), packing.unpack_so_far(sent[2])),
        ),
        result=Codec(packing.pack_page, packing.unpack_page),
    ),
    "read_range_in": PartitionMethod(
        PeerLane.SCAN,
        read_range_in,
        arguments=Codec(
            lambda given: [given[0], packing.pack_range(given[1]), given[2]],
            lambda sent: (sent[0], packing.unpack_range(sent[1]), sent[2]),
        ),
        result=Codec(_pack_page, lambda sent: packing.unpack_page(sent)[0]),
    ),
    "split_points": PartitionMethod(PeerLane.SCAN, split_points),
    "start_transaction": PartitionMethod(PeerLane.WRITE, start_transaction, writes=True),
    "require_transaction": PartitionMethod(PeerLane.POINT, require_transaction),
    "commit_transaction": PartitionMethod(PeerLane.WRITE, commit_transaction, writes=True),
    "abort_transaction": PartitionMethod(PeerLane.WRITE, abort_transaction, writes=True),
}
