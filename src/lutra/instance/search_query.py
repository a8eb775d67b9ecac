"""What a search of a table asks its index: queries, orders and columns from what was said in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from lutra.instance import where as filters
from lutra.instance.embedded_queries import embedded_query
from lutra.instance.encoding import encode_float
from lutra.instance.expression import Column, Expression, Order
from lutra.instance.layout import Layout
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoDistanceSort
from lutra.model.nested import Nested, ScoreMode
from lutra.model.queries import (
    Bool,
    ColumnsToGet,
    FieldSort,
    KnnVector,
    Match,
    MatchAll,
    MatchPhrase,
    Operator,
    PrimaryKeySort,
    Query,
    ReturnColumns,
    Sorter,
)
from lutra.model.scoring import DisMax
from lutra.model.suggestions import suggestion

TextMatch = Literal["any", "all", "phrase"]
"""How much of a text a row must have."""
TextFields = str | Sequence[str] | None
"""Where words are looked for: in one field, or in several of which the best counts."""
OrderBy = str | Column | Order | Sequence[str | Column | Order]
"""What rows come by: a column, or several, of which the first counts most."""
_WORDS: Final[dict[str, Callable[[str, str], Query]]] = {
    "any": Match,
    "all": lambda field, text: Match(field, text, Operator.AND),
    "phrase": MatchPhrase,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows are looked for, as `lutra.Table.search` takes it."""

    vector: object = None
    text: str | None = None
    where: Expression | None = None
    field: str | None = None
    text_field: TextFields = None
    match: TextMatch = "any"
    min_score: float | None = None

    def embedded(self, layout: Layout) -> Asked:
        """With a vector and its field, where words or a picture stood for one.

        Raises ParameterInvalid, EmbeddingError.
        """
        vector, field = embedded_query(self.vector, self.field, layout)
        return self if vector is self.vector else replace(self, vector=vector, field=field)


def query_of(asked: Asked, layout: Layout, top_k: int, *, is_widened: bool = False) -> tuple[Query, bool]:
    """The query, and whether its matches have scores; ``top_k`` neighbours of a vector.

    ``is_widened``: whether more neighbours are looked for where a condition leaves out some that were found. Raises
    ParameterInvalid, and EmbeddingError where words or a picture stand for a vector and the model makes none.
    """
    asked = asked.embedded(layout)
    query: Query = MatchAll() if asked.where is None else filters.to_query(asked.where, layout)
    passing = None if asked.where is None else query
    found: list[Query] = []
    if asked.vector is not None:
        if not is_widened:
            check_filtered(asked, layout)
        found.append(nearest(asked.vector, asked.field, layout, passing, top_k, asked.min_score))
    elif asked.field is not None or asked.min_score is not None:
        raise ParameterInvalid("field and min_score go with a vector")
    if asked.text is not None:
        found.append(_with_words(asked.text, asked.text_field, layout, asked.match, passing))
    elif asked.text_field is not None or asked.match != "any":
        raise ParameterInvalid("text_field and match go with a text")
    if not found:
        return query, False
    return found[0] if len(found) == 1 else Bool(should=tuple(found), minimum_should_match=1), True


def are_filtered_later(asked: Asked, layout: Layout) -> bool:
    """Whether neighbours are among records, and the condition on rows: it leaves out some once they are found."""
    return asked.where is not None and layout.records_path(layout.vector_field(asked.field).name) is not None


def check_filtered(asked: Asked, layout: Layout) -> None:
    """Raises ParameterInvalid where a condition would leave out neighbours of which there are no more then."""
    if are_filtered_later(asked, layout):
        raise ParameterInvalid(
            "the nearest by a vector within records go with where= in search() only, which looks for more of them "
            "where it leaves some out"
        )


def nearest(
    vector: object, field: str | None, layout: Layout, where: Query | None, top_k: int, min_score: float | None
) -> Query:
    """The rows nearest to a vector; by one within records, those whose nearest record is. Raises ParameterInvalid."""
    most = limits.OFFSET_PLUS_LIMIT_MAX
    if type(top_k) is not int or top_k < 1:
        raise ParameterInvalid(f"so many of the nearest rows: an int of at least 1, not {top_k!r}")
    if top_k > most:
        raise ParameterInvalid(f"a vector search reaches down to the {most:,}th row, not {top_k:,}")
    if min_score is not None:
        try:
            min_score = encode_float(min_score)
        except (TypeError, ValueError) as error:
            raise ParameterInvalid(f"min_score: {error}") from None
    target = layout.vector_field(field)
    path = layout.records_path(target.name)
    passing = where if path is None else None
    near = KnnVector(target.name, target.vector_of(vector), top_k, filter=passing, min_score=min_score)
    return near if path is None else _passing(Nested(path, near, ScoreMode.MAX), where)


def _with_words(text: object, fields: TextFields, layout: Layout, match: TextMatch, where: Query | None) -> Query:
    if not isinstance(text, str):
        raise ParameterInvalid(f"text is a str, not {type(text).__name__}")
    if match not in _WORDS:
        raise ParameterInvalid(f"match is one of {', '.join(_WORDS)}, not {match!r}{suggestion(match, _WORDS)}")
    names = [fields] if fields is None or isinstance(fields, str) else list(dict.fromkeys(fields))
    if not names:
        raise ParameterInvalid("text_field= names a field at least")
    queries = []
    for name in names:
        target = layout.text_field(name)
        query, path = _WORDS[match](target.name, text), layout.records_path(target.name)
        queries.append(query if path is None else Nested(path, query, ScoreMode.MAX))
    return _passing(queries[0] if len(queries) == 1 else DisMax(tuple(queries)), where)


def _passing(query: Query, where: Query | None) -> Query:
    return query if where is None else Bool(must=(query,), filter=(where,))


def sorters_of(order_by: OrderBy, layout: Layout) -> tuple[Sorter, ...]:
    """Of an order; rows that compare equal come in key order, so that pages join. Raises ParameterInvalid."""
    sorters = tuple(_sorter(order, layout) for order in orders_of(order_by))
    return (*sorters, PrimaryKeySort()) if sorters else ()


def orders_of(order_by: OrderBy) -> list[Order]:
    """What ``order_by`` takes, one after the other. Raises ParameterInvalid."""
    orders = order_by if isinstance(order_by, Sequence) and not isinstance(order_by, str) else [order_by]
    if not all(isinstance(order, str | Column | Order) for order in orders):
        raise ParameterInvalid("order_by takes columns: 'year' or lutra.col('year').desc()")
    return [_order(order) for order in orders]


def _order(order: str | Column | Order) -> Order:
    if isinstance(order, Order):
        return order
    return Order(order) if isinstance(order, str) else order.asc()


def _sorter(order: Order, layout: Layout) -> Sorter:
    if order.points:
        return GeoDistanceSort(filters.located(order.column, layout), order.points, order.descending)
    return FieldSort(filters.sortable(order.column, layout), order.descending)


def columns_to_get(columns: Sequence[str] | None, layout: Layout) -> ColumnsToGet:
    """Raises ParameterInvalid where the table has no such column."""
    if columns is None:
        return ColumnsToGet(ReturnColumns.ALL)
    names = layout.columns(columns) or ()
    return ColumnsToGet(ReturnColumns.SPECIFIED, names) if names else ColumnsToGet(ReturnColumns.NONE)
