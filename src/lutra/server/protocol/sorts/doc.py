"""In whatever order."""

from __future__ import annotations

from lutra.model.queries import DocSort
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.sorts.order import is_descending, order_of
from lutra.server.protocol.sorts.registry import parses, writes
from lutra.server.wire import query_pb2 as wire


@parses("doc_sort")
def parse_doc_sort(message: wire.DocSort, reader: Reader) -> DocSort:
    return DocSort(is_descending(message, default=False))


@writes(DocSort)
def doc_sort_message(sorter: DocSort) -> wire.Sorter:
    return wire.Sorter(doc_sort=wire.DocSort(order=order_of(sorter.descending)))
