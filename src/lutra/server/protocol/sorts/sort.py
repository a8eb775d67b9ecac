"""A whole sort, sorter by sorter."""

from __future__ import annotations

from collections.abc import Iterable

from lutra.model.queries import Sorter
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.sorts.registry import parse_sorter, write_sorter
from lutra.server.wire import query_pb2 as wire


def parse_sort(message: wire.Sort) -> tuple[Sorter, ...]:
    """The sorters of a search or an index. Raises ParameterInvalid for what is malformed or not served."""
    reader = Reader()
    return tuple(parse_sorter(sorter, reader) for sorter in message.sorter)


def sort_message(sort: Iterable[Sorter]) -> wire.Sort:
    """An index's sorters as DescribeSearchIndex shows them."""
    return wire.Sort(sorter=map(write_sorter, sort))
