"""Data that is not nice: at limits, at the ends of what types hold, in two scripts at once, when clocks change."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from support.indexes import memory_index
from support.kinds import rows_of
from support.shared_out import segment_of
from support.stored_segments import Shelf

from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.view import IndexView
from lutra.model.aggregations import (
    Avg,
    Count,
    DateTimeUnit,
    DateTimeValue,
    DistinctCount,
    GroupByDateHistogram,
    GroupByField,
    GroupKeySort,
    Max,
    Min,
    Sum,
)
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPoint, GeoPolygon
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, TextOptions, VectorOptions
from lutra.model.nested import InnerHits, Nested
from lutra.model.queries import (
    Bool,
    Exists,
    FieldSort,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Operator,
    Prefix,
    Query,
    Range,
    SearchRequest,
    Sorter,
    Suffix,
    Term,
    Wildcard,
)
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import Answer, search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
BERLIN = ZoneInfo("Europe/Berlin")


class Asked:
    """The same rows in a buffer and in a segment, which are asked the same."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.index: SearchIndex | None = None
        self._views: list[IndexView] = []

    def of(self, *fields: FieldSchema, rows: list[Mapping[str, Any]]) -> Asked:
        self.index = memory_index(IndexSchema(fields), KEY)
        written = rows_of(rows)
        self.index.apply(written)
        buffered = self.index.view()
        segment = segment_of(self.index, written, [], random.Random(1), self._shelf)
        self._views = [buffered, replace(buffered, parts=(segment,))]
        return self

    def search(self, request: SearchRequest) -> Answer:
        answers = [search(view, request) for view in self._views]
        shown = [(list(map(repr, a.hits)), a.total, a.next_token, repr(a.aggregated)) for a in answers]
        assert shown[0] == shown[1]
        return answers[0]

    def found(self, query: Query, *sort: Sorter) -> list[int]:
        """The numbers of the rows."""
        hits = self.search(SearchRequest(query, sort, limit=1_000)).hits
        return [int(hit.key[0][1]) for hit in hits]  # type: ignore[call-overload]

    def left_out(self) -> dict[str, int]:
        """Values that are not in the index, by column."""
        assert self.index is not None
        return dict(self.index.unindexed)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    shelf = Shelf(tmp_path)
    yield Asked(shelf)
    shelf.close()


TEXTS = [
    "Lutra 是开源的 table store",
    "阿里云表格存储 Tablestore 的搜索",
    "the table store of Lutra",
    "开源table与store",
    "",
]


@pytest.mark.parametrize("analyzer", [None, "max_word", "min_word"])
def test_chinese_and_english_in_one_text(asked: Asked, analyzer: str | None) -> None:
    field = FieldSchema("t", FieldType.TEXT, text=TextOptions(analyzer))
    asked.of(field, rows=[{"t": text} for text in TEXTS])
    assert asked.found(Match("t", "开源 TABLE", Operator.AND)) == [0, 3]
    assert asked.found(Match("t", "lutra store", Operator.AND)) == [0, 2]
    assert asked.found(MatchPhrase("t", "table store")) == [0, 2]
    assert asked.found(MatchPhrase("t", "开源table")) == [3]
    assert asked.found(Bool(must=(Match("t", "tablestore"),), must_not=(Match("t", "lutra"),))) == [1]
    assert asked.found(Prefix("t", "tabl")) == [0, 1, 2, 3]
    assert asked.found(Exists("t")) == [0, 1, 2, 3, 4]


def test_keywords_of_two_scripts_sort_by_their_bytes(asked: Asked) -> None:
    words = ["开源", "Z", "a", "é", "𠮷", "\ufffd", ""]
    asked.of(FieldSchema("k", FieldType.KEYWORD), rows=[{"k": word} for word in words])
    by_bytes = sorted(range(len(words)), key=lambda n: words[n].encode())
    assert asked.found(MatchAll(), FieldSort("k")) == by_bytes
    assert asked.found(Range("k", "é", None)) == [0, 3, 4, 5]
    groups = GroupByField("g", "k", 100, (GroupKeySort(),))
    answer = asked.search(SearchRequest(MatchAll(), limit=0, group_bys=(groups,)))
    assert answer.aggregated is not None
    assert [group.key for group in answer.aggregated.group_bys["g"].groups] == [words[n] for n in by_bytes]


def test_not_a_number_and_infinities(asked: Asked) -> None:
    """NaN is no value of a field; the infinities are, and come at the ends."""
    values = [math.nan, math.inf, -math.inf, 0.5, -0.0, None]
    asked.of(FieldSchema("x", FieldType.DOUBLE), rows=[{"x": value} for value in values])
    assert asked.found(Exists("x")) == [1, 2, 3, 4]
    assert asked.left_out() == {"x": 1}
    assert asked.found(MatchAll(), FieldSort("x")) == [2, 4, 3, 1, 0, 5]
    assert asked.found(MatchAll(), FieldSort("x", True)) == [1, 3, 4, 2, 0, 5]
    assert asked.found(Range("x", 0.0, math.inf)) == [1, 3, 4]
    assert asked.found(Range("x", None, math.inf, include_upper=False)) == [2, 3, 4]
    assert asked.found(Term("x", 0)) == [4]
    with pytest.raises(ParameterInvalid):
        asked.found(Term("x", math.nan))
    wanted = (Sum("sum", "x"), Avg("avg", "x"), Min("min", "x"), Max("max", "x"), Count("count", "x"))
    answer = asked.search(SearchRequest(MatchAll(), limit=0, aggregations=(*wanted, DistinctCount("distinct", "x"))))
    assert answer.aggregated is not None
    results: Any = answer.aggregated.aggregations
    assert math.isnan(results["sum"].value)
    assert (results["min"].value, results["max"].value) == (-math.inf, math.inf)
    assert (results["count"].value, results["distinct"].value) == (4, 4)


def test_vectors_that_are_none(asked: Asked) -> None:
    values = ["[1, NaN]", "[1e39, 0]", "[1, 2, 3]", "[]", "", "[1, 2]", np.array([1, math.inf], "<f4").tobytes()]
    asked.of(FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)), rows=[{"v": value} for value in values])
    assert asked.found(Exists("v")) == [5]
    assert asked.left_out() == {"v": 6}
    assert asked.found(KnnVector("v", np.array([0, 0], np.float32), 10)) == [5]
    for element in (math.nan, math.inf):
        with pytest.raises(ParameterInvalid, match="not a finite float32"):
            asked.found(KnnVector("v", np.array([0, element], np.float32), 10))


def test_empty_strings_are_values(asked: Asked) -> None:
    fields = [FieldSchema(name, FieldType.KEYWORD, is_array=name == "many") for name in ("k", "many")]
    asked.of(*fields, rows=[{"k": "", "many": '[""]'}, {"k": "a", "many": "[]"}, {}])
    assert asked.found(Exists("k")) == [0, 1]
    assert asked.found(Exists("many")) == [0]
    assert asked.found(Term("k", "")) == [0]
    assert asked.found(Wildcard("k", "")) == [0]
    assert asked.found(Prefix("k", "")) == asked.found(Suffix("k", "")) == [0, 1]
    assert asked.found(MatchAll(), FieldSort("k")) == [0, 1, 2]


def test_keywords_of_4_kb(asked: Asked) -> None:
    """One byte more is left out, and counted."""
    longest, characters = "k" * 4_095, "茶" * 1_365
    values = [longest + "a", longest + "b", longest + "ab", characters, characters + "茶", "茶" * 1_366]
    asked.of(FieldSchema("k", FieldType.KEYWORD), rows=[{"k": value} for value in values])
    assert asked.found(Exists("k")) == [0, 1, 3]
    assert asked.left_out() == {"k": 3}
    assert asked.found(Term("k", longest + "b")) == [1]
    assert asked.found(Prefix("k", "k" * 900)) == [0, 1]
    assert asked.found(Suffix("k", "kb")) == [1]
    assert asked.found(MatchAll(), FieldSort("k", True)) == [3, 1, 0, 2, 4, 5]
    with pytest.raises(ParameterInvalid, match="no value of that type"):
        asked.found(Term("k", longest + "ab"))


def test_texts_of_2_mb(asked: Asked) -> None:
    """The last words of one are found as the first are."""
    filler = "word " * (2 * 1024 * 1024 // 5 - 6)
    rows = [{"t": "alpha beta " + filler + "omega end"}, {"t": "omega"}, {"t": "茶" * (2 * 1024 * 1024 // 3)}]
    assert all(len(row["t"].encode()) <= 2 * 1024 * 1024 for row in rows)
    asked.of(FieldSchema("t", FieldType.TEXT), rows=rows)
    assert asked.left_out() == {}
    assert asked.found(Match("t", "omega")) == [0, 1]
    assert asked.found(MatchPhrase("t", "omega end")) == [0]
    assert asked.found(MatchPhrase("t", "alpha beta word")) == [0]
    assert asked.found(MatchPhrase("t", "茶茶茶")) == [2]
    assert asked.found(Bool(must=(Match("t", "word"),), must_not=(Match("t", "alpha"),))) == []


def test_nested_arrays_of_256(asked: Asked) -> None:
    """The last object is found as the first is; one more, and none is."""
    items = FieldSchema("items", FieldType.NESTED, fields=(FieldSchema("n", FieldType.LONG),))
    arrays = [[{"n": row * 1_000 + n} for n in range(count)] for row, count in enumerate((256, 257, 0, 1))]
    asked.of(items, rows=[{"items": json.dumps(array)} for array in arrays])
    assert asked.left_out() == {"items": 1}
    assert asked.found(Nested("items", Term("items.n", 0))) == [0]
    assert asked.found(Nested("items", Term("items.n", 255))) == [0]
    assert asked.found(Nested("items", Range("items.n", 1_000, 1_999))) == []
    assert asked.found(Exists("items")) == asked.found(Nested("items", MatchAll())) == [0, 3]
    query = Nested("items", Range("items.n", 250, None), inner_hits=InnerHits((FieldSort("items.n", True),), limit=2))
    answer = asked.search(SearchRequest(query, limit=10))
    assert [[inner.offsets for inner in hits["items"]] for hits in answer.inner_hits] == [[(255,), (254,)], [(0,)]]


def hours(first: dt.datetime, count: int) -> list[Mapping[str, Any]]:
    """A row for each hour that passes."""
    begin_ms = int(first.timestamp()) * 1_000
    return [{"at": begin_ms + hour * 3_600_000} for hour in range(count)]


@pytest.mark.parametrize(("change", "length"), [(dt.date(2024, 3, 31), 23), (dt.date(2024, 10, 27), 25)])
def test_days_and_weeks_when_clocks_change(asked: Asked, change: dt.date, length: int) -> None:
    """A day counts once, however many hours it has; a week is not split."""
    monday = change - dt.timedelta(6)
    rows = hours(dt.datetime.combine(monday, dt.time(), BERLIN), 6 * 24 + length + 7 * 24)
    asked.of(FieldSchema("at", FieldType.DATE), rows=rows)
    for unit, counts, step in (
        (DateTimeUnit.DAY, [24] * 6 + [length] + [24] * 7, 1),
        (DateTimeUnit.WEEK, [6 * 24 + length, 7 * 24], 7),
    ):
        groups = GroupByDateHistogram("g", "at", DateTimeValue(1, unit), "Europe/Berlin", sort=(GroupKeySort(),))
        answer = asked.search(SearchRequest(MatchAll(), limit=0, group_bys=(groups,)))
        assert answer.aggregated is not None
        found = answer.aggregated.group_bys["g"].groups
        assert [group.rows for group in found] == counts
        begins = [dt.datetime.combine(monday + dt.timedelta(step * n), dt.time(), BERLIN) for n in range(len(counts))]
        assert [group.key for group in found] == [int(begin.timestamp()) * 1_000 for begin in begins]


def test_one_moment_in_several_zones(asked: Asked) -> None:
    texts = [
        "2024-03-31T01:59:59+01:00",
        "2024-03-31T03:00:00+02:00",
        "2024-03-31T01:00:00Z",
        "2024-03-30T18:00:00-07:00",
    ]
    field = FieldSchema("at", FieldType.DATE, date_formats=("yyyy-MM-dd'T'HH:mm:ssXXX",))
    asked.of(field, rows=[{"at": text} for text in texts])
    assert asked.found(Term("at", "2024-03-31T09:00:00+08:00")) == [1, 2, 3]
    assert asked.found(Range("at", None, dt.datetime(2024, 3, 31, 1, tzinfo=dt.UTC), include_upper=False)) == [0]
    groups = GroupByDateHistogram("g", "at", DateTimeValue(1, DateTimeUnit.HOUR), "+05:30", sort=(GroupKeySort(),))
    answer = asked.search(SearchRequest(MatchAll(), limit=0, group_bys=(groups,)))
    assert answer.aggregated is not None
    second_ms = int(dt.datetime(2024, 3, 31, 1, tzinfo=dt.UTC).timestamp()) * 1_000
    assert [(group.key, group.rows) for group in answer.aggregated.group_bys["g"].groups] == [
        (second_ms - 1_800_000, 4)
    ]


def test_points_at_poles_and_across_the_date_line(asked: Asked) -> None:
    places = ["90,0", "90,123", "-90,5", "0,180", "0,-180", "10,179.5", "10,-179.5", "0,0"]
    asked.of(FieldSchema("p", FieldType.GEO_POINT), rows=[{"p": place} for place in places])
    assert asked.found(GeoDistance("p", GeoPoint(90, -60), 1.0)) == [0, 1]
    assert asked.found(GeoDistance("p", GeoPoint(89.99, 0), 5_000)) == [0, 1]
    assert asked.found(GeoDistance("p", GeoPoint(0, 179.999), 200)) == [3, 4]
    assert asked.found(GeoBoundingBox("p", GeoPoint(20, 179), GeoPoint(-20, -179))) == [3, 4, 5, 6]
    assert asked.found(GeoBoundingBox("p", GeoPoint(90, 40), GeoPoint(80, 50))) == [0, 1]
    across = tuple(GeoPoint(lat, lon) for lat, lon in ((5, 179), (5, -179), (15, -179), (15, 179)))
    assert asked.found(GeoPolygon("p", across)) == [5, 6]
    round_the_pole = tuple(GeoPoint(-80, lon) for lon in (0, 120, -120))
    assert asked.found(GeoPolygon("p", round_the_pole)) == [2]


@pytest.mark.parametrize(
    ("ring", "says"),
    [
        ([(0, 0), (10, 10), (0, 10), (10, 0)], "crosses or touches itself"),
        ([(0, 0), (10, 10)], "at least 3 points"),
        ([(0, 0), (10, 10), (0, 0)], "at least 3 points"),
        ([(0, 0), (91, 10), (0, 10)], "point 1"),
    ],
)
def test_polygons_that_are_refused(asked: Asked, ring: list[tuple[float, float]], says: str) -> None:
    asked.of(FieldSchema("p", FieldType.GEO_POINT), rows=[{"p": "0,0"}])
    with pytest.raises(ParameterInvalid, match=says):
        asked.found(GeoPolygon("p", tuple(GeoPoint(*place) for place in ring)))
