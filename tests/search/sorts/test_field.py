"""Sorts by fields that rows may lack, by other fields instead, against plain Python, whatever parts rows are in."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import FieldSort, MatchAll, Missing, SearchRequest, SortMode
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

FIELDS: dict[str, list[Any]] = {
    "long": [-3, 0, 1, 2**60],
    "other_long": [-2, 0, 5, 2**62],
    "longs": [[1], [0, 4], [-9, 9], [2**60 + 1]],
    "double": [-1.5, 0.0, 2.5],
    "other_double": [-0.5, 0.0, 1e300],
    "keyword": ["", "b", "é", "x" * 80],
    "other_keyword": ["a", "b", "x" * 80 + "y", "zz"],
    "keywords": [["a", "q"], ["b"], ["x" * 80]],
}
TYPES = {"long": FieldType.LONG, "double": FieldType.DOUBLE, "keyword": FieldType.KEYWORD}


def type_of(name: str) -> FieldType:
    return TYPES[name.removeprefix("other_").removesuffix("s")]


SCHEMA = IndexSchema(
    tuple(FieldSchema(name, type_of(name), is_array=isinstance(values[0], list)) for name, values in FIELDS.items())
)
KEY = (KeyColumn("id", ColumnType.INTEGER),)
MISSING = {"long": [-(2**63), 3], "double": [0.25], "keyword": ["", "c", "x" * 80 + "z"]}


@st.composite
def field_sorts(draw: st.DrawFn) -> FieldSort:
    kind = draw(st.sampled_from(sorted(TYPES)))
    names = [name for name in FIELDS if type_of(name) is TYPES[kind]]
    name = draw(st.sampled_from(names))
    others = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    modes = [SortMode.MIN, SortMode.MAX, *([] if kind == "keyword" else [SortMode.AVG])]
    return FieldSort(
        name,
        draw(st.booleans()),
        draw(st.none() | st.sampled_from(modes)),
        draw(st.none() | st.sampled_from(Missing) | st.sampled_from(MISSING[kind])),
        tuple(others),
    )


class Turned:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Turned) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Turned) and self.value == other.value


def place_of(sorter: FieldSort, row: dict[str, Any]) -> tuple[int, Any]:
    values = [row[name] for name in (sorter.field, *sorter.missing_fields) if name in row]
    if not values and (sorter.missing is None or isinstance(sorter.missing, Missing)):
        return (0 if sorter.missing is Missing.FIRST else 2), 0
    value = values[0] if values else sorter.missing
    if isinstance(value, list):
        by_average = sorter.mode is SortMode.AVG
        least = sorter.mode is SortMode.MIN or (sorter.mode is None and not sorter.descending)
        value = sum(map(float, value)) / len(value) if by_average else (min if least else max)(value)
    elif sorter.mode is SortMode.AVG and "longs" in (sorter.field, *sorter.missing_fields):
        value = float(value)
    value = value.encode() if isinstance(value, str) else value
    return 1, Turned(value) if sorter.descending else value


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(field_sorts(), min_size=1, max_size=2), st.integers(1, 9), st.integers(0, 2**32))
def test_pages(shelf: Shelf, sorters: list[FieldSort], limit: int, seed: int) -> None:
    """Pages are of other parts by turns, as after merges: a token means the same in all of them."""
    rng = random.Random(seed)
    rows = {n: {name: rng.choice(FIELDS[name]) for name in FIELDS if rng.random() < 0.4} for n in range(16)}
    written = [
        Row(
            (("id", n),),
            sorted((name, str(v).replace("'", '"') if type(v) is list else v, 1) for name, v in row.items()),
        )
        for n, row in rows.items()
    ]
    index = memory_index(SCHEMA, KEY)
    expected = sorted(rows, key=lambda n: [*(place_of(sorter, rows[n]) for sorter in sorters), n])
    views = [shared_out(index, written, rng, shelf) for _ in range(2)]
    found: list[Any] = []
    request = SearchRequest(MatchAll(), tuple(sorters), limit=limit)
    for page in rows:
        answer = search(views[page % 2], request)
        found += [hit.key[0][1] for hit in answer.hits]
        if not answer.next_token:
            break
        request = SearchRequest(MatchAll(), limit=limit, token=answer.next_token)
    assert found == expected


@pytest.mark.parametrize(
    ("sorter", "says"),
    [
        (FieldSort("long", missing_fields=("nothing",)), "nothing does not exist"),
        (FieldSort("long", missing_fields=("double",)), r"double is of type DOUBLE, field: long of type LONG"),
        (FieldSort("keyword", mode=SortMode.AVG, missing_fields=("keywords",)), "no AVG"),
        (FieldSort("long", missing_fields=("other_long",) * 17), "17 missing fields, more than 16"),
    ],
)
def test_other_fields_that_do_not_fit(sorter: FieldSort, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(memory_index(SCHEMA, KEY).view(), SearchRequest(MatchAll(), (sorter,)))
