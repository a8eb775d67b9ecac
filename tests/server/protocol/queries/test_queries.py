"""Queries as the official SDK encodes them arrive as the model's; what is not served is named."""

from __future__ import annotations

from dataclasses import is_dataclass

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
from lutra.model.nested import Nested, ScoreMode
from lutra.model.queries import (
    Bool,
    Exists,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Operator,
    Prefix,
    Query,
    Range,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.scoring import DisMax, FunctionScore
from lutra.model.values import INF_MIN, INT64_MAX, INT64_MIN
from lutra.server.protocol.queries import parse_query
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
    scored = st.builds(DisMax, several, st.floats(0, 1, width=32), _weights) | st.builds(FunctionScore, parts, _names)
    return bools | knns | scored | st.builds(Nested, _names, parts, st.sampled_from(ScoreMode), _weights)


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
        case DisMax(queries, tie_breaker, weight):
            return ots.DisMaxQuery([sdk_query(q) for q in queries], tie_breaker, weight)
        case Nested(path, inner, mode, weight):
            return ots.NestedQuery(path, sdk_query(inner), ots.ScoreMode(mode), weight=weight)
        case FunctionScore(inner, field):
            return ots.FunctionScoreQuery(sdk_query(inner), ots.FieldValueFactor(field))


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
        (wrapped(wire.QUERY_TYPE_SUFFIX, wire.SuffixQuery(suffix="a")), "field_name"),
        (wrapped(wire.QUERY_TYPE_MATCH, wire.MatchQuery(text="a")), "field_name"),
        (wrapped(wire.QUERY_TYPE_MATCH, wire.MatchQuery(field_name="f", operator=3)), "operator of the match"),
        (knn(field_name=""), "field_name"),
        (knn(filter=wire.Query()), "no type"),
    ],
)
def test_malformed_queries(query: wire.Query, part: str) -> None:
    assert part in complaint(query)


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
