"""Queries and sorters as the official SDK encodes them arrive as the model's; what is not served is named."""

from __future__ import annotations

from dataclasses import astuple, is_dataclass

import numpy as np
import pytest
import tablestore as ots
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from tablestore.encoder import OTSProtoBufferEncoder
from tablestore.protobuf import search_pb2 as sdk

from lutra.kernels.plainbuffer import encode_variant
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
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
    PrimaryKeySort,
    Query,
    Range,
    ScoreSort,
    SortMode,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.values import INF_MAX, INF_MIN, INT64_MAX, INT64_MIN
from lutra.server.protocol.query_messages import parse_query, parse_sort, sort_message
from lutra.server.wire import query_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf8")

_names = st.text(min_size=1, max_size=6)
_values = st.integers(INT64_MIN, INT64_MAX) | st.floats(allow_nan=False) | st.booleans() | st.text(max_size=6)
_weights = st.floats(0, 1e6, width=32)
_minimums = st.none() | st.integers(0, 3) | st.sampled_from(["75%", "2"])
_vectors = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=6).map(lambda v: np.array(v, np.float32))
_leaves = (
    st.just(MatchAll())
    | st.builds(Term, _names, _values, _weights)
    | st.builds(Terms, _names, st.lists(_values, min_size=1, max_size=3).map(tuple), _weights)
    | st.builds(Range, _names, _values | st.none(), _values | st.none(), st.booleans(), st.booleans())
    | st.builds(Prefix, _names, st.text(max_size=6), _weights)
    | st.builds(Wildcard, _names, st.text(max_size=6), _weights)
    | st.builds(Match, _names, st.text(max_size=6), st.sampled_from(Operator), _minimums, _weights)
    | st.builds(MatchPhrase, _names, st.text(max_size=6), st.integers(0, 5), _weights)
    | st.builds(Exists, _names)
)


def _branches(parts: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    several = st.lists(parts, max_size=2).map(tuple)
    bools = st.builds(
        Bool,
        several,
        several,
        several,
        several,
        _minimums,
        _weights,
    )
    top_ks, filters, min_scores = st.integers(1, 1_000), st.none() | parts, st.none() | _weights
    knns = st.builds(KnnVector, _names, _vectors, top_ks, filters, _weights, min_scores)
    return bools | knns


queries = st.recursive(_leaves, _branches, max_leaves=6)


def sdk_query(query: Query) -> ots.Query:
    """The same query in the SDK's terms."""
    match query:
        case MatchAll():
            return ots.MatchAllQuery()
        case Term(field, value, weight):
            return ots.TermQuery(field, value, weight)
        case Terms(field, values, weight):
            return ots.TermsQuery(field, list(values), weight)
        case Range(field, lower, upper, include_lower, include_upper):
            return ots.RangeQuery(field, lower, upper, include_lower, include_upper)
        case Prefix(field, prefix, weight):
            return ots.PrefixQuery(field, prefix, weight)
        case Wildcard(field, pattern, weight):
            return ots.WildcardQuery(field, pattern, weight)
        case Match(field, text, operator, minimum, weight):
            return ots.MatchQuery(field, text, minimum, ots.QueryOperator(operator), weight)
        case MatchPhrase(field, text, slop, weight):
            return ots.MatchPhraseQuery(field, text, weight, slop)
        case Exists(field):
            return ots.ExistsQuery(field)
        case Bool():
            parts = [[sdk_query(q) for q in side] for side in (query.must, query.must_not, query.filter, query.should)]
            return ots.BoolQuery(*parts, minimum_should_match=query.minimum_should_match, weight=query.weight)
        case KnnVector():
            inner = None if query.filter is None else sdk_query(query.filter)
            vector = query.vector.tolist()
            return ots.KnnVectorQuery(query.field, query.top_k, vector, inner, query.weight, query.min_score)


def plain(query: object) -> object:
    """A query that compares by value: numpy arrays as lists, every part with its type."""
    if isinstance(query, np.ndarray):
        return query.tolist()
    if isinstance(query, tuple):
        return tuple(plain(part) for part in query)
    if is_dataclass(query):
        return (type(query), *(plain(getattr(query, name)) for name in query.__dataclass_fields__))
    return (type(query), query)


@given(queries)
def test_any_query_of_the_sdk(query: Query) -> None:
    message = sdk.Query()
    ENCODER._make_query(message, sdk_query(query))
    assert plain(parse_query(wire.Query.FromString(message.SerializeToString()))) == plain(query)


def wrapped(kind: int, body: Message | bytes) -> wire.Query:
    data = body if isinstance(body, bytes) else body.SerializeToString()
    return wire.Query(type=kind, query=data)


def complaint(query: wire.Query) -> str:
    with pytest.raises(ParameterInvalid) as caught:
        parse_query(query)
    return str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        ots.NestedQuery("p", ots.MatchAllQuery()),
        ots.GeoBoundingBoxQuery("f", "1,1", "0,2"),
        ots.GeoDistanceQuery("f", "1,1", 5),
        ots.GeoPolygonQuery("f", ["1,1", "0,2", "3,3"]),
        ots.FunctionScoreQuery(ots.MatchAllQuery(), ots.FieldValueFactor("f")),
        ots.DisMaxQuery([ots.MatchAllQuery()]),
    ],
    ids=lambda query: type(query).__name__,
)
def test_queries_not_served_are_named(query: ots.Query) -> None:
    message = sdk.Query()
    ENCODER._make_query(message, query)
    name = sdk.QueryType.Name(message.type).removesuffix("_QUERY")
    text = complaint(wire.Query.FromString(message.SerializeToString()))
    assert text == f"query type {name} is not supported"


def test_unknown_types_are_named() -> None:
    assert complaint(wrapped(99, b"")) == "query type 99 is not supported"
    assert complaint(wire.Query()) == "a query has no type"


def knn(**changes: object) -> wire.Query:
    arguments: dict[str, object] = {"field_name": "v", "top_k": 5, "float32_query_vector": [1.0, 2.0]} | changes
    return wrapped(wire.QUERY_TYPE_KNN_VECTOR, wire.KnnVectorQuery(**arguments))


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (wrapped(wire.QUERY_TYPE_TERM, b"\xff\xff"), "TermQuery"),
        (wrapped(wire.QUERY_TYPE_TERM, wire.TermQuery(term=encode_variant(1))), "field_name"),
        (wrapped(wire.QUERY_TYPE_TERM, wire.TermQuery(field_name="f")), ""),
        (
            wrapped(wire.QUERY_TYPE_TERM, wire.TermQuery(field_name="f", term=encode_variant(INF_MIN))),
            "term of field",
        ),
        (wrapped(wire.QUERY_TYPE_TERM, wire.TermQuery(field_name="f", term=encode_variant(1), weight=-1)), "weight"),
        (
            wrapped(wire.QUERY_TYPE_TERM, wire.TermQuery(field_name="f", term=encode_variant(1), weight=float("nan"))),
            "weight",
        ),
        (wrapped(wire.QUERY_TYPE_TERMS, b"\x0a\x01f"), "terms of field [f] are empty"),
        (wrapped(wire.QUERY_TYPE_PREFIX, wire.PrefixQuery(field_name="f", prefix="é" * 501)), "1000 bytes"),
        (wrapped(wire.QUERY_TYPE_SUFFIX, wire.SuffixQuery(field_name="f", suffix="é" * 501)), "1000 bytes"),
        (wrapped(wire.QUERY_TYPE_SUFFIX, wire.SuffixQuery(suffix="a")), "field_name"),
        (wrapped(wire.QUERY_TYPE_WILDCARD, wire.WildcardQuery(field_name="f", value="é" * 33)), "32 characters"),
        (wrapped(wire.QUERY_TYPE_WILDCARD, wire.WildcardQuery(field_name="f", value="a", weight=-1)), "weight"),
        (wrapped(wire.QUERY_TYPE_MATCH, wire.MatchQuery(text="a")), "field_name"),
        (wrapped(wire.QUERY_TYPE_MATCH, wire.MatchQuery(field_name="f", operator=3)), "operator of the match"),
        (wrapped(wire.QUERY_TYPE_MATCH, wire.MatchQuery(field_name="f", text="é" * 32_769)), "65536 bytes"),
        (wrapped(wire.QUERY_TYPE_MATCH_PHRASE, wire.MatchPhraseQuery(field_name="f", slop=-1)), "[slop]"),
        (wrapped(wire.QUERY_TYPE_MATCH_PHRASE, wire.MatchPhraseQuery(field_name="f", text="a" * 65_537)), "65536"),
        (knn(top_k=0), "[top_k] is 0, must be in [1, 1000]"),
        (knn(top_k=1_001), "[top_k] is 1001, must be in [1, 1000]"),
        (knn(top_k=-5), "top_k"),
        (knn(float32_query_vector=[]), "0 dimensions"),
        (knn(float32_query_vector=[0.0] * 4_097), "4097 dimensions"),
        (knn(float32_query_vector=[float("nan")]), "not finite"),
        (knn(float32_query_vector=[float("inf")]), "not finite"),
        (knn(num_candidates=4), "num_candidates"),
        (knn(num_candidates=1_001), "num_candidates"),
        (knn(min_score=-0.5), "min_score"),
        (knn(min_score=float("nan")), "min_score"),
        (knn(field_name=""), "field_name"),
        (knn(filter=wire.Query()), "no type"),
    ],
)
def test_malformed_queries(query: wire.Query, part: str) -> None:
    assert part in complaint(query)


def test_too_many_terms() -> None:
    body = wire.TermsQuery(field_name="f", terms=[encode_variant(1)] * (limits.TERMS_MAX + 1))
    assert "exceeding the max: 1024" in complaint(wrapped(wire.QUERY_TYPE_TERMS, body.SerializeToString()))


def test_too_many_nodes() -> None:
    leaf = wrapped(wire.QUERY_TYPE_MATCH_ALL, b"")
    fits = wire.BoolQuery(must_queries=[leaf] * (limits.QUERY_NODES_MAX - 1))
    assert isinstance(parse_query(wrapped(wire.QUERY_TYPE_BOOL, fits)), Bool)
    exceeds = wire.BoolQuery(must_queries=[leaf] * limits.QUERY_NODES_MAX)
    assert complaint(wrapped(wire.QUERY_TYPE_BOOL, exceeds)) == "The count of queries exceeds the max: 1024."


def test_too_deep() -> None:
    query = wrapped(wire.QUERY_TYPE_MATCH_ALL, b"")
    for _ in range(2_000):
        query = wrapped(wire.QUERY_TYPE_BOOL, wire.BoolQuery(must_queries=[query]))
    assert complaint(query) == "The depth of queries exceeds the max: 64."


def test_an_open_side_of_a_range_may_be_sent_as_an_infinity() -> None:
    body = wire.RangeQuery(field_name="f", range_from=encode_variant(INF_MIN), range_to=encode_variant(5))
    parsed = parse_query(wrapped(wire.QUERY_TYPE_RANGE, body.SerializeToString()))
    assert parsed == Range("f", None, 5, include_lower=False, include_upper=False)


@pytest.mark.parametrize(
    "query",
    [
        wrapped(wire.QUERY_TYPE_BOOL, wire.BoolQuery(minimum_should_match=2, new_minimum_should_match="3")),
        wrapped(
            wire.QUERY_TYPE_MATCH,
            wire.MatchQuery(field_name="f", minimum_should_match=2, new_minimum_should_match="3"),
        ),
    ],
)
def test_the_newer_minimum_counts(query: wire.Query) -> None:
    parsed = parse_query(query)
    assert isinstance(parsed, Bool | Match)
    assert parsed.minimum_should_match == "3"


def test_suffixes_come_from_java() -> None:
    query = wrapped(wire.QUERY_TYPE_SUFFIX, b"\x0a\x01f\x12\x02ng\x1d\x00\x00\x00\x40")
    assert parse_query(query) == Suffix("f", "ng", 2.0)


def test_a_match_has_the_documented_defaults() -> None:
    match = wrapped(wire.QUERY_TYPE_MATCH, wire.MatchQuery(field_name="f", text="a b"))
    assert parse_query(match) == Match("f", "a b", Operator.OR, None, 1.0)
    phrase = wrapped(wire.QUERY_TYPE_MATCH_PHRASE, wire.MatchPhraseQuery(field_name="f", text="a b"))
    assert parse_query(phrase) == MatchPhrase("f", "a b", 0, 1.0)


# Sorting


def sdk_sort(*sorters: ots.Sorter) -> wire.Sort:
    message = sdk.Sort()
    ENCODER._make_index_sort(message, ots.Sort(list(sorters)))
    return wire.Sort.FromString(message.SerializeToString())


def test_sorters_of_the_sdk_and_back() -> None:
    sort = sdk_sort(
        ots.ScoreSort(),
        ots.ScoreSort(ots.SortOrder.ASC),
        ots.PrimaryKeySort(ots.SortOrder.DESC),
        ots.FieldSort("a", ots.SortOrder.DESC, ots.SortMode.AVG),
        ots.FieldSort("b"),
    )
    parsed = parse_sort(sort)
    assert parsed == (
        ScoreSort(),
        ScoreSort(descending=False),
        PrimaryKeySort(descending=True),
        FieldSort("a", descending=True, mode=SortMode.AVG),
        FieldSort("b"),
    )
    assert parse_sort(sort_message(parsed)) == parsed


def test_rows_without_the_field() -> None:
    def parsed(value: object) -> tuple[object, ...]:
        missing = encode_variant(value)
        sort = wire.Sort(sorter=[wire.Sorter(field_sort=wire.FieldSort(field_name="a", missing_value=missing))])
        return astuple(parse_sort(sort)[0])

    assert parsed(7)[-1] == 7
    assert parsed(INF_MAX)[-1] is None
    with pytest.raises(ParameterInvalid, match="first is not supported"):
        parsed(INF_MIN)


@pytest.mark.parametrize(
    ("sorter", "part"),
    [
        (wire.Sorter(), "empty"),
        (wire.Sorter(doc_sort=b""), "doc_sort"),
        (wire.Sorter(geo_distance_sort=b""), "geo_distance_sort"),
        (wire.Sorter(field_sort=wire.FieldSort()), "field_name"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", nested_filter=b"")), "nested_filter"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", missing_field="b")), "missing_field"),
        (wire.Sorter(field_sort=wire.FieldSort(field_name="a", mode=9)), "Invalid sort mode: 9"),
        (wire.Sorter(score_sort=wire.ScoreSort(order=9)), "Invalid sort order: 9"),
    ],
)
def test_malformed_sorters(sorter: wire.Sorter, part: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_sort(wire.Sort(sorter=[sorter]))
    assert part in str(caught.value)


def test_too_many_sorters() -> None:
    with pytest.raises(ParameterInvalid, match="count of sorters"):
        parse_sort(sdk_sort(*[ots.ScoreSort()] * (limits.SORTERS_MAX + 1)))
