"""Search queries and sorting on the wire, to and from `lutra.model.queries`.

A query is a type and the bytes of its body, whose parts are queries again: the reader counts nodes and depth, so that
a small request cannot ask for endless work.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from lutra.kernels.plainbuffer import decode_variant
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
    Sorter,
    SortMode,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.model.values import INF_MAX, KeyMarker, Value
from lutra.server.protocol.parsing import M, enum_of, parse, parse_value
from lutra.server.wire import query_pb2 as wire

T = TypeVar("T")


def parse_query(message: wire.Query) -> Query:
    """The query tree of a search. Raises ParameterInvalid where it is malformed, not served, too deep or too large."""
    return _Reader().read(message, depth=1)


class _Reader:
    def __init__(self) -> None:
        self._nodes = 0

    def read(self, message: wire.Query, depth: int) -> Query:
        self._nodes += 1
        if self._nodes > limits.QUERY_NODES_MAX:
            raise ParameterInvalid(f"The count of queries exceeds the max: {limits.QUERY_NODES_MAX}.")
        if depth > limits.QUERY_DEPTH_MAX:
            raise ParameterInvalid(f"The depth of queries exceeds the max: {limits.QUERY_DEPTH_MAX}.")
        kind, body = message.type, message.query
        match kind:
            case wire.QUERY_TYPE_MATCH_ALL:
                _body(wire.MatchAllQuery, body)
                return MatchAll()
            case wire.QUERY_TYPE_TERM:
                return _term(_body(wire.TermQuery, body))
            case wire.QUERY_TYPE_TERMS:
                return _terms(_body(wire.TermsQuery, body))
            case wire.QUERY_TYPE_RANGE:
                return _range(_body(wire.RangeQuery, body))
            case wire.QUERY_TYPE_PREFIX:
                return _prefix(_body(wire.PrefixQuery, body))
            case wire.QUERY_TYPE_SUFFIX:
                return _suffix(_body(wire.SuffixQuery, body))
            case wire.QUERY_TYPE_WILDCARD:
                return _wildcard(_body(wire.WildcardQuery, body))
            case wire.QUERY_TYPE_MATCH:
                return _match(_body(wire.MatchQuery, body))
            case wire.QUERY_TYPE_MATCH_PHRASE:
                return _match_phrase(_body(wire.MatchPhraseQuery, body))
            case wire.QUERY_TYPE_EXISTS:
                return Exists(_field(_body(wire.ExistsQuery, body)))
            case wire.QUERY_TYPE_BOOL:
                return self._bool(_body(wire.BoolQuery, body), depth)
            case wire.QUERY_TYPE_KNN_VECTOR:
                return self._knn(_body(wire.KnnVectorQuery, body), depth)
        raise ParameterInvalid(_unserved(kind))

    def _bool(self, message: wire.BoolQuery, depth: int) -> Bool:
        def parts(queries: Iterable[wire.Query]) -> tuple[Query, ...]:
            return tuple(self.read(query, depth + 1) for query in queries)

        return Bool(
            must=parts(message.must_queries),
            must_not=parts(message.must_not_queries),
            filter=parts(message.filter_queries),
            should=parts(message.should_queries),
            minimum_should_match=_minimum(message),
            weight=_weight(message),
        )

    def _knn(self, message: wire.KnnVectorQuery, depth: int) -> KnnVector:
        field = _field(message)
        dimension = len(message.float32_query_vector)
        if not 1 <= dimension <= limits.VECTOR_DIMENSION_MAX:
            raise ParameterInvalid(
                f"the query vector of field [{field}] has {dimension} dimensions, must be in "
                f"[1, {limits.VECTOR_DIMENSION_MAX}]"
            )
        vector = np.fromiter(message.float32_query_vector, dtype=np.float32, count=dimension)
        if not np.isfinite(vector).all():
            raise ParameterInvalid(f"the query vector of field [{field}] has elements that are not finite")
        if not 1 <= message.top_k <= limits.TOP_K_MAX:
            raise ParameterInvalid(f"[top_k] is {message.top_k}, must be in [1, {limits.TOP_K_MAX}]")
        candidates = message.num_candidates if message.HasField("num_candidates") else None
        if candidates is not None and not message.top_k <= candidates <= limits.TOP_K_MAX:
            raise ParameterInvalid(f"[num_candidates] is {candidates}, must be in [top_k, {limits.TOP_K_MAX}]")
        min_score = message.min_score if message.HasField("min_score") else None
        if min_score is not None and not (math.isfinite(min_score) and min_score >= 0):
            raise ParameterInvalid(f"[min_score] is {min_score}, must be 0 or more")
        return KnnVector(
            field=field,
            vector=vector,
            top_k=message.top_k,
            filter=self.read(message.filter, depth + 1) if message.HasField("filter") else None,
            weight=_weight(message),
            min_score=min_score,
            num_candidates=candidates,
        )


def _body(kind: type[M], data: bytes) -> M:
    return parse(kind, data, f"Failed to parse the body of a {kind.DESCRIPTOR.name}.")


def _unserved(kind: int) -> str:
    if kind == wire.QUERY_TYPE_UNSPECIFIED:
        return "a query has no type"
    names = wire.QueryType.DESCRIPTOR.values_by_number
    name = names[kind].name.removeprefix("QUERY_TYPE_") if kind in names else str(kind)
    return f"query type {name} is not supported"


_WithField = (
    wire.TermQuery
    | wire.TermsQuery
    | wire.RangeQuery
    | wire.PrefixQuery
    | wire.SuffixQuery
    | wire.WildcardQuery
    | wire.MatchQuery
    | wire.MatchPhraseQuery
    | wire.ExistsQuery
    | wire.KnnVectorQuery
    | wire.FieldSort
)

_WithWeight = (
    wire.TermQuery
    | wire.TermsQuery
    | wire.PrefixQuery
    | wire.SuffixQuery
    | wire.WildcardQuery
    | wire.MatchQuery
    | wire.MatchPhraseQuery
    | wire.BoolQuery
    | wire.KnnVectorQuery
)


def _field(message: _WithField) -> str:
    if not message.field_name:
        raise ParameterInvalid(f"a {message.DESCRIPTOR.name} has no [field_name]")
    return message.field_name


def _weight(message: _WithWeight) -> float:
    if not message.HasField("weight"):
        return 1.0
    weight = message.weight
    if not (math.isfinite(weight) and weight >= 0):
        raise ParameterInvalid(f"[weight] of a {message.DESCRIPTOR.name} is {weight}, must be 0 or more")
    return weight


def _minimum(message: wire.BoolQuery | wire.MatchQuery) -> int | str | None:
    if message.HasField("new_minimum_should_match"):
        return message.new_minimum_should_match
    return message.minimum_should_match if message.HasField("minimum_should_match") else None


def _term(message: wire.TermQuery) -> Term:
    field = _field(message)
    return Term(field, parse_value(message.term, f"the term of field [{field}]"), _weight(message))


def _terms(message: wire.TermsQuery) -> Terms:
    field = _field(message)
    if not message.terms:
        raise ParameterInvalid(f"the terms of field [{field}] are empty")
    if len(message.terms) > limits.TERMS_MAX:
        raise ParameterInvalid(
            f"the terms of field [{field}] are {len(message.terms)}, exceeding the max: {limits.TERMS_MAX}"
        )
    values = tuple(parse_value(term, f"a term of field [{field}]") for term in message.terms)
    return Terms(field, values, _weight(message))


def _range(message: wire.RangeQuery) -> Range:
    field = _field(message)
    return Range(
        field,
        lower=_bound(message.range_from, field),
        upper=_bound(message.range_to, field),
        # Node leaves `false` out, Java sends both always: absent means exclusive, as protobuf has it.
        include_lower=message.include_lower,
        include_upper=message.include_upper,
    )


def _bound(data: bytes, field: str) -> Value | None:
    """A bound of a range; SDKs leave it out, or send an infinity, where the side is open."""
    if not data or isinstance(decode_variant(data), KeyMarker):
        return None
    return parse_value(data, f"a bound of the range of field [{field}]")


def _prefix(message: wire.PrefixQuery) -> Prefix:
    field = _field(message)
    if len(message.prefix.encode()) > limits.PREFIX_BYTES_MAX:
        raise ParameterInvalid(f"the prefix of field [{field}] exceeds {limits.PREFIX_BYTES_MAX} bytes")
    return Prefix(field, message.prefix, _weight(message))


def _suffix(message: wire.SuffixQuery) -> Suffix:
    field = _field(message)
    if len(message.suffix.encode()) > limits.PREFIX_BYTES_MAX:
        raise ParameterInvalid(f"the suffix of field [{field}] exceeds {limits.PREFIX_BYTES_MAX} bytes")
    return Suffix(field, message.suffix, _weight(message))


def _wildcard(message: wire.WildcardQuery) -> Wildcard:
    field = _field(message)
    if len(message.value) > limits.WILDCARD_CHARS_MAX:
        raise ParameterInvalid(f"the wildcard of field [{field}] exceeds {limits.WILDCARD_CHARS_MAX} characters")
    return Wildcard(field, message.value, _weight(message))


def _match(message: wire.MatchQuery) -> Match:
    field = _field(message)
    _check_text(field, message.text)
    operator = Operator.OR
    if message.HasField("operator"):
        operator = enum_of(Operator, message.operator, f"operator of the match of field [{field}]")
    return Match(field, message.text, operator, _minimum(message), _weight(message))


def _match_phrase(message: wire.MatchPhraseQuery) -> MatchPhrase:
    field = _field(message)
    _check_text(field, message.text)
    if message.slop < 0:
        raise ParameterInvalid(f"[slop] of the phrase of field [{field}] is {message.slop}, must be 0 or more")
    return MatchPhrase(field, message.text, message.slop, _weight(message))


def _check_text(field: str, text: str) -> None:
    if len(text.encode()) > limits.MATCH_BYTES_MAX:
        raise ParameterInvalid(f"the text to match with field [{field}] exceeds {limits.MATCH_BYTES_MAX} bytes")


# Sorting


def parse_sort(message: wire.Sort) -> tuple[Sorter, ...]:
    """The sorters of a search or an index. Raises ParameterInvalid for what is malformed or not served."""
    if len(message.sorter) > limits.SORTERS_MAX:
        raise ParameterInvalid(f"the count of sorters exceeds the max: {limits.SORTERS_MAX}")
    return tuple(_parse_sorter(sorter) for sorter in message.sorter)


def _parse_sorter(message: wire.Sorter) -> Sorter:
    if message.HasField("field_sort"):
        return _parse_field_sort(message.field_sort)
    if message.HasField("score_sort"):
        return ScoreSort(descending=_is_descending(message.score_sort, default=ScoreSort().descending))
    if message.HasField("pk_sort"):
        return PrimaryKeySort(descending=_is_descending(message.pk_sort, default=False))
    for name in ("geo_distance_sort", "doc_sort"):
        if message.HasField(name):
            raise ParameterInvalid(f"sorter [{name}] is not supported")
    raise ParameterInvalid("a sorter is empty")


def _parse_field_sort(message: wire.FieldSort) -> FieldSort:
    field = _field(message)
    for name in ("nested_filter", "missing_field"):
        if message.HasField(name):
            raise ParameterInvalid(f"[{name}] in the sort of field [{field}] is not supported")
    return FieldSort(
        field,
        descending=_is_descending(message, default=False),
        mode=enum_of(SortMode, message.mode, "sort mode") if message.HasField("mode") else None,
        missing=_parse_missing(message, field) if message.HasField("missing_value") else None,
    )


def _parse_missing(message: wire.FieldSort, field: str) -> Value | None:
    """What a row without the field sorts as. Java says "last" and "first" by the infinities; None means last."""
    value = decode_variant(message.missing_value)
    if value is INF_MAX:
        return None
    if isinstance(value, KeyMarker):
        raise ParameterInvalid(f"sorting rows without field [{field}] first is not supported")
    return parse_value(message.missing_value, f"the missing value of field [{field}]")


def _is_descending(message: wire.FieldSort | wire.ScoreSort | wire.PrimaryKeySort, *, default: bool) -> bool:
    if not message.HasField("order"):
        return default
    if message.order not in (wire.SORT_ORDER_ASC, wire.SORT_ORDER_DESC):
        raise ParameterInvalid(f"Invalid sort order: {message.order}.")
    return message.order == wire.SORT_ORDER_DESC


def sort_message(sort: Iterable[Sorter]) -> wire.Sort:
    """An index's sorters as DescribeSearchIndex shows them."""
    return wire.Sort(sorter=[_sorter_message(sorter) for sorter in sort])


def _sorter_message(sorter: Sorter) -> wire.Sorter:
    order = wire.SORT_ORDER_DESC if sorter.descending else wire.SORT_ORDER_ASC
    if isinstance(sorter, FieldSort):
        mode = None if sorter.mode is None else wire.SortMode.Name(sorter.mode)
        return wire.Sorter(field_sort=wire.FieldSort(field_name=sorter.field, order=order, mode=mode))
    if isinstance(sorter, ScoreSort):
        return wire.Sorter(score_sort=wire.ScoreSort(order=order))
    return wire.Sorter(pk_sort=wire.PrimaryKeySort(order=order))
