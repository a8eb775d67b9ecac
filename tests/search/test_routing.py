"""Searches among the rows of some routing values."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.indexes import memory_index
from support.search_parts import shared_out

from lutra.index.lsm.view import IndexView
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import KnnVector, MatchAll, Query, SearchRequest
from lutra.model.rows import KeyInput, PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.model.values import INF_MIN, ColumnType
from lutra.search import search
from lutra.search.routing import routed

COLUMNS = (
    KeyColumn("user", ColumnType.STRING),
    KeyColumn("n", ColumnType.INTEGER),
    KeyColumn("name", ColumnType.STRING),
)
USERS = ["", "a", "a\0", "ab", "b"]
NUMBERS = [-1, 0, 2**63 - 1]
NAMES = ["", "x", "xy"]
KEYS: list[PrimaryKey] = [
    (("user", user), ("n", n), ("name", name)) for user, n, name in itertools.product(USERS, NUMBERS, NAMES)
]


def view_of(*routing_fields: str) -> IndexView:
    fields = (FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2, Metric.EUCLIDEAN)),)
    index = memory_index(IndexSchema(fields, routing_fields=routing_fields), COLUMNS)
    rows = [Row(key, [("v", f"[{place}, 0]", 1)]) for place, key in enumerate(KEYS)]
    return shared_out(index, rows, random.Random(3))


ANY = view_of()


def found(view: IndexView, values: list[KeyInput], query: Query = MatchAll()) -> list[PrimaryKey]:  # noqa: B008
    answer = search(routed(view, values), SearchRequest(query, limit=100, count_total=True))
    assert answer.total == len(answer.hits)
    return [hit.key for hit in answer.hits]


@pytest.mark.parametrize(
    "names", [("user",), ("n",), ("name",), ("user", "n"), ("user", "name"), ("user", "n", "name")]
)
def test_rows_with_these_values(names: tuple[str, ...]) -> None:
    wanted = [tuple((name, dict(key)[name]) for name in names) for key in KEYS]
    for value in dict.fromkeys(wanted):
        assert found(ANY, [value]) == [key for key, own in zip(KEYS, wanted, strict=True) if own == value]
    assert found(ANY, [wanted[0], wanted[-1]]) == [
        key for key, own in zip(KEYS, wanted, strict=True) if own in (wanted[0], wanted[-1])
    ]


def test_no_row_has_the_value() -> None:
    assert found(ANY, [(("user", "zz"),)]) == []


def test_the_index_says_which_columns() -> None:
    view = view_of("n", "user")
    value: KeyInput = (("user", "a"), ("n", 0))
    assert found(view, [value]) == [key for key in KEYS if dict(key)["user"] == "a" and dict(key)["n"] == 0]
    assert found(view, [value[::-1]]) == found(view, [value])
    with pytest.raises(ParameterInvalid, match=r"must have \['n', 'user'\]"):
        routed(view, [(("user", "a"),)])


def test_neighbours_are_those_among_these_rows() -> None:
    near = KnnVector("v", np.zeros(2, np.float32), 4)
    assert found(ANY, [(("user", "ab"),)], near) == [key for key in KEYS if dict(key)["user"] == "ab"]
    answer = search(routed(ANY, [(("user", "ab"),)]), SearchRequest(near, limit=4))
    assert [hit.key for hit in answer.hits] == [key for key in KEYS if dict(key)["user"] == "ab"][:4]


def test_documents_are_of_the_view_that_was_asked() -> None:
    """Rows that turn out to be gone are left out of it."""
    view = routed(ANY, [(("user", "a"),)])
    answer = search(view, SearchRequest(MatchAll(), limit=3))
    rest = search(view.without(answer.documents), SearchRequest(MatchAll(), limit=100))
    assert [hit.key for hit in rest.hits] == [key for key in KEYS if dict(key)["user"] == "a"][3:]


@pytest.mark.parametrize(
    "value",
    [(), (("x", 1),), (("user", 1),), (("n", "a"),), (("user", "a"), ("user", "a")), (("user", INF_MIN),)],
)
def test_values_that_are_none(value: Any) -> None:
    with pytest.raises(ParameterInvalid, match="a routing value"):
        routed(ANY, [value])
    with pytest.raises(ParameterInvalid, match="exceeds the max: 1000"):
        routed(replace(ANY), [value] * 1_001)
