"""By a field."""

from __future__ import annotations

from typing import Final

from lutra.kernels.plainbuffer import decode_variant, encode_variant
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import FieldSort, Missing, SortMode
from lutra.model.values import INF_MAX, INF_MIN, KeyMarker, Value
from lutra.server.protocol.parsing import enum_of, parse_value
from lutra.server.protocol.queries.parts import field_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.sorts.nested import parse_nested_filter
from lutra.server.protocol.sorts.order import is_descending, order_of
from lutra.server.protocol.sorts.registry import parses, writes
from lutra.server.wire import query_pb2 as wire

_MARKERS: Final = frozenset(missing.value for missing in Missing)
_ENDS: Final[dict[KeyMarker, Missing]] = {INF_MIN: Missing.FIRST, INF_MAX: Missing.LAST}


@parses("field_sort")
def parse_field_sort(message: wire.FieldSort, reader: Reader) -> FieldSort:
    field = field_of(message)
    others = [message.missing_field] if message.HasField("missing_field") else []
    return FieldSort(
        field,
        descending=is_descending(message, default=False),
        mode=enum_of(SortMode, message.mode, "sort mode") if message.HasField("mode") else None,
        missing=_parse_missing(message, field) if message.HasField("missing_value") else None,
        missing_fields=(*others, *message.missing_fields),
        nested_filter=parse_nested_filter(message, reader),
    )


def _parse_missing(message: wire.FieldSort, field: str) -> Value | Missing:
    """What a row without the field sorts as. Java says "first" and "last" by strings that no column may well have; the
    infinities, which order the ends of a range, say it too."""
    value = decode_variant(message.missing_value)
    if isinstance(value, KeyMarker):
        if value not in _ENDS:
            raise ParameterInvalid(f"the missing value of field [{field}] is no value")
        return _ENDS[value]
    if value in _MARKERS:
        return Missing(value)
    return parse_value(message.missing_value, f"the missing value of field [{field}]")


@writes(FieldSort)
def field_sort_message(sorter: FieldSort) -> wire.Sorter:
    mode = None if sorter.mode is None else wire.SortMode.Name(sorter.mode)
    message = wire.FieldSort(field_name=sorter.field, order=order_of(sorter.descending), mode=mode)
    if sorter.missing is not None:
        missing = sorter.missing.value if isinstance(sorter.missing, Missing) else sorter.missing
        message.missing_value = encode_variant(missing)
    if len(sorter.missing_fields) == 1:
        message.missing_field = sorter.missing_fields[0]
    else:
        message.missing_fields.extend(sorter.missing_fields)
    return wire.Sorter(field_sort=message)
