"""Which of the documents within rows a sorter goes by."""

from __future__ import annotations

from lutra.model.errors import ParameterInvalid
from lutra.model.nested import NestedFilter
from lutra.server.protocol.queries.reader import Reader
from lutra.server.wire import query_pb2 as wire


def parse_nested_filter(message: wire.FieldSort | wire.GeoDistanceSort, reader: Reader) -> NestedFilter | None:
    """What a sorter says of it. Raises ParameterInvalid."""
    if not message.HasField("nested_filter"):
        return None
    given = message.nested_filter
    if not given.path or not given.HasField("filter"):
        raise ParameterInvalid(f"the [nested_filter] in the sort of field [{message.field_name}] lacks path or filter")
    return NestedFilter(given.path, reader.read(given.filter))
