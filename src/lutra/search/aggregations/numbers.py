"""Sums, averages, extremes and counts of a field."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from lutra.fields.kinds import kind_of
from lutra.kernels.aggregate import double_sums, extremes, group_counts, long_sums
from lutra.model.aggregations import AggregationResult, Avg, Count, CountResult, Max, Min, Sum, ValueResult
from lutra.search.aggregations.binding import LevelBinder, binds_aggregation
from lutra.search.aggregations.fields import AggregatedField
from lutra.search.aggregations.located import LocatedField
from lutra.search.aggregations.metric import Metric, Renumber
from lutra.search.aggregations.packing import Packer, Unpacker, require
from lutra.search.aggregations.rows import Groups, Rows

Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]
"""int64 or float64."""

_WORD: Final = 1 << 64


def numbers_of(values: npt.NDArray[Any]) -> Numbers:
    """As int64 or float64."""
    return np.ascontiguousarray(values, np.float64 if values.dtype.kind == "f" else np.int64)


def counts_of(groups: Groups | None, values: int, count: int) -> Counts:
    """How many of so many values each of ``count`` groups has."""
    return np.array([values], np.int64) if groups is None else group_counts(groups, count)


def merged_counts(inputs: Sequence[tuple[Counts, Renumber]], count: int) -> Counts:
    """Of ``count`` groups together."""
    merged = np.zeros(count, np.int64)
    for counts, renumber in inputs:
        kept = renumber >= 0
        np.add.at(merged, renumber[kept], counts[kept])
    return merged


@dataclass(frozen=True, slots=True)
class SumState:
    """By group: of floats a sum and what rounding cut off, of whole numbers the two words of one; how many values."""

    main: Numbers
    rest: npt.NDArray[Any]
    counts: Counts

    def total(self, group: int) -> int | float:
        """Of whole numbers exact."""
        if self.main.dtype.kind == "i":
            return int(self.main[group]) * _WORD + int(self.rest[group])
        main, rest = float(self.main[group]), float(self.rest[group])
        return main + rest if np.isfinite(main) else main

    def totals(self) -> npt.NDArray[np.float64]:
        if self.main.dtype.kind == "i":
            # Of negative ones the opposite: its words do not take away from each other.
            is_negative = self.main < 0
            low = np.where(is_negative, ~self.rest + np.uint64(1), self.rest)
            high = np.where(is_negative, ~self.main + (low == 0), self.main)
            return np.where(is_negative, -1.0, 1.0) * (high * float(_WORD) + low)
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(self.main), self.main + self.rest, self.main)


def _summed(values: Numbers, groups: Groups | None, count: int) -> tuple[Numbers, npt.NDArray[Any]]:
    return (long_sums if values.dtype.kind == "i" else double_sums)(values, groups, count)


class _Summing(Metric[SumState]):
    """What a sum and a count come to."""

    def __init__(self, name: str, field: AggregatedField) -> None:
        super().__init__(name)
        self._field = field

    def spread(self, rows: Rows) -> int:
        return self._field.spread(rows)

    def collect(self, rows: Rows) -> SumState:
        found = self._field.read(rows)
        groups = found.groups(rows)
        values = numbers_of(found.values)
        return SumState(*_summed(values, groups, rows.count), counts_of(groups, len(values), rows.count))

    def merge(self, inputs: Sequence[tuple[SumState, Renumber]], count: int) -> SumState:
        is_whole = self._field.is_whole
        main: Numbers = np.zeros(count, np.int64 if is_whole else np.float64)
        rest: npt.NDArray[Any] = np.zeros(count, np.uint64 if is_whole else np.float64)
        for state, renumber in inputs:
            kept = np.flatnonzero(renumber >= 0)
            groups = renumber[kept]
            if is_whole:  # no two of a state's groups become one, so each is added once
                low = rest[groups] + state.rest[kept]
                main[groups] += state.main[kept] + (low < state.rest[kept])
                rest[groups] = low
        if not is_whole:
            kept = np.concatenate([renumber for _, renumber in inputs for _ in range(2)] or [np.empty(0, np.int32)])
            values = [part for state, _ in inputs for part in (state.main, state.rest)]
            staying = np.flatnonzero(kept >= 0)
            together = np.concatenate(values)[staying] if values else np.empty(0)
            main, rest = double_sums(together, np.ascontiguousarray(kept[staying]), count)
        return SumState(main, rest, merged_counts([(state.counts, renumber) for state, renumber in inputs], count))

    def write(self, state: SumState, out: Packer) -> None:
        out.array(state.main)
        out.array(state.rest)
        out.array(state.counts)

    def read(self, data: Unpacker, count: int) -> SumState:
        is_whole = self._field.is_whole
        main = data.array("<i8" if is_whole else "<f8", count)
        rest = data.array("<u8" if is_whole else "<f8", count)
        counts = data.array("<i8", count)
        require(not bool((counts < 0).any()))
        return SumState(main, rest, counts)


class SumMetric(_Summing):
    """Nothing adds up to 0."""

    def result(self, state: SumState, group: int) -> AggregationResult:
        return ValueResult(self.name, self._field.shown(state.total(group)))

    def sort_values(self, state: SumState) -> npt.NDArray[np.float64]:
        return state.totals()


class AvgMetric(_Summing):
    def result(self, state: SumState, group: int) -> AggregationResult:
        count = int(state.counts[group])
        return ValueResult(self.name, self._field.shown(state.total(group) / count) if count else None)

    def sort_values(self, state: SumState) -> npt.NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(state.counts > 0, state.totals() / state.counts, np.nan)


@dataclass(frozen=True, slots=True)
class ExtremeState:
    values: Numbers
    counts: Counts


class _Extreme(Metric[ExtremeState]):
    """The least value, or the greatest."""

    def __init__(self, name: str, field: AggregatedField) -> None:
        super().__init__(name)
        self._field = field

    @abstractmethod
    def _of(self, values: Numbers, groups: Groups | None, count: int) -> Numbers:
        """By group."""

    def spread(self, rows: Rows) -> int:
        return self._field.spread(rows)

    def collect(self, rows: Rows) -> ExtremeState:
        found = self._field.read(rows)
        groups = found.groups(rows)
        values = numbers_of(found.values)
        return ExtremeState(self._of(values, groups, rows.count), counts_of(groups, len(values), rows.count))

    def merge(self, inputs: Sequence[tuple[ExtremeState, Renumber]], count: int) -> ExtremeState:
        groups = [np.where(state.counts > 0, renumber, -1).astype(np.int32) for state, renumber in inputs]
        together = np.concatenate(groups or [np.empty(0, np.int32)])
        empty = np.empty(0, np.int64 if self._field.is_whole else np.float64)
        values = np.concatenate([empty, *(state.values for state, _ in inputs)])
        kept = together >= 0
        extreme = self._of(values[kept], together[kept], count)
        return ExtremeState(extreme, merged_counts([(s.counts, renumber) for s, renumber in inputs], count))

    def write(self, state: ExtremeState, out: Packer) -> None:
        out.array(state.values)
        out.array(state.counts)

    def read(self, data: Unpacker, count: int) -> ExtremeState:
        values = data.array("<i8" if self._field.is_whole else "<f8", count)
        counts = data.array("<i8", count)
        require(not bool((counts < 0).any()) and not bool(np.isnan(values).any()))
        return ExtremeState(values, counts)

    def result(self, state: ExtremeState, group: int) -> AggregationResult:
        value = self._field.shown(state.values[group].item()) if state.counts[group] else None
        return ValueResult(self.name, value)

    def sort_values(self, state: ExtremeState) -> npt.NDArray[np.float64]:
        return np.where(state.counts > 0, state.values.astype(np.float64), np.nan)


class MinMetric(_Extreme):
    def _of(self, values: Numbers, groups: Groups | None, count: int) -> Numbers:
        return cast(Numbers, extremes(values, groups, count)[0])


class MaxMetric(_Extreme):
    def _of(self, values: Numbers, groups: Groups | None, count: int) -> Numbers:
        return cast(Numbers, extremes(values, groups, count)[1])


class CountMetric(Metric[Counts]):
    """How many values there are; of no field, how many rows."""

    def __init__(self, name: str, field: AggregatedField | LocatedField | None) -> None:
        super().__init__(name)
        self._field = field

    def collect(self, rows: Rows) -> Counts:
        if self._field is None:
            return counts_of(rows.groups, len(rows), rows.count)
        found = self._field.found(rows)
        count = len(rows) if found.rows is None else len(found.rows)
        return counts_of(rows.groups_at(found.rows), count, rows.count)

    def merge(self, inputs: Sequence[tuple[Counts, Renumber]], count: int) -> Counts:
        return merged_counts(inputs, count)

    def write(self, state: Counts, out: Packer) -> None:
        out.array(state)

    def read(self, data: Unpacker, count: int) -> Counts:
        counts = data.array("<i8", count)
        require(not bool((counts < 0).any()))
        return counts

    def result(self, state: Counts, group: int) -> AggregationResult:
        return CountResult(self.name, int(state[group]))

    def sort_values(self, state: Counts) -> npt.NDArray[np.float64]:
        return state.astype(np.float64)


@binds_aggregation(Sum)
def bind_sum(wanted: Sum, binder: LevelBinder) -> SumMetric:
    field = binder.field("sum agg", wanted.field, lambda kind: kind.is_number, wanted.missing)
    return SumMetric(wanted.name, field)


@binds_aggregation(Avg)
def bind_avg(wanted: Avg, binder: LevelBinder) -> AvgMetric:
    field = binder.field("avg agg", wanted.field, lambda kind: kind.is_number or kind.is_date, wanted.missing)
    return AvgMetric(wanted.name, field)


@binds_aggregation(Min)
def bind_min(wanted: Min, binder: LevelBinder) -> MinMetric:
    field = binder.field("min agg", wanted.field, lambda kind: kind.is_number or kind.is_date, wanted.missing)
    return MinMetric(wanted.name, field)


@binds_aggregation(Max)
def bind_max(wanted: Max, binder: LevelBinder) -> MaxMetric:
    field = binder.field("max agg", wanted.field, lambda kind: kind.is_number or kind.is_date, wanted.missing)
    return MaxMetric(wanted.name, field)


@binds_aggregation(Count)
def bind_count(wanted: Count, binder: LevelBinder) -> CountMetric:
    if wanted.field == "*":
        return CountMetric(wanted.name, None)
    schema = binder.schema_field("count agg", wanted.field, lambda kind: kind.is_counted or kind.is_located)
    if kind_of(schema).is_located:
        return CountMetric(wanted.name, LocatedField(schema.name, binder.spaces(schema.name)))
    return CountMetric(wanted.name, binder.field("count agg", wanted.field, lambda kind: kind.is_counted))
