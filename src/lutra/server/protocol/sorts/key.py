"""By primary key."""

from __future__ import annotations

from lutra.model.queries import PrimaryKeySort
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.sorts.order import is_descending, order_of
from lutra.server.protocol.sorts.registry import parses, writes
from lutra.server.wire import query_pb2 as wire


@parses("pk_sort")
def parse_primary_key_sort(message: wire.PrimaryKeySort, reader: Reader) -> PrimaryKeySort:
    return PrimaryKeySort(is_descending(message, default=False))


@writes(PrimaryKeySort)
def primary_key_sort_message(sorter: PrimaryKeySort) -> wire.Sorter:
    return wire.Sorter(pk_sort=wire.PrimaryKeySort(order=order_of(sorter.descending)))
