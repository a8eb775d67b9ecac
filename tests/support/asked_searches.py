"""What programs asked of a server, as the model has it, so that it can be compared with what they were to ask."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from typing import Any

import numpy as np
from support.recording_proxy import RecordingProxy

from lutra.model.indexes import FieldSchema, IndexSchema, TextOptions
from lutra.model.queries import Bool, PrimaryKeySort, Range, SearchRequest, Suffix, Wildcard
from lutra.model.schema import TableSchema
from lutra.server.protocol.index_messages import parse_index_schema
from lutra.server.protocol.search_messages import parse_search
from lutra.server.protocol.table_messages import parse_schema
from lutra.server.wire import index_pb2, query_pb2, table_pb2


def search_asked(proxy: RecordingProxy) -> SearchRequest:
    """The one search that passed, which was answered."""
    [asked] = proxy.take()
    assert (asked.operation, asked.status) == ("Search", 200)
    return parse_search(query_pb2.SearchRequest.FromString(asked.body))


def created(proxy: RecordingProxy) -> tuple[TableSchema, dict[str, IndexSchema]]:
    """The table that was made, and its search indexes."""
    table, *others = proxy.take()
    assert (table.operation, table.status) == ("CreateTable", 200)
    indexes = {}
    for one in others:
        assert (one.operation, one.status) == ("CreateSearchIndex", 200)
        message = index_pb2.CreateSearchIndexRequest.FromString(one.body)
        indexes[message.index_name] = parse_index_schema(message)
    return parse_schema(table_pb2.CreateTableRequest.FromString(table.body)), indexes


def meaning(value: Any) -> Any:
    """What a search means, whatever SDKs say in other words: comparable."""
    match value:
        case SearchRequest():
            value = dataclasses.replace(value, timeout_ms=None, allow_partial=True, token=None, count_max=None)
        case Suffix(field, suffix, weight):
            value = Wildcard(field, f"*{suffix}", weight)
        case Bool():
            least = value.minimum_should_match
            least = int(not value.must and not value.filter) if least is None else least
            value = dataclasses.replace(value, minimum_should_match=least)
        case Range(_, lower, upper):
            lows, highs = (value.include_lower or lower is None, value.include_upper or upper is None)
            value = dataclasses.replace(value, include_lower=lows, include_upper=highs)
    match value:
        case np.ndarray():
            return tuple(value.tolist())
        case dt.datetime():
            return meaning(round(value.timestamp() * 1_000))
        case tuple():
            return tuple(map(meaning, value))
        case enum.Enum() | bool():
            return value
        case _ if dataclasses.is_dataclass(value):
            parts = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.init}
            said = {name: meaning(part) for name, part in parts.items()}
            if parts.get("minimum_should_match") is not None:  # a number, or as text
                said["minimum_should_match"] = str(parts["minimum_should_match"])
            return (type(value).__name__, tuple(sorted(said.items())))
    return (type(value).__name__, value)


def shape(schema: IndexSchema) -> IndexSchema:
    """What an index is, whether it was said or is so by default."""
    fields = tuple(map(_field, schema.fields))
    sort = () if schema.sort == (PrimaryKeySort(),) else schema.sort
    return dataclasses.replace(schema, fields=fields, sort=sort)


def _field(field: FieldSchema) -> FieldSchema:
    text = field.text
    if field.type.name == "TEXT":
        given = text or TextOptions()
        highlighting = given.highlighting or None
        parameters = given.parameters
        if parameters is not None and parameters == type(parameters)():
            parameters = None
        text = TextOptions(given.analyzer or "single_word", parameters, None, highlighting)
    return dataclasses.replace(
        field,
        index=field.is_indexed,
        sort_and_aggregate=field.is_sortable,
        store=None,
        text=text,
        is_virtual=field.is_virtual or None,
        fields=tuple(map(_field, field.fields)),
    )
