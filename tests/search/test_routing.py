"""Routing values are checked, and make no difference."""

from __future__ import annotations

from typing import Any

import pytest
from support.indexes import memory_index

from lutra.index.lsm.view import IndexView
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import KeyInput
from lutra.model.schema import KeyColumn
from lutra.model.values import INF_MIN, ColumnType
from lutra.search.routing import check_routing

COLUMNS = (KeyColumn("user", ColumnType.STRING), KeyColumn("n", ColumnType.INTEGER))


def view_of(*routing_fields: str) -> IndexView:
    schema = IndexSchema((FieldSchema("k", FieldType.KEYWORD),), routing_fields=routing_fields)
    return memory_index(schema, COLUMNS).view()


@pytest.mark.parametrize("value", [(("user", "a"),), (("n", 1),), (("user", ""), ("n", -1)), (("n", 1), ("user", "a"))])
def test_any_columns_of_the_key(value: KeyInput) -> None:
    check_routing(view_of(), [value])


def test_the_index_says_which_columns() -> None:
    check_routing(view_of("n", "user"), [(("user", "a"), ("n", 0)), (("n", 0), ("user", "a"))])
    with pytest.raises(ParameterInvalid, match=r"must have \['n', 'user'\]"):
        check_routing(view_of("n", "user"), [(("user", "a"),)])


@pytest.mark.parametrize(
    "value",
    [(), (("x", 1),), (("user", 1),), (("n", "a"),), (("user", "a"), ("user", "a")), (("user", INF_MIN),)],
)
def test_values_that_are_none(value: Any) -> None:
    with pytest.raises(ParameterInvalid, match="a routing value"):
        check_routing(view_of(), [(("user", "a"),), value])


def test_too_many() -> None:
    with pytest.raises(ParameterInvalid, match="exceeds the max: 1000"):
        check_routing(view_of(), [(("user", "a"),)] * 1_001)
