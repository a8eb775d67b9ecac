"""Distinct values, where one of them also stands for rows that have none."""

from __future__ import annotations

from typing import Any

import pytest
from support.indexes import memory_index

from lutra.model.aggregations import CountResult, DistinctCount
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import MatchAll, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search


@pytest.mark.parametrize(("type", "values"), [(FieldType.KEYWORD, ["a", "b"]), (FieldType.LONG, [1, 2])])
def test_what_stands_in_is_no_other_value(type: FieldType, values: list[Any]) -> None:
    index = memory_index(IndexSchema((FieldSchema("f", type),)), (KeyColumn("id", ColumnType.INTEGER),))
    index.apply([Row((("id", number),), [("f", value, 1)]) for number, value in enumerate(values)])
    index.apply([Row((("id", 9),), [])])
    asked = DistinctCount("d", "f", values[0])
    aggregated = search(index.view(), SearchRequest(MatchAll(), aggregations=(asked,))).aggregated
    assert aggregated is not None
    assert aggregated.aggregations["d"] == CountResult("d", 2)
