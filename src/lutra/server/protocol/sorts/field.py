"""By a field."""

from __future__ import annotations

from lutra.kernels.plainbuffer import decode_variant
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import FieldSort, SortMode
from lutra.model.values import INF_MAX, KeyMarker, Value
from lutra.server.protocol.parsing import enum_of, parse_value
from lutra.server.protocol.queries.parts import field_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.sorts.order import is_descending, order_of
from lutra.server.protocol.sorts.registry import parses, writes
from lutra.server.wire import query_pb2 as wire


@parses("field_sort")
def parse_field_sort(message: wire.FieldSort, reader: Reader) -> FieldSort:
    field = field_of(message)
    for name in ("nested_filter", "missing_field"):
        if message.HasField(name):
            raise ParameterInvalid(f"[{name}] in the sort of field [{field}] is not supported")
    return FieldSort(
        field,
        descending=is_descending(message, default=False),
        mode=enum_of(SortMode, message.mode, "sort mode") if message.HasField("mode") else None,
        missing=_parse_missing(message, field) if message.HasField("missing_value") else None,
    )


def _parse_missing(message: wire.FieldSort, field: str) -> Value | None:
    """What a row without the field sorts as. Java says "last" and "first" by the infinities; None means last."""
    value = decode_variant(message.missing_value)
    if value is INF_MAX:
        return None
    if isinstance(value, KeyMarker):
        raise ParameterInvalid(f"sorting rows without field [{field}] first is not supported")
    return parse_value(message.missing_value, f"the missing value of field [{field}]")


@writes(FieldSort)
def field_sort_message(sorter: FieldSort) -> wire.Sorter:
    mode = None if sorter.mode is None else wire.SortMode.Name(sorter.mode)
    return wire.Sorter(field_sort=wire.FieldSort(field_name=sorter.field, order=order_of(sorter.descending), mode=mode))
