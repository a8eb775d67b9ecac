"""Checks what aggregations and group-bys a search asks for, once for all parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lutra.fields.kinds import KINDS, kind_of
from lutra.index.definitions.sorters import check_sort
from lutra.index.lsm.view import IndexView
from lutra.model import limits
from lutra.model.aggregations import Aggregation, GroupBy, GroupSorter, SubAggregationSort
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema
from lutra.model.queries import Operand, Query, Sorter
from lutra.model.query_size import AggregationSize
from lutra.model.rows import PrimaryKey
from lutra.scalars.values import Scalar, ScalarReader
from lutra.search.aggregations.fields import AggregatedField, Fits
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.registry import (
    binds_aggregation,
    binds_group_by,
    grouping_bind_of,
    metric_bind_of,
)
from lutra.search.binder import Binder
from lutra.search.nodes.node import Clause
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import bind_sort

__all__ = ["LevelBinder", "binds_aggregation", "binds_group_by", "grouping_bind_of"]


class LevelBinder:
    """Binds what is asked at one level; each kind in its own module, which asks what is here."""

    def __init__(self, view: IndexView, queries: Binder, depth: int = 1, size: AggregationSize | None = None) -> None:
        """``queries`` binds the search's query, and filters with it. ``depth``: how many group-bys deep, from 1 on.

        ``size`` counts what is asked at all levels.
        """
        self._view = view
        self._queries = queries
        self._depth = depth
        self._size = size or AggregationSize()

    @property
    def decode_key(self) -> Callable[[bytes], PrimaryKey]:
        """From an encoded primary key to its columns."""
        return self._view.decode_key

    def bind(self, aggregations: Sequence[Aggregation], group_bys: Sequence[GroupBy]) -> Level:
        """Raises ParameterInvalid."""
        _check_names("aggs", [wanted.name for wanted in aggregations])
        _check_names("group_bys", [wanted.name for wanted in group_bys])
        self._size.count(len(aggregations) + len(group_bys))
        if group_bys and self._depth > limits.GROUP_BY_LEVELS_MAX:
            raise ParameterInvalid(f"[group_bys] are nested deeper than {limits.GROUP_BY_LEVELS_MAX} levels")
        metrics = tuple(metric_bind_of(wanted)(wanted, self) for wanted in aggregations)
        return Level(metrics, tuple(grouping_bind_of(wanted)(wanted, self) for wanted in group_bys))

    def below(self, wanted: GroupBy) -> Level:
        """What is asked of each group of ``wanted``. Raises ParameterInvalid."""
        return LevelBinder(self._view, self._queries, self._depth + 1, self._size).bind(
            wanted.aggregations, wanted.group_bys
        )

    def filter(self, query: Query) -> Clause:
        """A query that sorts rows into a group. Raises ParameterInvalid."""
        return self._queries.bind_beside(query)

    def schema_field(self, what: str, name: str, fits: Fits) -> FieldSchema:
        """The field that is asked about, which goes with what it ``fits``. Raises ParameterInvalid."""
        field = self._view.schema.field(name)
        if field is None:
            raise ParameterInvalid(f"[{what}] field: {name} does not exist")
        if not fits(kind_of(field)):
            types = ", ".join(kind.type.name.lower() for kind in KINDS.values() if fits(kind))
            raise ParameterInvalid(
                f"[{what}] field_name:{name} type:{field.type.name.lower()} is invalid, allow [{types}]"
            )
        if field.sort_and_aggregate is False:
            raise ParameterInvalid(f"[{what}] field: {name} was created without sort_and_agg")
        return field

    def spaces(self, name: str) -> Sequence[str]:
        """The nested fields that a field is in, from the outermost to the innermost: its values are those of rows."""
        innermost = f"{self._view.schema.space_of(name)}."
        return [space for space in self._view.schema.spaces if space and innermost.startswith(f"{space}.")]

    def field(self, what: str, name: str, fits: Fits, missing: Operand | None = None) -> AggregatedField:
        """As `schema_field`, of values that are compared, and what stands for one that is missing."""
        field = self.schema_field(what, name, fits)
        reader = ScalarReader(field)
        value = None if missing is None else self.value(what, reader, "missing", missing)
        return AggregatedField(field, kind_of(field), reader, self.spaces(name), value)

    def value(self, what: str, reader: ScalarReader, noun: str, operand: Operand) -> Scalar:
        """What a field holds for ``operand``. Raises ParameterInvalid where it holds no such value."""
        point = reader.point(operand)
        if point.floor is None or not point.is_value:
            name, kind = reader.field.name, reader.field.type.name.lower()
            raise ParameterInvalid(f"[{what}] {noun} of field: {name} is {operand!r}: no value of type {kind}")
        return point.floor

    def order(self, sort: Sequence[Sorter]) -> tuple[Ordering, ...]:
        """Of rows. Raises ParameterInvalid where they cannot be sorted like that."""
        check_sort(self._view.schema, sort)
        return bind_sort(sort, self._queries)

    def check_group_sort(self, what: str, sort: Sequence[GroupSorter], level: Level) -> None:
        """Raises ParameterInvalid where groups cannot be sorted like that."""
        if len(sort) > limits.GROUP_BY_SORTERS_MAX:
            raise ParameterInvalid(f"[{what}] has at most {limits.GROUP_BY_SORTERS_MAX} sorters, not {len(sort)}")
        empty = {metric.name: metric.sort_values(metric.merge((), 0)) for metric in level.metrics}
        for sorter in sort:
            if isinstance(sorter, SubAggregationSort):
                if sorter.name not in empty:
                    raise ParameterInvalid(f"[{what}] sort: there is no sub agg [{sorter.name}]")
                if empty[sorter.name] is None:
                    raise ParameterInvalid(f"[{what}] sort: sub agg [{sorter.name}] is no number")


def _check_names(what: str, names: Sequence[str]) -> None:
    """Raises ParameterInvalid for too many, for one that is none, and for two that are the same."""
    if len(names) > limits.AGGREGATIONS_MAX:
        raise ParameterInvalid(f"[{what}] has at most {limits.AGGREGATIONS_MAX} at one level, not {len(names)}")
    for name in names:
        if not name or len(name.encode()) > limits.AGGREGATION_NAME_BYTES_MAX:
            raise ParameterInvalid(
                f"[{what}] each has a name of 1 to {limits.AGGREGATION_NAME_BYTES_MAX} bytes, not {name[:64]!r}"
            )
        if names.count(name) > 1:
            raise ParameterInvalid(f"[{what}] two at one level have the name [{name}]")
