"""What tests of search indexes share."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import tablestore as ots
from support.sdk import SdkClient

NONE = ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)
ALL = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL)
ALL_FROM_INDEX = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL_FROM_INDEX)
BY_SCORE = ots.Sort([ots.ScoreSort()])


def field(name: str, kind: ots.FieldType, **options: Any) -> ots.FieldSchema:
    """A field of an index, with the SDK's defaults."""
    return ots.FieldSchema(name, kind, **options)


def vector_field(name: str, dimension: int, metric: ots.VectorMetricType) -> ots.FieldSchema:
    """A VECTOR field of float32."""
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, metric, dimension)
    return ots.FieldSchema(name, ots.FieldType.VECTOR, vector_options=options)


def packed(vector: Sequence[float]) -> bytearray:
    """A vector as a binary column: little-endian float32."""
    return bytearray(struct.pack(f"<{len(vector)}f", *vector))


def search(client: SdkClient, table: str, index: str, query: Any, **options: Any) -> ots.SearchResponse:
    """One search; ``columns`` says which columns its rows carry (none), other options are SearchQuery's."""
    columns = options.pop("columns", NONE)
    return client.search(table, index, ots.SearchQuery(query, **{"limit": 100} | options), columns)


def ids(response: ots.SearchResponse) -> list[Any]:
    """The first key column of each row, in the order of the response."""
    return [key[0][1] for key, _ in response.rows]


def columns_of(row: tuple[Any, Any]) -> dict[str, Any]:
    """The attribute columns of a row of a search's response."""
    return {name: value for name, value, *_ in row[1]}


def scores(response: ots.SearchResponse) -> list[float]:
    """The score of each hit; there is one for each row."""
    assert len(response.search_hits) == len(response.rows)
    return [hit.score for hit in response.search_hits]


def every_page(client: SdkClient, table: str, index: str, query: Any, **options: Any) -> list[list[Any]]:
    """Follows tokens to the end; returns the ids of each page."""
    response = search(client, table, index, query, **options)
    pages = [ids(response)]
    options.pop("sort", None)
    options.pop("offset", None)
    while response.next_token:
        assert len(pages) < 1_000
        response = search(client, table, index, query, next_token=response.next_token, **options)
        pages.append(ids(response))
    return pages
