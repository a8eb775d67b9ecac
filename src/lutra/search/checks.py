"""Whether a search request makes sense on an index, before anything is computed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.index.definitions.schema import check_sorter
from lutra.index.lsm.view import IndexView
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import (
    Bool,
    Exists,
    FieldSort,
    Highlight,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Prefix,
    Query,
    Range,
    ReturnColumns,
    SearchRequest,
    Sorter,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.scalars.sorting import check_mode

_SCALARS: Final = (FieldType.LONG, FieldType.DOUBLE, FieldType.BOOLEAN, FieldType.KEYWORD, FieldType.DATE)
_ORDERED: Final = (FieldType.LONG, FieldType.DOUBLE, FieldType.KEYWORD, FieldType.DATE)


def page_of(view: IndexView, request: SearchRequest) -> tuple[int, int]:
    """``(offset, limit)`` of the request, defaults filled in. Raises ParameterInvalid."""
    limit = limits.SEARCH_LIMIT_DEFAULT if request.limit is None else request.limit
    most = limits.SEARCH_LIMIT_INDEX_ONLY_MAX if _is_index_only(view, request) else limits.SEARCH_LIMIT_MAX
    if not 0 <= limit <= most:
        raise ParameterInvalid(f"[limit] must be in [0, {most}], not {limit}")
    if request.offset < 0:
        raise ParameterInvalid(f"[offset] must not be negative: {request.offset}")
    if request.offset + limit > limits.OFFSET_PLUS_LIMIT_MAX:
        raise ParameterInvalid(f"[offset] + [limit] must not exceed {limits.OFFSET_PLUS_LIMIT_MAX}: page with a token")
    if request.token and request.offset:
        raise ParameterInvalid("[offset] cannot go with [token]")
    return request.offset, limit


def _is_index_only(view: IndexView, request: SearchRequest) -> bool:
    """Whether the index alone gives all columns asked for."""
    columns = request.columns
    if columns.kind is ReturnColumns.SPECIFIED:
        known = {field.name for field in view.schema.fields} | {column.name for column in view.key_columns}
        return known.issuperset(columns.names)
    return columns.kind in (ReturnColumns.NONE, ReturnColumns.ALL_FROM_INDEX)


def check_sort(view: IndexView, sort: tuple[Sorter, ...]) -> None:
    """Raises ParameterInvalid where the sort is too long, or does not fit a field."""
    if len(sort) > limits.SORTERS_MAX:
        raise ParameterInvalid(f"[sort] has at most {limits.SORTERS_MAX} sorters, not {len(sort)}")
    for sorter in sort:
        check_sorter(view.schema, sorter)
        if isinstance(sorter, FieldSort):
            column = view.parts[0].scalars[sorter.field]
            if sorter.mode is not None:
                check_mode(column.field, sorter.mode)
            if sorter.missing is not None:
                column.reader.stand_in(sorter.missing)


def check_highlight(view: IndexView, highlight: Highlight) -> None:
    """Raises ParameterInvalid where a field has no words to highlight, or more is asked for than a search gives."""
    if len(highlight.fields) > limits.HIGHLIGHT_FIELDS_MAX:
        raise ParameterInvalid(f"[highlight] has at most {limits.HIGHLIGHT_FIELDS_MAX} fields")
    for wanted in highlight.fields:
        field = view.schema.field(wanted.field)
        if field is None:
            raise ParameterInvalid(f"[highlight] field: {wanted.field} does not exist")
        if field.type is not FieldType.TEXT:
            kind = field.type.name.lower()
            raise ParameterInvalid(f"[highlight] field: {wanted.field} type: {kind} is invalid, allow [text]")
        if field.text is None or not field.text.highlighting:
            raise ParameterInvalid(f"[highlight] field: {wanted.field} was created without enable_highlighting")
        if not 1 <= wanted.fragments <= limits.HIGHLIGHT_FRAGMENTS_MAX:
            raise ParameterInvalid(
                f"[highlight] number_of_fragments must be in [1, {limits.HIGHLIGHT_FRAGMENTS_MAX}], "
                f"not {wanted.fragments}"
            )
        if not 1 <= wanted.fragment_chars <= limits.FRAGMENT_CHARS_MAX:
            raise ParameterInvalid(
                f"[highlight] fragment_size must be in [1, {limits.FRAGMENT_CHARS_MAX}], not {wanted.fragment_chars}"
            )
        if max(len(wanted.pre_tag), len(wanted.post_tag)) > limits.TAG_CHARS_MAX:
            raise ParameterInvalid(f"[highlight] a tag has at most {limits.TAG_CHARS_MAX} characters")


class QueryChecks:
    """Checks one query tree: its size, its fields and their types, its limits. Raises ParameterInvalid."""

    def __init__(self, view: IndexView) -> None:
        self._view = view
        self._fields = {field.name: field for field in view.schema.fields}
        self._nodes = 0

    def checked(self, query: Query, depth: int = 1, in_knn: bool = False) -> Query:
        """``query``, with its vectors as float32 arrays."""
        self._nodes += 1
        if self._nodes > limits.QUERY_NODES_MAX:
            raise ParameterInvalid(f"The query has more than {limits.QUERY_NODES_MAX} nodes.")
        if depth > limits.QUERY_DEPTH_MAX:
            raise ParameterInvalid(f"The query is nested deeper than {limits.QUERY_DEPTH_MAX} levels.")
        match query:
            case MatchAll():
                pass
            case Term():
                self._field("term query", query.field, _SCALARS)
                self._weight("term query", query.weight)
            case Terms():
                self._field("terms query", query.field, _SCALARS)
                self._weight("terms query", query.weight)
                if not 1 <= len(query.values) <= limits.TERMS_MAX:
                    raise ParameterInvalid(
                        f"[terms query] takes 1 to {limits.TERMS_MAX} terms, not {len(query.values)}"
                    )
            case Range():
                self._field("range query", query.field, _ORDERED)
            case Prefix():
                self._field("prefix query", query.field, (FieldType.KEYWORD,))
                self._weight("prefix query", query.weight)
                _check_prefix(query.prefix)
            case Match() | MatchPhrase():
                # A keyword is one word as it stands: matching it is comparing it.
                self._field("match query", query.field, (FieldType.KEYWORD,))
                self._weight("match query", query.weight)
                return Term(query.field, query.text, query.weight)
            case Suffix() | Wildcard():
                raise ParameterInvalid(f"query type {type(query).__name__.upper()} is not supported")
            case Exists():
                self._field("exists query", query.field, (*_SCALARS, FieldType.VECTOR))
            case Bool():
                return self._bool(query, depth, in_knn)
            case KnnVector():
                return self._knn(query, depth, in_knn)
        return query

    def _bool(self, query: Bool, depth: int, in_knn: bool) -> Query:
        self._weight("bool query", query.weight)

        def each(parts: tuple[Query, ...]) -> tuple[Query, ...]:
            return tuple(self.checked(part, depth + 1, in_knn) for part in parts)

        return replace(
            query,
            must=each(query.must),
            must_not=each(query.must_not),
            filter=each(query.filter),
            should=each(query.should),
        )

    def _knn(self, query: KnnVector, depth: int, in_knn: bool) -> Query:
        if in_knn:
            raise ParameterInvalid("[knn_vector query] the filter must not hold another knn_vector query")
        field = self._field("knn_vector query", query.field, (FieldType.VECTOR,))
        self._weight("knn_vector query", query.weight)
        if not 1 <= query.top_k <= limits.TOP_K_MAX:
            raise ParameterInvalid(f"[knn_vector query] top_k must be in [1, {limits.TOP_K_MAX}], not {query.top_k}")
        if query.min_score is not None and not 0 <= query.min_score < math.inf:
            raise ParameterInvalid(f"[knn_vector query] min_score must not be negative: {query.min_score}")
        candidates = query.num_candidates
        if candidates is not None and not query.top_k <= candidates <= limits.TOP_K_MAX:
            raise ParameterInvalid(
                f"[knn_vector query] num_candidates must be in [top_k, {limits.TOP_K_MAX}], not {candidates}"
            )
        assert field.vector is not None
        inner = None if query.filter is None else self.checked(query.filter, depth + 1, in_knn=True)
        return replace(query, vector=_read_vector(query, field.vector.dimension), filter=inner)

    def _field(self, query: str, name: str, allowed: tuple[FieldType, ...]) -> FieldSchema:
        field = self._fields.get(name)
        if field is None:
            raise ParameterInvalid(f"[{query}] field: {name} does not exist")
        if field.type not in allowed:
            types = ", ".join(kind.name.lower() for kind in allowed)
            raise ParameterInvalid(
                f"[{query}] field: {name} type: {field.type.name.lower()} is invalid, allow [{types}]"
            )
        if not field.index:
            raise ParameterInvalid(f"[{query}] field: {name} is not indexed")
        return field

    def _weight(self, query: str, weight: float) -> None:
        if not 0 <= weight < math.inf:
            raise ParameterInvalid(f"[{query}] weight must be a number that is not negative: {weight}")


def _check_prefix(prefix: str) -> None:
    try:
        size_bytes = len(prefix.encode())
    except UnicodeEncodeError:
        raise ParameterInvalid("[prefix query] the prefix holds a lone surrogate") from None
    if size_bytes > limits.PREFIX_BYTES_MAX:
        raise ParameterInvalid(f"[prefix query] the prefix has {size_bytes} bytes, more than {limits.PREFIX_BYTES_MAX}")


def _read_vector(query: KnnVector, dimension: int) -> npt.NDArray[np.float32]:
    """The query's vector as float32[dimension]."""
    with np.errstate(over="ignore"):
        vector = np.ascontiguousarray(query.vector, np.float32)
    if vector.shape != (dimension,):
        raise ParameterInvalid(
            f"[knn_vector query] field: {query.field} has {dimension} dimensions, the query vector has {vector.size}"
        )
    if not math.isfinite(float(np.sum(vector, dtype=np.float64))):
        raise ParameterInvalid("[knn_vector query] the query vector has an element that is not a finite float32")
    return vector
