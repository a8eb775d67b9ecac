"""What is asked of rows, or of the groups of a group-by: aggregations and group-bys, and their states together.

A state holds all groups of a level at once, in arrays, so what is done for a group costs nothing of its own. Groups are
numbered anew wherever states are merged: a state says of each group which one of the level above it belongs to.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.aggregate import group_counts
from lutra.model import limits
from lutra.model.deadline import current_deadline
from lutra.search.aggregations.grouping import Assigned, Buckets, Grouping
from lutra.search.aggregations.keys import (
    NO_KEY,
    Codes,
    KeyColumn,
    Numbering,
    RowKeys,
    Table,
    ascending,
    distinct,
    numbered,
    united,
    used_of,
)
from lutra.search.aggregations.metric import AnyMetric, Renumber
from lutra.search.aggregations.packing import Packer, Unpacker, require
from lutra.search.aggregations.rows import Places, Rows

_ROWS_AT_ONCE: Final = 1 << 20
_ROWS_LEAST: Final = 1 << 13
_ROWS_HURRIED: Final = (1 << 9, 1 << 16)
_ROWS_A_SECOND: Final = 200_000
"""Where time may end before all rows are looked at: pieces are a small part of what can be done in it."""
_HURRIED_S: Final = 1.0
_TIMES_LEFT: Final = 2.0
"""Of what a piece takes, so much time has to be left for the next one, and for putting it to the others."""
_STATES_AT_ONCE: Final = 8
"""Of pieces: each may have as many groups as all of them together."""


@dataclass(frozen=True, slots=True)
class Level:
    """All that is asked at one level."""

    metrics: tuple[AnyMetric, ...] = ()
    groupings: tuple[Grouping, ...] = ()

    @property
    def is_scoring(self) -> bool:
        """Whether anything looks at scores, here or below."""
        return any(m.is_scoring for m in self.metrics) or any(g.level.is_scoring for g in self.groupings)

    def rows_at_once(self, rows: Rows) -> int:
        """So many rows are looked at at a time: what is known of each for a moment takes some 50 bytes a group, and a
        value. Raises as `collect`."""
        if len(rows) <= _ROWS_LEAST:
            return _ROWS_LEAST
        spreads = [metric.spread(rows) for metric in self.metrics] + [one.spread(rows) for one in self.groupings]
        return max(_ROWS_LEAST, _ROWS_AT_ONCE // max(spreads, default=1))

    def __bool__(self) -> bool:
        return bool(self.metrics or self.groupings)


@dataclass(frozen=True, slots=True)
class BucketsState:
    """Of a group-by: its groups, and what is known of them. ``is_exact``: no group was left out."""

    buckets: Buckets
    level: LevelState
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class LevelState:
    """Of each metric and group-by of a level."""

    metrics: tuple[Any, ...]
    groupings: tuple[BucketsState, ...]


def collect(level: Level, rows: Rows, is_piece: bool = False) -> LevelState:
    """The state of one part, or of a piece of one. Raises RequestTimeout, StorageFailure, Corruption."""
    most, is_hurried = level.rows_at_once(rows), not is_piece and _is_hurried(rows)
    if is_hurried:
        most = min(most, int(np.clip(_ROWS_A_SECOND * rows.search.deadline.left_s, *_ROWS_HURRIED)))
    if len(rows) > most:
        same = np.arange(rows.count, dtype=np.int32)
        states: list[tuple[LevelState, Renumber]] = []
        began_s = time.monotonic()
        for done, piece in enumerate(rows.pieces(most)):
            if is_hurried and done and rows.search.deadline.left_s * done < _TIMES_LEFT * (time.monotonic() - began_s):
                rows.search.stats.is_complete = False
                break
            states.append((collect(level, piece, is_piece=True), same))
            if len(states) == _STATES_AT_ONCE:
                states = [(merge(level, states, rows.count), same)]
        return merge(level, states, rows.count)
    metrics = []
    for metric in level.metrics:
        rows.search.deadline.check()
        metrics.append(metric.collect(rows))
    return LevelState(tuple(metrics), tuple(_collect_groups(grouping, rows) for grouping in level.groupings))


def _is_hurried(rows: Rows) -> bool:
    """Whether the time may end before all rows are looked at, and what some of them come to is an answer."""
    return rows.search.allows_part and rows.search.deadline.left_s < _HURRIED_S


def _collect_groups(grouping: Grouping, rows: Rows) -> BucketsState:
    rows.search.deadline.check()
    assigned = grouping.assign(rows)
    found = numbered(rows.groups_at(assigned.rows), [(keys.codes, keys.size) for keys in assigned.keys])
    places = assigned.rows
    if not assigned.is_once:
        places, found = _once(assigned, found)
    if grouping.keeps_largest and len(found.rows) > limits.GROUPS_KEPT_MAX:
        # Before keys are read: there may be many more of them.
        found = _largest(found)
    columns = [_column(codes, keys) for codes, keys in zip(found.codes, assigned.keys, strict=True)]
    buckets, renumber = _in_order(found.parents, columns, found.rows)
    kept, is_exact = grouping.kept(buckets)
    if kept is not None:
        buckets, renumber = _without(buckets, renumber, kept)
    is_exact = is_exact and found.is_whole
    if not grouping.level:
        return BucketsState(buckets, LevelState((), ()), is_exact)
    numbers = found.numbers
    if not found.is_whole or kept is not None:
        numbers = numbers if renumber is None else np.append(renumber, np.int32(-1))[numbers]
        staying = np.flatnonzero(numbers >= 0)
        numbers = numbers[staying]
        places = staying if places is None else places[staying]
    elif renumber is not None:
        numbers = renumber[numbers]
    return BucketsState(
        buckets, collect(grouping.level, rows.regrouped(places, numbers, len(buckets)), is_piece=True), is_exact
    )


def _column(codes: Codes, keys: RowKeys) -> KeyColumn:
    """The keys of groups, of which only those that come are read."""
    used = used_of(codes, keys.size)
    place = np.append(np.zeros(keys.size, np.int64), NO_KEY)
    place[used] = np.arange(len(used))
    return ascending(place[codes], keys.take(used))


def _once(assigned: Assigned, found: Numbering) -> tuple[Places, Numbering]:
    """Rows and the groups they are in, each pair once."""
    assert assigned.rows is not None
    count = len(found.rows)
    pairs = distinct(assigned.rows * count + found.numbers)
    rows, groups = np.divmod(pairs, max(1, count))
    numbers = groups.astype(np.int32)
    return rows, replace(found, numbers=numbers, rows=group_counts(numbers, count))


def _largest(found: Numbering) -> Numbering:
    """Only as many groups as are kept, those with the most rows; the numbers of rows in others are -1."""
    largest = np.sort(np.argpartition(-found.rows, limits.GROUPS_KEPT_MAX - 1)[: limits.GROUPS_KEPT_MAX])
    names = np.full(len(found.rows), -1, np.int32)
    names[largest] = np.arange(len(largest), dtype=np.int32)
    codes = tuple(own[largest] for own in found.codes)
    return Numbering(names[found.numbers], found.parents[largest], codes, found.rows[largest], is_whole=False)


def _in_order(
    parents: npt.NDArray[np.int32], columns: Sequence[KeyColumn], rows: npt.NDArray[np.int64]
) -> tuple[Buckets, Renumber | None]:
    """Groups in order, and how each is called now; None: as before."""
    order = _order(parents, columns)
    if bool(np.all(order[1:] > order[:-1])):
        return Buckets(parents, tuple(columns), rows), None
    renumber = np.empty(len(order), np.int32)
    renumber[order] = np.arange(len(order), dtype=np.int32)
    taken = tuple(KeyColumn(column.codes[order], column.table) for column in columns)
    return Buckets(parents[order], taken, rows[order]), renumber


def _order(parents: npt.NDArray[np.int32], columns: Sequence[KeyColumn]) -> npt.NDArray[np.int64]:
    levels: list[npt.NDArray[Any]] = [*(column.codes for column in reversed(columns)), parents]
    return np.lexsort(levels)


def _without(buckets: Buckets, renumber: Renumber | None, kept: npt.NDArray[np.int64]) -> tuple[Buckets, Renumber]:
    """Only the groups ``kept``, and how each is called now: -1 where it is left out."""
    names = np.full(len(buckets), -1, np.int32)
    names[kept] = np.arange(len(kept), dtype=np.int32)
    return buckets.taken(kept), names if renumber is None else names[renumber]


def merge(level: Level, inputs: Sequence[tuple[LevelState, Renumber]], count: int) -> LevelState:
    """The state of ``count`` groups, of all states together. Raises RequestTimeout."""
    metrics = []
    for i, metric in enumerate(level.metrics):
        current_deadline().check()
        metrics.append(metric.merge([(state.metrics[i], renumber) for state, renumber in inputs], count))
    groupings = tuple(
        _merge_groups(grouping, [(state.groupings[i], renumber) for state, renumber in inputs])
        for i, grouping in enumerate(level.groupings)
    )
    return LevelState(tuple(metrics), groupings)


def _merge_groups(grouping: Grouping, inputs: Sequence[tuple[BucketsState, Renumber]]) -> BucketsState:
    if not inputs:
        return nothing(grouping)
    parents = np.concatenate([renumber[state.buckets.parents] for state, renumber in inputs])
    staying = np.flatnonzero(parents >= 0)
    codes: list[Codes] = []
    tables: list[Table] = []
    for i in range(grouping.columns):
        own, table = united([state.buckets.columns[i] for state, _ in inputs])
        codes.append(np.concatenate(own)[staying])
        tables.append(table)
    found = numbered(parents[staying], [(c, len(t)) for c, t in zip(codes, tables, strict=True)])
    old_rows = np.concatenate([state.buckets.rows for state, _ in inputs])[staying]
    rows = np.zeros(len(found.rows), np.int64)
    np.add.at(rows, found.numbers, old_rows)
    columns = [KeyColumn(c, t) for c, t in zip(found.codes, tables, strict=True)]
    buckets, renumber = _in_order(found.parents, columns, rows)
    kept, is_exact = grouping.kept(buckets)
    if kept is not None:
        buckets, renumber = _without(buckets, renumber, kept)
    names = np.full(len(parents), -1, np.int32)
    names[staying] = found.numbers if renumber is None else renumber[found.numbers]
    is_exact = is_exact and all(state.is_exact for state, _ in inputs)
    ends = np.cumsum([len(state.buckets) for state, _ in inputs])[:-1]
    below = [(state.level, own) for (state, _), own in zip(inputs, np.split(names, ends), strict=True)]
    return BucketsState(buckets, merge(grouping.level, below, len(buckets)), is_exact)


def nothing(grouping: Grouping) -> BucketsState:
    """Without any group."""
    column = KeyColumn(np.empty(0, np.int64), np.empty(0, np.int64))
    buckets = Buckets(np.empty(0, np.int32), (column,) * grouping.columns, np.empty(0, np.int64))
    return BucketsState(buckets, merge(grouping.level, (), 0))


def write(level: Level, state: LevelState, out: Packer) -> None:
    """Raises StorageFailure, Corruption."""
    for metric, own in zip(level.metrics, state.metrics, strict=True):
        metric.write(own, out)
    for grouping, groups in zip(level.groupings, state.groupings, strict=True):
        out.number(int(groups.is_exact))
        out.array(groups.buckets.parents)
        out.array(groups.buckets.rows)
        for column in groups.buckets.columns:
            column.write(out)
        write(grouping.level, groups.level, out)


def read(level: Level, data: Unpacker, count: int) -> LevelState:
    """The inverse, of a state of ``count`` groups. Raises Corruption."""
    metrics = tuple(metric.read(data, count) for metric in level.metrics)
    return LevelState(metrics, tuple(_read_groups(grouping, data, count) for grouping in level.groupings))


def _read_groups(grouping: Grouping, data: Unpacker, count: int) -> BucketsState:
    is_exact = bool(data.number(1))
    parents = data.array("<i4")
    rows = data.array("<i8", len(parents))
    columns = tuple(KeyColumn.read(data, len(parents)) for _ in range(grouping.columns))
    if len(parents):
        require(0 <= int(parents.min()) <= int(parents.max()) < count and int(rows.min()) > 0)
    order = _order(parents, columns)
    require(bool(np.all(order[1:] > order[:-1])))
    return BucketsState(Buckets(parents, columns, rows), read(grouping.level, data, len(parents)), is_exact)
