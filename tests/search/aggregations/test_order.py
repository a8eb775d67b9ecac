"""The order of groups whose keys are at the ends of what a field holds."""

from __future__ import annotations

import pytest
from support.indexes import memory_index

from lutra.model.aggregations import GroupBy, GroupByField, GroupByHistogram, GroupKeySort
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import MatchAll, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

ENDS = [-(2**63), -1, 0, 2**63 - 1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("is_histogram", [False, True])
def test_keys_at_the_ends(is_histogram: bool, descending: bool) -> None:
    index = memory_index(IndexSchema((FieldSchema("n", FieldType.LONG),)), (KeyColumn("id", ColumnType.INTEGER),))
    index.apply([Row((("id", number),), [("n", value, 1)]) for number, value in enumerate(ENDS)])
    sort = (GroupKeySort(descending),)
    groups: GroupBy = GroupByHistogram("g", "n", 1, sort=sort) if is_histogram else GroupByField("g", "n", sort=sort)
    aggregated = search(index.view(), SearchRequest(MatchAll(), limit=0, group_bys=(groups,))).aggregated
    assert aggregated is not None
    found = [int(group.key) for group in aggregated.group_bys["g"].groups]
    assert found == sorted(ENDS, reverse=descending)
