"""Rows by what they have in common: what a search is asked for it, and its answers as Python shows them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lutra.instance.aggregates import Aggregate, Bucket, group_key, group_source, key_field
from lutra.instance.expression import Column, Expression, Order
from lutra.instance.field import Field, Kind
from lutra.instance.first_rows import FirstRows
from lutra.instance.fixed_groups import FixedGroups, fixed_groups
from lutra.instance.layout import Layout
from lutra.instance.ranges import Ranges
from lutra.instance.search_query import OrderBy, orders_of
from lutra.model import limits
from lutra.model.aggregations import Aggregation, AggregationResult, Count, CountResult, Group, GroupByComposite
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import ColumnsToGet, MatchAll, Query, ReturnColumns, SearchRequest, SearchResult
from lutra.model.suggestions import suggestion

GroupKey = str | Column | Bucket | Ranges | Mapping[str, Expression]
"""What rows are grouped by."""
Search = Callable[[Sequence[SearchRequest]], list[SearchResult]]
"""Answers several requests over one state of the index."""

_ROWS: Final = "*"
_GROUPS: Final = "groups"
_COUNT: Final = "count"
_ROWS_AT_ONCE: Final = 1_000


class Grouping:
    """Keys and aggregates, checked. A search takes a few aggregates at a time: of more, several are asked together."""

    def __init__(
        self, keys: Sequence[GroupKey], aggregates: Mapping[str, Aggregate | FirstRows], layout: Layout
    ) -> None:
        """Raises ParameterInvalid where one does not go with its column, or two have one name."""
        self._layout = layout
        self._fixed = _fixed(keys, layout, self._field)
        named = [] if self._fixed else [_key(key) for key in keys]
        self._keys: dict[str, Field | None] = {name: key_field(key, self._field(name)) for name, key in named}
        if len(self._keys) < len(named):
            raise ParameterInvalid("group_by was given one column twice")
        self._sources = tuple(group_source(key, name, key_field(key, self._field(name))) for name, key in named)
        if self._fixed is not None:
            self._keys[self._fixed.name] = self._fixed.field
        for name, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate | FirstRows):
                raise ParameterInvalid(
                    f"{name}= takes an aggregate such as lutra.col('price').avg(), not {aggregate!r}"
                )
            if name in self._keys or name == _COUNT:
                raise ParameterInvalid(f"{name}= has the name of another column of the groups")
        self._names = list(aggregates)
        self._rows = {name: one for name, one in aggregates.items() if isinstance(one, FirstRows)}
        of_columns = {name: one for name, one in aggregates.items() if isinstance(one, Aggregate)}
        self._aggregates = {name: (one, self._field(one.column)) for name, one in of_columns.items()}
        bound: list[Aggregation] = [one.bound(name, field) for name, (one, field) in self._aggregates.items()]
        bound += [one.bound(name, layout) for name, one in self._rows.items()]
        step = limits.AGGREGATIONS_MAX
        self._chunks = [tuple(bound[at : at + step]) for at in range(0, len(bound), step)]
        self._base = SearchRequest(MatchAll(), limit=0, columns=_columns_to_get(self._rows.values(), layout))

    @property
    def names(self) -> list[str]:
        """Of what each group has, in order."""
        return [*self._keys, _COUNT, *self._names]

    @property
    def columns(self) -> dict[str, Field | None]:
        """What is known of the values of each."""
        counts = Field(_COUNT, Kind.INT)
        known = {name: one.column_of(field, name) for name, (one, field) in self._aggregates.items()}
        return {**self._keys, _COUNT: counts, **{name: known.get(name) for name in self._names}}

    def found(self, query: Query, search: Search) -> list[dict[str, Any]]:
        """The groups of what matches ``query``, in the order of their keys; without keys the one there is."""
        if self._fixed is not None:
            return list(self._of_fixed(self._fixed, query, search))
        if not self._sources:
            return [self._all(query, search)]
        return list(self._pages(query, search))

    def _all(self, query: Query, search: Search) -> dict[str, Any]:
        base = replace(self._base, query=query)
        chunks: list[tuple[Aggregation, ...]] = [(Count(_COUNT, _ROWS),), *self._chunks]
        results: dict[str, AggregationResult] = {}
        for result in search([replace(base, aggregations=chunk) for chunk in chunks]):
            assert result.aggregated is not None
            results.update(result.aggregated.aggregations)
        rows = results[_COUNT]
        assert isinstance(rows, CountResult)
        return {_COUNT: rows.value, **self._values(results)}

    def _of_fixed(self, fixed: FixedGroups, query: Query, search: Search) -> Iterator[dict[str, Any]]:
        chunks = self._chunks or [()]
        group_bys = [make(_GROUPS, chunk) for make in fixed.makes for chunk in chunks]
        answers = search([replace(self._base, query=query, group_bys=(one,)) for one in group_bys])
        pages = [answer.aggregated.group_bys[_GROUPS] for answer in answers if answer.aggregated is not None]
        keys = iter(fixed.keys)
        for first in range(0, len(pages), len(chunks)):
            for groups in zip(*(page.groups for page in pages[first : first + len(chunks)]), strict=True):
                yield {fixed.name: next(keys), **self._of_group(groups)}

    def _pages(self, query: Query, search: Search) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            wanted = [
                GroupByComposite(_GROUPS, self._sources, self._groups_at_once, token=token, aggregations=chunk)
                for chunk in self._chunks or [()]
            ]
            answers = search([replace(self._base, query=query, group_bys=(one,)) for one in wanted])
            pages = [answer.aggregated.group_bys[_GROUPS] for answer in answers if answer.aggregated is not None]
            if not pages:  # there was no time for them
                return
            for groups in _in_all([page.groups for page in pages]):
                keys = {
                    name: group_key(key, field)
                    for (name, field), key in zip(self._keys.items(), groups[0].key, strict=True)
                    if field is not None
                }
                yield {**keys, **self._of_group(groups)}
            token = pages[0].token
            if not token:
                return

    @property
    def _groups_at_once(self) -> int:
        """Of first rows, what is read for a page stays small."""
        rows = sum(one.limit for one in self._rows.values())
        return limits.GROUPS_MAX if not rows else max(1, min(limits.GROUPS_MAX, _ROWS_AT_ONCE // rows))

    def _of_group(self, groups: Sequence[Group]) -> dict[str, Any]:
        """What one group comes to, of which each request that was made has a part."""
        results = {name: one for group in groups for name, one in group.aggregations.items()}
        return {_COUNT: groups[0].rows, **self._values(results)}

    def _values(self, results: Mapping[str, AggregationResult]) -> dict[str, Any]:
        values: dict[str, Any] = {
            name: one.value(results[name], field) for name, (one, field) in self._aggregates.items()
        }
        values.update((name, one.value(results[name], self._layout)) for name, one in self._rows.items())
        return {name: values[name] for name in self._names}

    def _field(self, name: str) -> Field:
        field = self._layout.counted(name)
        if field is None:
            raise ParameterInvalid(self._layout.unknown(name))
        if not field.indexed:
            raise ParameterInvalid(f"field {name!r} is not indexed, so rows cannot be grouped by it or added up")
        # Dates come out of the index in milliseconds, whatever their column counts in, or says in words.
        return replace(field, kind=Kind.DATETIME) if field.dates else field


def _in_all(pages: Sequence[Sequence[Group]]) -> Iterator[tuple[Group, ...]]:
    """Groups of each page with the same keys; in part of the time pages come to have different ones."""
    if len(pages) == 1:
        yield from zip(pages[0], strict=True)
        return
    others = [{group.key: group for group in page} for page in pages[1:]]
    for group in pages[0]:
        if all(group.key in page for page in others):
            yield (group, *(page[group.key] for page in others))


def _fixed(keys: Sequence[GroupKey], layout: Layout, field_of: Callable[[str], Field]) -> FixedGroups | None:
    """Where one key says the groups beforehand. Raises ParameterInvalid where it does not stand alone."""
    for key in keys:
        if isinstance(key, Ranges | Mapping):
            if len(keys) > 1:
                raise ParameterInvalid(
                    "ranges, distances and conditions stand alone in group_by: for more, group by the others with each "
                    "of them in where="
                )
            return fixed_groups(key, layout, field_of)
    return None


def _columns_to_get(rows: Collection[FirstRows], layout: Layout) -> ColumnsToGet:
    """What all of them need. Raises ParameterInvalid where the table has no such column."""
    if not rows:
        return ColumnsToGet()
    wanted = [one.columns_to_get(layout) for one in rows]
    if any(one.kind is ReturnColumns.ALL for one in wanted):
        return ColumnsToGet(ReturnColumns.ALL)
    names = tuple(dict.fromkeys(name for one in wanted for name in one.names))
    return ColumnsToGet(ReturnColumns.SPECIFIED, names) if names else ColumnsToGet(ReturnColumns.NONE)


def _key(key: GroupKey) -> tuple[str, str | Bucket]:
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
