"""Rows sorted by documents within them: as a plain model, in a buffer, in segments, and in both."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.nested_queries import (
    KEYWORDS,
    LONGS,
    Doc,
    docs_of,
    filled,
    found,
    index_of,
    random_query,
    random_rows,
    row_of,
)
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoDistanceSort, GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.nested import NestedFilter
from lutra.model.queries import Exists, FieldSort, MatchAll, Missing, SearchRequest, SortMode, Term, Terms
from lutra.search import search


def random_sort(rng: random.Random) -> FieldSort:
    """By documents within rows."""
    path = rng.choice(["items", "items.parts"])
    name = rng.choice([*LONGS[path], KEYWORDS[path]])
    is_number = name in LONGS[path]
    mode = rng.choice([None, SortMode.MIN, SortMode.MAX, *([SortMode.AVG] if is_number else [])])
    missing = rng.choice([None, Missing.FIRST, 2 if is_number else "c"])
    within = NestedFilter(path, random_query(rng, path, rng.randint(0, 2)))
    return FieldSort(name, rng.random() < 0.5, mode, missing, nested_filter=within)


def sorted_rows(docs: list[Doc], sort: FieldSort) -> list[int]:
    """As the model has it: by value, then by key; rows without a value where the sort says."""
    assert sort.nested_filter is not None
    path = sort.nested_filter.path
    matching = found(sort.nested_filter.filter, [child for doc in docs for child in doc.at(path)])
    mode = sort.mode if sort.mode is not None else SortMode.MAX if sort.descending else SortMode.MIN

    def value(doc: Doc) -> Any:
        values = [v for child in doc.at(path) if child in matching for v in child.values.get(sort.field, [])]
        if not values:
            return None if isinstance(sort.missing, Missing) else sort.missing
        return sum(values) / len(values) if mode is SortMode.AVG else (min if mode is SortMode.MIN else max)(values)

    valued = {doc.row: value(doc) for doc in docs}
    rows = sorted(valued)
    having = sorted(
        (row for row in rows if valued[row] is not None), key=lambda row: valued[row], reverse=sort.descending
    )
    absent = [row for row in rows if valued[row] is None]
    return absent + having if sort.missing is Missing.FIRST else having + absent


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_sorts_by_documents(shelf: Shelf, seed: int) -> None:
    """Page by page, over one sharing out of the rows after the other: a token carries the filter."""
    rng = random.Random(seed)
    rows = random_rows(rng, rng.choice([3, 15, 40]))
    docs, index = docs_of(rows), filled(rng, rows)
    view = shared_out(index, [row_of(number, columns) for number, columns in rows.items()], rng, shelf)
    for _ in range(3):
        sort = random_sort(rng)
        request, seen = SearchRequest(MatchAll(), (sort,), limit=7), []
        for page in range(10):
            answer = search((index.view(), view)[page % 2], request)
            seen += [hit.key[0][1] for hit in answer.hits]
            if not answer.next_token:
                break
            request = SearchRequest(MatchAll(), limit=7, token=answer.next_token)
        assert seen == sorted_rows(docs, sort), sort


def test_sorts_by_points_of_documents() -> None:
    place = FieldSchema("at", FieldType.GEO_POINT)
    schema = IndexSchema((FieldSchema("items", FieldType.NESTED, fields=(place, FieldSchema("n", FieldType.LONG))),))
    rows = {1: [{"at": "0,3"}, {"at": "0,1", "n": 1}], 2: [{"at": "0,2", "n": 1}], 3: [{"at": "0,0.5"}], 4: []}
    index = index_of(rows, schema)
    within = NestedFilter("items", Exists("items.n"))

    def order(**more: Any) -> list[Any]:
        sort = GeoDistanceSort("items.at", (GeoPoint(0, 0),), **more)
        return [hit.key[0][1] for hit in search(index.view(), SearchRequest(MatchAll(), (sort,))).hits]

    assert order(nested_filter=within) == [1, 2, 3, 4]
    everything = NestedFilter("items", MatchAll())
    assert order(nested_filter=everything) == [3, 1, 2, 4]
    assert order(nested_filter=everything, descending=True) == [1, 2, 3, 4]
    assert order(nested_filter=everything, mode=SortMode.AVG) == [3, 1, 2, 4]
    with pytest.raises(ParameterInvalid, match="use a nested_filter of that path"):
        order()


@pytest.mark.parametrize(
    ("sort", "says"),
    [
        (
            FieldSort("items.price"),
            r"\[field_sort\] field: items.price is in the nested field items: use a nested_filter",
        ),
        (FieldSort("items.price", nested_filter=NestedFilter("no", MatchAll())), "path no is no nested field"),
        (FieldSort("items.price", nested_filter=NestedFilter("title", MatchAll())), "path title is no nested field"),
        (
            FieldSort("title", nested_filter=NestedFilter("items", MatchAll())),
            "title is not below the nested field items",
        ),
        (
            FieldSort("items.parts.size", nested_filter=NestedFilter("items", MatchAll())),
            "items.parts.size is in the nested field items.parts",
        ),
        (FieldSort("items.price", nested_filter=NestedFilter("items", Term("title", "a"))), "title is not below"),
        (FieldSort("items.color", mode=SortMode.AVG, nested_filter=NestedFilter("items", MatchAll())), "AVG"),
        (
            FieldSort("items.price", nested_filter=NestedFilter("items", Terms("items.color", ("x" * 4_000,) * 20))),
            "more than 65536 bytes of a token",
        ),
    ],
)
def test_refuses_sorts(sort: FieldSort, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(index_of({1: []}).view(), SearchRequest(MatchAll(), (sort,)))
