"""Groups by the values of a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.aggregate import number_keys
from lutra.model import limits
from lutra.model.aggregations import GroupByField, GroupSorter
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.binding import LevelBinder, binds_group_by
from lutra.search.aggregations.fields import NS_PER_MS, AggregatedField
from lutra.search.aggregations.grouping import Assigned, Buckets, Chosen, Grouping, SortValues, ordered
from lutra.search.aggregations.keys import RowKeys
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.rows import Rows, values_of

_WHAT: Final = "group_by_field"
_NEAR: Final = 65_536
"""Whole numbers within such a span are counted from the least on, however few they are."""


class FieldGrouping(Grouping):
    """The largest ``size`` groups, or the first in another order."""

    def __init__(
        self, name: str, level: Level, sort: Sequence[GroupSorter], field: AggregatedField, size: int, rows_min: int
    ) -> None:
        super().__init__(name, level, sort)
        self._field = field
        self._size = size
        self._rows_min = rows_min

    def spread(self, rows: Rows) -> int:
        return self._field.spread(rows)

    def assign(self, rows: Rows) -> Assigned:
        return assigned_by(self._field, rows)

    def key_text(self, key: Any) -> str:
        return key_text(self._field, key)

    def choose(self, buckets: Buckets, mine: range, sort_values: SortValues) -> Sequence[Chosen]:
        rows, column = buckets.rows[mine.start : mine.stop], buckets.columns[0]
        order = ordered(self.sort, np.arange(len(mine)), rows, sort_values)
        enough = (order[rows[order] >= self._rows_min][: self._size] + mine.start).tolist()
        keys = map(self.key_text, column.keys(enough))
        return [Chosen(key, bucket) for key, bucket in zip(keys, enough, strict=True)]


def assigned_by(field: AggregatedField, rows: Rows) -> Assigned:
    """Rows by the values of a field; those without any are in no group."""
    values = field.doc_values(rows)
    found = values_of(rows, values)
    is_once = values.is_single or values.docs is None
    if values.strings is not None:
        keys = RowKeys(found.taken(values.values), values.strings.size, values.strings.taken)
        return Assigned(found.rows, (keys,), is_once)
    if field.kind.is_date:
        return Assigned(found.rows, (row_keys(found.taken(values.values) // NS_PER_MS),), is_once)
    if values.ordinals is not None and values.distinct is not None:
        distinct = _stored(values.distinct)
        keys = RowKeys(found.taken(values.ordinals), len(distinct), distinct.__getitem__)
        return Assigned(found.rows, (keys,), is_once)
    return Assigned(found.rows, (row_keys(found.taken(values.values)),), is_once)


def row_keys(values: npt.NDArray[Any]) -> RowKeys:
    """Numbers as keys: counted from the least on where they are whole and near to each other, else looked up."""
    stored = _stored(values)
    if not len(stored):
        return RowKeys(np.empty(0, np.int64), 0, stored.__getitem__)
    low, high = stored.min(), stored.max()
    if stored.dtype.kind == "i" or (
        np.isfinite(low) and np.isfinite(high) and np.array_equal(stored, np.floor(stored))
    ):
        span = int(high) - int(low)
        if span <= max(len(stored), _NEAR):
            return RowKeys((stored - low).astype(np.int64, copy=False), span + 1, lambda codes: codes + low)
    codes, distinct = number_keys(np.ascontiguousarray(stored).view(np.int64))
    table = distinct.view(stored.dtype)
    return RowKeys(codes, len(table), table.__getitem__)


def _stored(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64, copy=False)


def key_text(field: AggregatedField, key: Any) -> str:
    """How a group's key is told."""
    if isinstance(key, bytes):
        return str(field.reader.told(key.decode()))
    if field.kind.sort_type is bool:
        return "true" if key else "false"
    return repr(key)


def size_of(what: str, size: int | None) -> int:
    """Raises ParameterInvalid where it is out of bounds."""
    if size is None:
        return limits.GROUPS_DEFAULT
    if not 1 <= size <= limits.GROUPS_MAX:
        raise ParameterInvalid(f"[{what}] size is {size}, must be in [1, {limits.GROUPS_MAX}]")
    return size


def rows_min_of(what: str, count: int | None, default: int) -> int:
    """Raises ParameterInvalid where it is negative."""
    if count is not None and count < 0:
        raise ParameterInvalid(f"[{what}] min_doc_count is {count}, must be 0 or more")
    return default if count is None else count


@binds_group_by(GroupByField)
def bind_by_field(wanted: GroupByField, binder: LevelBinder) -> FieldGrouping:
    field = binder.field(_WHAT, wanted.field, lambda kind: kind.is_grouped)
    size, rows_min = size_of(_WHAT, wanted.size), rows_min_of(_WHAT, wanted.min_doc_count, 1)
    level = binder.below(wanted)
    binder.check_group_sort(_WHAT, wanted.sort, level)
    return FieldGrouping(wanted.name, level, wanted.sort, field, size, rows_min)
