"""Rows by what they have in common: what a search is asked for it, and its answers as Python shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lutra.instance.aggregates import Aggregate, Bucket, group_key, group_source, key_field
from lutra.instance.expression import Column, Order
from lutra.instance.field import Field, Kind
from lutra.instance.layout import Layout
from lutra.instance.search_query import OrderBy, orders_of
from lutra.model import limits
from lutra.model.aggregations import Aggregation, AggregationResult, Count, CountResult, GroupByComposite
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Query, SearchRequest, SearchResult
from lutra.model.suggestions import suggestion

Search = Callable[[Sequence[SearchRequest]], list[SearchResult]]
"""Answers several requests over one state of the index."""

_ROWS: Final = "*"
_GROUPS: Final = "groups"
_COUNT: Final = "count"


class Grouping:
    """Keys and aggregates, checked. A search takes a few aggregates at a time: of more, several are asked together."""

    def __init__(
        self, keys: Sequence[str | Column | Bucket], aggregates: Mapping[str, Aggregate], layout: Layout
    ) -> None:
        """Raises ParameterInvalid where one does not go with its column, or two have one name."""
        named = [_key(key) for key in keys]
        self._layout = layout
        self._keys = {name: key_field(key, self._field(name)) for name, key in named}
        if len(self._keys) < len(named):
            raise ParameterInvalid("group_by was given one column twice")
        self._sources = tuple(group_source(key, name, self._keys[name]) for name, key in named)
        for name, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate):
                raise ParameterInvalid(
                    f"{name}= takes an aggregate such as lutra.col('price').avg(), not {aggregate!r}"
                )
            if name in self._keys or name == _COUNT:
                raise ParameterInvalid(f"{name}= has the name of another column of the groups")
        self._aggregates = {name: (one, self._field(one.column)) for name, one in aggregates.items()}
        bound = [one.bound(name, field) for name, (one, field) in self._aggregates.items()]
        step = limits.AGGREGATIONS_MAX
        chunks = [tuple(bound[at : at + step]) for at in range(0, len(bound), step)]
        self._chunks: list[tuple[Aggregation, ...]] = chunks

    @property
    def names(self) -> list[str]:
        """Of what each group has, in order."""
        return [*self._keys, _COUNT, *self._aggregates]

    @property
    def columns(self) -> dict[str, Field | None]:
        """What is known of the values of each."""
        counts = Field(_COUNT, Kind.INT)
        aggregates = {name: one.column_of(field, name) for name, (one, field) in self._aggregates.items()}
        return {**self._keys, _COUNT: counts, **aggregates}

    def found(self, query: Query, search: Search) -> list[dict[str, Any]]:
        """The groups of what matches ``query``, in the order of their keys; without keys the one there is."""
        if not self._sources:
            return [self._all(query, search)]
        return list(self._pages(query, search))

    def _all(self, query: Query, search: Search) -> dict[str, Any]:
        base = SearchRequest(query, limit=0)
        chunks = [(Count(_COUNT, _ROWS),), *self._chunks]
        results: dict[str, AggregationResult] = {}
        for result in search([replace(base, aggregations=chunk) for chunk in chunks]):
            assert result.aggregated is not None
            results.update(result.aggregated.aggregations)
        rows = results[_COUNT]
        assert isinstance(rows, CountResult)
        return {_COUNT: rows.value, **self._values(results)}

    def _pages(self, query: Query, search: Search) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            wanted = [
                GroupByComposite(_GROUPS, self._sources, limits.GROUPS_MAX, token=token, aggregations=chunk)
                for chunk in self._chunks or [()]
            ]
            answers = search([SearchRequest(query, limit=0, group_bys=(one,)) for one in wanted])
            pages = [answer.aggregated.group_bys[_GROUPS] for answer in answers if answer.aggregated is not None]
            for groups in zip(*(page.groups for page in pages), strict=True):
                keys = {
                    name: group_key(key, field)
                    for (name, field), key in zip(self._keys.items(), groups[0].key, strict=True)
                }
                results = {name: one for group in groups for name, one in group.aggregations.items()}
                yield {**keys, _COUNT: groups[0].rows, **self._values(results)}
            token = pages[0].token
            if not token:
                return

    def _values(self, results: Mapping[str, AggregationResult]) -> dict[str, Any]:
        return {name: one.value(results[name], field) for name, (one, field) in self._aggregates.items()}

    def _field(self, name: str) -> Field:
        field = self._layout.counted(name)
        if field is None:
            raise ParameterInvalid(self._layout.unknown(name))
        if not field.indexed:
            raise ParameterInvalid(f"field {name!r} is not indexed, so rows cannot be grouped by it or added up")
        # Dates come out of the index in milliseconds, whatever their column counts in, or says in words.
        return replace(field, kind=Kind.DATETIME) if field.dates else field


def _key(key: str | Column | Bucket) -> tuple[str, str | Bucket]:
    """A key's name, and what it is."""
    if isinstance(key, Bucket):
        return key.column, key
    name = key.name if isinstance(key, Column) else key
    if not isinstance(name, str):
        raise ParameterInvalid(f"group_by takes names of columns or lutra.col(), not {key!r}")
    return name, name


def group_orders(order_by: OrderBy, names: Sequence[str], limit: int | None) -> list[Order]:
    """What groups, which have ``names``, come by. Raises ParameterInvalid, where ``limit`` makes no sense too."""
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ParameterInvalid(f"limit is an int of at least 1, not {limit!r}")
    orders = orders_of(order_by)
    for order in orders:
        if order.column not in names or order.points:
            likely = suggestion(order.column, names)
            raise ParameterInvalid(f"groups can be ordered by {', '.join(names)}, not by {order.column!r}{likely}")
    return orders


def ordered(groups: list[dict[str, Any]], orders: Sequence[Order]) -> list[dict[str, Any]]:
    """``groups`` in an order; what is None comes last."""
    for order in reversed(orders):
        name = order.column
        given = [group for group in groups if group[name] is not None]
        given.sort(key=lambda group, name=name: group[name], reverse=order.descending)  # type: ignore[misc]
        groups = [*given, *(group for group in groups if group[name] is None)]
    return groups
