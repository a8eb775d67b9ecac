"""Groups by combinations of the groups of several sources, page by page."""

from __future__ import annotations

import base64
import json
import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import CompositeSource, GroupByComposite, GroupKeySort
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.binding import LevelBinder, binds_group_by, grouping_bind_of
from lutra.search.aggregations.by_field import size_of
from lutra.search.aggregations.grouping import Assigned, Buckets, Chosen, Grouping, SortValues
from lutra.search.aggregations.keys import NO_KEY, KeyColumn, RowKeys
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.rows import Rows

_WHAT: Final = "group_by_composite"
_SPREAD: Final = 4
_COMBINED_KEYS_MAX: Final = 1 << 24
"""Of the combinations of rows that are looked at at once: eight bytes each, several times for a moment."""

Key = bytes | int | float | None


class CompositeGrouping(Grouping):
    """Of each parent only the first groups after ``token`` are kept: those that may still come on this page."""

    keeps_largest = False

    def __init__(
        self, name: str, level: Level, sources: Sequence[tuple[Grouping, bool]], size: int, token: str | None
    ) -> None:
        """``sources``: each, and whether its keys descend."""
        super().__init__(name, level)
        self.columns = len(sources)
        self._sources = sources
        self._size = size
        self._after = None if token is None else _read_token(token, len(sources))

    def spread(self, rows: Rows) -> int:
        return _SPREAD * math.prod(source.spread(rows) for source, _ in self._sources)

    def assign(self, rows: Rows) -> Assigned:
        combined = Combinations(len(rows))
        is_once = True
        for source, _ in self._sources:
            rows.search.deadline.check()
            own = source.assign(rows)
            is_once = is_once and own.is_once
            combined.add(own)
        return Assigned(combined.rows, tuple(combined.keys), is_once)

    def kept(self, buckets: Buckets) -> tuple[npt.NDArray[np.int64] | None, bool]:
        order = self._order(buckets, range(len(buckets)))
        if self._after is not None:
            order = order[self._is_after(buckets, self._after)[order]]
        parents = buckets.parents[order]
        begins = np.flatnonzero(np.diff(parents, prepend=-1))
        places = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
        # One more than are answered with tells that others follow.
        kept = order[places <= self._size]
        return (None if len(kept) == len(buckets) else np.sort(kept)), True

    def choose(self, buckets: Buckets, mine: range, sort_values: SortValues) -> Sequence[Chosen]:
        return [Chosen(self._key(buckets, bucket), bucket) for bucket in self._mine(buckets, mine)[: self._size]]

    def token(self, buckets: Buckets, mine: range, chosen: Sequence[Chosen]) -> str | None:
        if len(mine) <= self._size:
            return None
        last = chosen[-1].bucket
        assert last is not None
        return _write_token([column.key(last) for column in buckets.columns])

    def _key(self, buckets: Buckets, bucket: int) -> tuple[str | None, ...]:
        keys = [column.key(bucket) for column in buckets.columns]
        return tuple(
            None if key is None else source.key_text(key) for key, (source, _) in zip(keys, self._sources, strict=True)
        )

    def _mine(self, buckets: Buckets, mine: range) -> list[int]:
        ordered: list[int] = (self._order(buckets, mine) + mine.start).tolist()
        return ordered

    def _order(self, buckets: Buckets, some: range) -> npt.NDArray[np.int64]:
        """Some buckets, parent by parent in the order of their keys; counted from the first of them."""
        levels: list[npt.NDArray[Any]] = [buckets.parents[some.start : some.stop]]
        for column, (_, descending) in zip(buckets.columns, self._sources, strict=True):
            codes = column.codes[some.start : some.stop]
            levels.append(-codes if descending else codes)
        return np.lexsort(levels[::-1])

    def _is_after(self, buckets: Buckets, keys: Sequence[Key]) -> npt.NDArray[np.bool_]:
        after = np.zeros(len(buckets), bool)
        tied = np.ones(len(buckets), bool)
        for column, key, (_, descending) in zip(buckets.columns, keys, self._sources, strict=True):
            greater, equal = _compared(column, key)
            after |= tied & (~(greater | equal) if descending else greater)
            tied &= equal
        return after


class Combinations:
    """Rows, each once for every combination of its keys."""

    def __init__(self, count: int) -> None:
        self.rows = np.arange(count)
        self.keys: list[RowKeys] = []
        self._count = count

    def add(self, own: Assigned) -> None:
        """The keys of one more source; of rows that are in none of its groups, NO_KEY."""
        [keys] = own.keys
        if own.rows is None:
            self.keys.append(RowKeys(keys.codes[self.rows], keys.size, keys.take))
            return
        absent = np.ones(self._count, bool)
        absent[own.rows] = False
        rows = np.concatenate([own.rows, np.flatnonzero(absent)])
        codes = np.concatenate([keys.codes.astype(np.int64), np.full(len(rows) - len(own.rows), NO_KEY)])
        order = np.argsort(rows, kind="stable")
        ends = np.cumsum(np.bincount(rows, minlength=self._count))
        begins = np.concatenate(([0], ends[:-1])) if self._count else ends
        counts = (ends - begins)[self.rows]
        if int(counts.sum()) * (len(self.keys) + 1) > _COMBINED_KEYS_MAX:
            raise ParameterInvalid(f"[{_WHAT}] combinations of rows have more than {_COMBINED_KEYS_MAX} keys")
        before = np.cumsum(counts) - counts
        places = np.arange(int(counts.sum())) + np.repeat(begins[self.rows] - before, counts)
        known = np.repeat(np.arange(len(self.rows)), counts)
        self.rows = self.rows[known]
        self.keys = [RowKeys(one.codes[known], one.size, one.take) for one in self.keys]
        self.keys.append(RowKeys(codes[order][places], keys.size, keys.take))


def _compared(column: KeyColumn, key: Key) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which are greater than ``key``, and which equal it; having none is less than all. Raises ParameterInvalid."""
    codes, table = column.codes, column.table
    if key is None:
        return codes > NO_KEY, codes == NO_KEY
    if not len(table):
        return np.zeros(len(codes), bool), np.zeros(len(codes), bool)
    if isinstance(table, list) != isinstance(key, bytes):
        raise ParameterInvalid(f"[{_WHAT}] next_token is invalid")
    if isinstance(table, list):
        assert isinstance(key, bytes)
        place = bisect_left(table, key)
        is_there = place < len(table) and table[place] == key
    else:
        place = int(np.searchsorted(table, key))
        is_there = place < len(table) and bool(table[place] == key)
    if not is_there:
        return codes >= place, np.zeros(len(codes), bool)
    return codes > place, codes == place


def _write_token(keys: Sequence[Key]) -> str:
    content = [{"bytes": base64.b64encode(key).decode()} if isinstance(key, bytes) else key for key in keys]
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def _read_token(token: str, count: int) -> list[Key]:
    """Raises ParameterInvalid for what is none."""
    try:
        if len(token) > limits.COMPOSITE_TOKEN_BYTES_MAX:
            raise ValueError("length")
        content = json.loads(base64.b64decode(token, b"-_", validate=True))
        if type(content) is not list or len(content) != count:
            raise ValueError("count")
        return [_read_key(one) for one in content]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ParameterInvalid(f"[{_WHAT}] next_token is invalid") from None


def _read_key(content: Any) -> Key:
    if isinstance(content, dict):
        return base64.b64decode(content["bytes"], validate=True)
    if content is None or type(content) in (int, float):
        if isinstance(content, int) and abs(content) > 1 << 63:
            raise ValueError("key")
        key: Key = content
        return key
    raise ValueError("key")


@binds_group_by(GroupByComposite)
def bind_by_composite(wanted: GroupByComposite, binder: LevelBinder) -> CompositeGrouping:
    if not 1 <= len(wanted.sources) <= limits.COMPOSITE_SOURCES_MAX:
        raise ParameterInvalid(
            f"[{_WHAT}] has {len(wanted.sources)} sources, must have 1 to {limits.COMPOSITE_SOURCES_MAX}"
        )
    names = [source.name for source in wanted.sources]
    for name in names:
        if not name or names.count(name) > 1:
            raise ParameterInvalid(f"[{_WHAT}] each source has a name of its own, not {names}")
    size = size_of(_WHAT, wanted.size)
    if wanted.suggested_size is not None:
        if wanted.suggested_size < 1:
            raise ParameterInvalid(f"[{_WHAT}] suggested_size is {wanted.suggested_size}, must be 1 or more")
        size = min(wanted.suggested_size, limits.GROUPS_MAX)
    sources = [_bind_source(source, binder) for source in wanted.sources]
    return CompositeGrouping(wanted.name, binder.below(wanted), sources, size, wanted.token)


def _bind_source(source: CompositeSource, binder: LevelBinder) -> tuple[Grouping, bool]:
    if source.aggregations or source.group_bys:
        raise ParameterInvalid(f"[{_WHAT}] source [{source.name}] must not have sub aggs or sub group-bys of its own")
    if getattr(source, "field_range", None) is not None:
        raise ParameterInvalid(f"[{_WHAT}] source [{source.name}] must not have a field_range")
    descending = False
    if source.sort:
        if not isinstance(source.sort[0], GroupKeySort):
            raise ParameterInvalid(f"[{_WHAT}] source [{source.name}] is sorted by its key only")
        descending = source.sort[0].descending
    return grouping_bind_of(source)(source, binder), descending
