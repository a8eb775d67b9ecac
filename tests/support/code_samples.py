"""A table, an index and searches of every kind, for tests of the code that the console writes; and texts that programs
trip over."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np

from lutra.model import aggregations as found
from lutra.model.geo import (
    DistanceType,
    GeoBoundingBox,
    GeoDistance,
    GeoDistanceSort,
    GeoPoint,
    GeoPolygon,
)
from lutra.model.indexes import (
    FieldSchema,
    FieldType,
    FuzzyParameters,
    IndexSchema,
    JsonType,
    Metric,
    SingleWordParameters,
    SplitParameters,
    TextOptions,
    TextSimilarity,
    VectorOptions,
)
from lutra.model.nested import InnerHits, Nested, NestedFilter, ScoreMode
from lutra.model.queries import (
    Bool,
    ColumnsToGet,
    DocSort,
    Exists,
    FieldSort,
    FragmentOrder,
    Highlight,
    HighlightEncoder,
    HighlightField,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Missing,
    Operator,
    Prefix,
    PrimaryKeySort,
    Query,
    Range,
    ReturnColumns,
    ScoreSort,
    SearchRequest,
    SortMode,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.schema import (
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    StreamSpec,
    TableOptions,
    TableSchema,
)
from lutra.model.scoring import ConstScore, DisMax
from lutra.model.values import ColumnType

NASTY = (
    "plain",
    "",
    'it\'s "quoted" and `ticked`',
    "back\\slash \\n \\u0041 \\\\u0022 ${HOME} $1 %s {0}",
    "lines\nand\r\nmore\ttabs\x00\x07\x1b\x7f",
    "</script><!-- ]]> */ // # --",
    "水獺 и 🦦 é \u202e \u2028 \u2029 \ufeff \U000e0041",
    '"; import os; os.abort() #',
    "\\",
    '\\"',
)

TABLE = TableSchema(
    "otters",
    (KeyColumn("id", ColumnType.STRING), KeyColumn("n", ColumnType.INTEGER), KeyColumn("b", ColumnType.BINARY)),
    defined=(DefinedColumn("kind", ColumnType.STRING), DefinedColumn("likes", ColumnType.INTEGER)),
    options=TableOptions(max_deviation_s=3_600),
    indexes=(
        SecondaryIndex("by_kind", ("kind", "id"), ("likes",)),
        SecondaryIndex("by_likes", ("id", "likes"), (), IndexKind.LOCAL),
    ),
)
ASKED = TableSchema("asked", TABLE.key)
"""With the index `SCHEMA`, called ``search``."""
STREAMED = TableSchema(
    "streamed",
    (KeyColumn("id", ColumnType.INTEGER), KeyColumn("number", ColumnType.INTEGER, auto_increment=True)),
    options=TableOptions(ttl_s=864_000, max_versions=1, allow_update=False),
    stream=StreamSpec(24),
)
"""Its rows end, and are not updated: what an index with a life of its own needs."""


def _field(name: str, type_: FieldType, **options: object) -> FieldSchema:
    return FieldSchema(name, type_, **options)  # type: ignore[arg-type]


PLAIN_FIELDS = (
    _field("kind", FieldType.KEYWORD),
    _field("likes", FieldType.LONG, sort_and_aggregate=True),
    _field("price", FieldType.DOUBLE),
    _field("is_new", FieldType.BOOLEAN),
    _field("tags", FieldType.KEYWORD, is_array=True),
    _field("title", FieldType.TEXT, text=TextOptions("single_word")),
    _field("long", FieldType.TEXT, text=TextOptions("max_word")),
    _field("place", FieldType.GEO_POINT),
    _field(
        "items",
        FieldType.NESTED,
        fields=(
            _field("sku", FieldType.KEYWORD),
            _field("count", FieldType.LONG),
            _field("text", FieldType.TEXT, text=TextOptions("single_word")),
        ),
    ),
)
"""Those of which every SDK knows."""
MORE_FIELDS = (
    _field("at", FieldType.DATE, date_formats=("yyyy-MM-dd HH:mm:ss", "epoch_millis")),
    _field("v", FieldType.VECTOR, vector=VectorOptions(4, Metric.COSINE)),
    _field("w", FieldType.VECTOR, vector=VectorOptions(2, Metric.DOT_PRODUCT)),
    _field(
        "shown",
        FieldType.TEXT,
        text=TextOptions("single_word", SingleWordParameters(True, True), highlighting=True),
    ),
    _field("cut", FieldType.TEXT, text=TextOptions("split", SplitParameters('",\\'))),
    _field("parts", FieldType.TEXT, text=TextOptions("fuzzy", FuzzyParameters(2, 4))),
    _field("words", FieldType.TEXT, text=TextOptions("min_word")),
    _field(
        "said",
        FieldType.NESTED,
        fields=(
            _field("text", FieldType.TEXT, text=TextOptions("single_word", highlighting=True)),
            _field("at", FieldType.DATE),
        ),
    ),
    _field("likes_text", FieldType.KEYWORD, is_virtual=True, sources=("likes",)),
)
"""Those of which all but Go's know."""
JSON_FIELDS = (
    _field("author", FieldType.JSON, json_type=JsonType.OBJECT, fields=(_field("name", FieldType.KEYWORD),)),
    _field("notes", FieldType.JSON, json_type=JsonType.NESTED, fields=(_field("said", FieldType.KEYWORD),)),
    _field("hidden", FieldType.LONG, index=False, sort_and_aggregate=True),
)
"""Those of Python's and Java's."""
NUMBERED_FIELDS = (
    _field("file", FieldType.FUZZY_KEYWORD),
    _field("address", FieldType.IP),
    _field("flat", FieldType.FLATTENED),
)
"""Those of Java's, and of Node's by their numbers."""
BM25_FIELD = _field("ranked", FieldType.TEXT, text=TextOptions("single_word", None, TextSimilarity.BM25))
SCHEMA = IndexSchema((*PLAIN_FIELDS, *MORE_FIELDS, *JSON_FIELDS, *NUMBERED_FIELDS))
SORTED = IndexSchema(
    (_field("kind", FieldType.KEYWORD), _field("likes", FieldType.LONG)),
    sort=(FieldSort("likes", descending=True, mode=SortMode.MAX), PrimaryKeySort()),
    routing_fields=("id",),
)
ENDING = IndexSchema((_field("kind", FieldType.KEYWORD),), ttl_s=864_000)

HERE = GeoPoint(52.5, 13.25)
_V = np.array([0.1, -2.5, 3e-7, 1], np.float32)
_BY_SCORE = (ScoreSort(),)
_ALL = ColumnsToGet(ReturnColumns.ALL)


def _search(query: Query, *sort: object, **options: object) -> SearchRequest:
    return SearchRequest(query, sort, limit=options.pop("limit", 10), **options)  # type: ignore[arg-type]


QUERIES: dict[str, Query] = {
    "match all": MatchAll(),
    "term": Term("kind", "otter"),
    "long term": Term("likes", -(2**60)),
    "double term": Term("price", 0.1),
    "true": Term("is_new", True),
    "false": Term("is_new", False),
    "date": Term("at", "2024-01-02 03:04:05"),
    "moment": Range("at", dt.datetime(2024, 1, 2, tzinfo=dt.UTC), None),
    "terms": Terms("likes", (1, 2, 2**62)),
    "range": Range("price", 1.5, 2.0, include_lower=False, include_upper=True),
    "open range": Range("likes", upper=7, include_upper=False),
    "prefix": Prefix("kind", "ott"),
    "suffix": Suffix("kind", "ter"),
    "wildcard": Wildcard("kind", "o*t?r"),
    "exists": Exists("tags"),
    "match": Match("title", "river otter"),
    "match all words": Match("title", "river otter", Operator.AND),
    "match two": Match("title", "a b c", minimum_should_match=2),
    "phrase": MatchPhrase("title", "sea otter"),
    "bool": Bool(
        must=(Term("kind", "a"), Exists("price")),
        must_not=(Term("is_new", True),),
        filter=(Range("likes", 1, 5),),
        should=(Prefix("kind", "b"), Term("tags", "c")),
        minimum_should_match=1,
    ),
    "or": Bool(should=(Term("kind", "a"), Bool(must_not=(Term("kind", "b"),)))),
    "box": GeoBoundingBox("place", GeoPoint(53.0, 13.0), GeoPoint(52.0, 14.0)),
    "distance": GeoDistance("place", HERE, 1_500.5),
    "polygon": GeoPolygon("place", (GeoPoint(0.0, 0.0), GeoPoint(0.0, 1.0), GeoPoint(1.5, 1.0))),
    "nested": Nested(
        "items",
        Bool(must=(Term("items.sku", "a"), Range("items.count", 2, None, include_lower=False))),
        ScoreMode.MAX,
    ),
    "nearest": KnnVector("v", _V, 10),
    "nearest of some": KnnVector("v", _V, 20, Bool(filter=(Term("kind", "a"), Exists("tags"))), weight=2.0),
}
"""What every SDK can say, in one way or another."""
MORE_QUERIES: dict[str, Query] = {
    "constant": ConstScore(Term("kind", "otter")),
    "weight": Term("kind", "otter", weight=2.5),
    "slop": MatchPhrase("title", "sea otter", slop=2),
    "share": Bool(should=(Term("kind", "a"), Term("kind", "b")), minimum_should_match="50%"),
    "near enough": KnnVector("v", _V, 10, min_score=0.25, num_candidates=500),
    "inner hits": Nested(
        "said",
        Match("said.text", "x"),
        inner_hits=InnerHits((FieldSort("said.at", descending=True),), 1, 2, Highlight((HighlightField("said.text"),))),
    ),
    "best of": DisMax((Match("title", "a"), Match("long", "a")), tie_breaker=0.5),
    **{f"nasty {number}": Bool(should=(Term("kind", text), Match("title", text))) for number, text in enumerate(NASTY)},
}
_PAGE = found.GroupByField(
    "kinds",
    "kind",
    5,
    (found.SubAggregationSort("most", descending=True), found.GroupKeySort()),
    aggregations=(found.Max("most", "likes"), found.TopRows("best", 2, (FieldSort("price"), PrimaryKeySort()))),
    group_bys=(found.GroupByField("new", "is_new"),),
)
SEARCHES: dict[str, SearchRequest] = {
    **{name: _search(query) for name, query in QUERIES.items()},
    "by score": _search(Match("title", "otter"), *_BY_SCORE, columns=_ALL, count_total=True),
    "by key": _search(MatchAll(), PrimaryKeySort(descending=True), limit=3, offset=4),
    "by field": _search(
        MatchAll(),
        FieldSort("likes", descending=True, mode=SortMode.MIN),
        FieldSort("items.count", nested_filter=NestedFilter("items", Term("items.sku", "a"))),
        PrimaryKeySort(),
        columns=ColumnsToGet(ReturnColumns.SPECIFIED, ("kind", "likes")),
    ),
    "by distance": _search(
        MatchAll(),
        GeoDistanceSort("place", (HERE, GeoPoint(1.0, 2.0)), True, SortMode.AVG),
    ),
    "collapse": _search(Match("title", "otter"), *_BY_SCORE, collapse="kind"),
}
"""As `QUERIES`."""
MORE_SEARCHES: dict[str, SearchRequest] = {
    **{name: _search(query) for name, query in MORE_QUERIES.items()},
    "by plane": _search(MatchAll(), GeoDistanceSort("place", (HERE,), distance_type=DistanceType.PLANE)),
    "docs": _search(MatchAll(), DocSort(), columns=ColumnsToGet(ReturnColumns.ALL_FROM_INDEX)),
    "missing": _search(
        MatchAll(),
        FieldSort("likes", missing=7),
        FieldSort("kind", missing=Missing.FIRST),
        FieldSort("likes", missing_fields=("hidden",)),
    ),
    "highlight": _search(
        Match("shown", "otter"),
        *_BY_SCORE,
        highlight=Highlight(
            (HighlightField("shown", 2, 50, "<b>", "</b>", FragmentOrder.SCORE),), HighlightEncoder.HTML
        ),
    ),
    "filtered": _search(Match("title", "otter"), *_BY_SCORE, filter=Term("kind", "a")),
    "counted up to": _search(MatchAll(), count_total=True, count_max=12),
    "aggregations": _search(
        MatchAll(),
        limit=0,
        aggregations=(
            found.Avg("a", "price", 1.5),
            found.Max("b", "likes"),
            found.Min("c", "at"),
            found.Sum("d", "likes", 3),
            found.Count("e", "tags"),
            found.DistinctCount("f", "kind", "none"),
            found.Percentiles("g", "price", (50.0, 99.5)),
            found.TopRows("h", 3),
            found.Count('it\'s "i"', "*"),
        ),
    ),
    "group by field": _search(MatchAll(), limit=0, group_bys=(_PAGE,)),
    "group by ranges": _search(
        MatchAll(),
        limit=0,
        group_bys=(
            found.GroupByRange("r", "price", ((-math.inf, 1.0), (1.0, 2.5), (2.5, math.inf))),
            found.GroupByGeoDistance("d", "place", HERE, ((0.0, 1_000.0), (1_000.0, math.inf))),
            found.GroupByFilter("f", (Term("kind", "a"), Range("likes", 5))),
        ),
    ),
    "histograms": _search(
        MatchAll(),
        limit=0,
        group_bys=(
            found.GroupByHistogram("h", "likes", 5, field_range=(0, 100), min_doc_count=0),
            found.GroupByDateHistogram(
                "m",
                "at",
                found.DateTimeValue(1, found.DateTimeUnit.MONTH),
                "Europe/Berlin",
                sort=(found.GroupKeySort(descending=True),),
            ),
            found.GroupByGeoGrid("g", "place", 4, 7),
        ),
    ),
    "composite": _search(
        MatchAll(),
        limit=0,
        group_bys=(
            found.GroupByComposite(
                "c",
                (found.GroupByField("k", "kind"), found.GroupByField("n", "is_new", sort=(found.GroupKeySort(True),))),
                20,
                aggregations=(found.Avg("a", "price"),),
            ),
        ),
    ),
    "offset histogram": _search(
        MatchAll(),
        limit=0,
        group_bys=(found.GroupByHistogram("h", "price", 2.5, 0.5, 1.5, sort=(found.RowCountSort(),)),),
    ),
    "min doc count": _search(MatchAll(), limit=0, group_bys=(found.GroupByField("k", "kind", min_doc_count=2),)),
}
"""What some SDKs have no words for."""
