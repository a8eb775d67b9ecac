"""Which way round a sorter goes."""

from __future__ import annotations

from typing import Protocol

from lutra.model.errors import ParameterInvalid
from lutra.server.wire import query_pb2 as wire


class WithOrder(Protocol):
    order: wire.SortOrder

    def HasField(self, field_name: str, /) -> bool: ...  # noqa: N802


def is_descending(message: WithOrder, *, default: bool) -> bool:
    """Raises ParameterInvalid for an order that the protocol does not have."""
    if not message.HasField("order"):
        return default
    if message.order not in (wire.SORT_ORDER_ASC, wire.SORT_ORDER_DESC):
        raise ParameterInvalid(f"Invalid sort order: {message.order}.")
    return message.order == wire.SORT_ORDER_DESC


def order_of(descending: bool) -> wire.SortOrder:
    return wire.SORT_ORDER_DESC if descending else wire.SORT_ORDER_ASC
