"""Percentiles of values at the ends of what a double holds."""

from __future__ import annotations

import math

import pytest
from support.indexes import memory_index

from lutra.model.aggregations import Percentiles, PercentilesResult
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import MatchAll, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

GREATEST = 1.7e308


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-math.inf, 1.0], [-math.inf, -math.inf, 1.0]),
        ([1.0, math.inf], [1.0, math.inf, math.inf]),
        ([-GREATEST, GREATEST], [-GREATEST, 0.0, GREATEST]),
        ([GREATEST, GREATEST], [GREATEST, GREATEST, GREATEST]),
    ],
)
def test_between_the_ends_of_what_there_is(values: list[float], expected: list[float]) -> None:
    index = memory_index(IndexSchema((FieldSchema("x", FieldType.DOUBLE),)), (KeyColumn("id", ColumnType.INTEGER),))
    index.apply([Row((("id", number),), [("x", value, 1)]) for number, value in enumerate(values)])
    asked = Percentiles("p", "x", (0.0, 50.0, 100.0))
    aggregated = search(index.view(), SearchRequest(MatchAll(), aggregations=(asked,))).aggregated
    assert aggregated is not None
    result = aggregated.aggregations["p"]
    assert isinstance(result, PercentilesResult)
    assert [value for _, value in result.items] == expected
