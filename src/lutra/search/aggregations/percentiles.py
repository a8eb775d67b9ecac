"""Percentiles of a field: read from its values up to a bound, and from sketches beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from datasketches import kll_doubles_sketch

from lutra.model import limits
from lutra.model.aggregations import AggregationResult, Percentiles, PercentilesResult
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.binding import LevelBinder, binds_aggregation
from lutra.search.aggregations.fields import AggregatedField
from lutra.search.aggregations.metric import Metric, Renumber
from lutra.search.aggregations.packing import Packer, Unpacker, require
from lutra.search.aggregations.rows import Groups, Rows

_K: Final = 1_024
"""Of a sketch: ranks it gives are wrong by 0.3 % of all at most, in 99 cases of a hundred."""
_SKETCHED_MIN: Final = 4_096
"""Of a group with fewer values all are kept in any case."""


@dataclass(frozen=True, slots=True)
class PercentilesState:
    """The values of each group, one group after the other; of groups with too many a sketch instead."""

    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    """By group: how many of ``values`` are its."""
    sketches: Mapping[int, Any] = field(default_factory=dict)
    ends: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", np.cumsum(self.counts))

    def of(self, group: int) -> npt.NDArray[np.float64]:
        end = int(self.ends[group])
        return self.values[end - int(self.counts[group]) : end]


class PercentilesMetric(Metric[PercentilesState]):
    def __init__(self, name: str, field: AggregatedField, percentiles: Sequence[float]) -> None:
        super().__init__(name)
        self._field = field
        self._percentiles = percentiles

    def spread(self, rows: Rows) -> int:
        return self._field.spread(rows)

    def collect(self, rows: Rows) -> PercentilesState:
        found = self._field.read(rows)
        return _state(found.values.astype(np.float64), found.groups(rows), rows.count, {})

    def merge(self, inputs: Sequence[tuple[PercentilesState, Renumber]], count: int) -> PercentilesState:
        groups = np.concatenate([np.empty(0, np.int32), *(np.repeat(r, state.counts) for state, r in inputs)])
        values = np.concatenate([np.empty(0), *(state.values for state, _ in inputs)])
        sketches: dict[int, Any] = {}
        for state, renumber in inputs:
            for group, sketch in state.sketches.items():
                if renumber[group] >= 0:
                    sketches.setdefault(int(renumber[group]), kll_doubles_sketch(_K)).merge(sketch)
        staying = groups >= 0
        return _state(values[staying], groups[staying], count, sketches)

    def write(self, state: PercentilesState, out: Packer) -> None:
        out.array(state.values)
        out.array(state.counts)
        out.array(np.array(list(state.sketches), np.int32))
        for sketch in state.sketches.values():
            out.blob(sketch.serialize())

    def read(self, data: Unpacker, count: int) -> PercentilesState:
        values = data.array("<f8")
        counts = data.array("<i8", count)
        require(not bool((counts < 0).any()) and int(counts.sum()) == len(values))
        require(not bool(np.isnan(values).any()))
        sketched = data.array("<i4").tolist()
        require(len(set(sketched)) == len(sketched) and all(0 <= group < count for group in sketched))
        return PercentilesState(values, counts, {group: _read_sketch(data.blob()) for group in sketched})

    def result(self, state: PercentilesState, group: int) -> AggregationResult:
        sketch = state.sketches.get(group)
        values = state.of(group)
        found: Sequence[float | None]
        if sketch is not None:
            found = [float(value) for value in sketch.get_quantiles([one / 100 for one in self._percentiles])]
        elif len(values):
            found = _interpolated(np.sort(values), self._percentiles)
        else:
            found = [None] * len(self._percentiles)
        shown = [None if value is None else self._field.shown(value) for value in found]
        items = tuple(zip(self._percentiles, shown, strict=True))
        return PercentilesResult(self.name, items, is_exact=sketch is None, is_whole=self._field.is_whole)


def _interpolated(values: npt.NDArray[np.float64], percentiles: Sequence[float]) -> list[float]:
    """Of ``values``, which are ascending."""
    result = []
    for percentile in percentiles:
        at = percentile / 100 * (len(values) - 1)
        below = int(at)
        low, high = float(values[below]), float(values[min(below + 1, len(values) - 1)])
        share = at - below
        # Infinities are values, too, and what lies between the greatest doubles may be farther than one of them.
        result.append(low if not share or low == high else low * (1 - share) + high * share)
    return result


def _state(
    values: npt.NDArray[np.float64], groups: Groups | None, count: int, sketches: Mapping[int, Any]
) -> PercentilesState:
    """Of values in any order, and of sketches, to which their groups' values are added."""
    if groups is None:
        groups = np.zeros(len(values), np.int32)
    else:
        order = np.argsort(groups, kind="stable")
        values, groups = values[order], groups[order]
    counts = np.bincount(groups, minlength=count)
    chosen = np.zeros(count, bool)
    chosen[list(sketches)] = True
    if len(values) > limits.PERCENTILE_VALUES_KEPT_MAX:
        chosen |= counts > _SKETCHED_MIN
    if not chosen.any():
        return PercentilesState(values, counts)
    extended = dict(sketches)
    ends = np.cumsum(counts)
    for group in np.flatnonzero(chosen).tolist():
        sketch = extended.setdefault(group, kll_doubles_sketch(_K))
        sketch.update(np.ascontiguousarray(values[ends[group] - counts[group] : ends[group]]))
    return PercentilesState(values[~chosen[groups]], np.where(chosen, 0, counts), extended)


def _read_sketch(data: bytes) -> Any:
    try:
        return kll_doubles_sketch.deserialize(data)
    except (ValueError, RuntimeError, IndexError, TypeError):
        require(False)


@binds_aggregation(Percentiles)
def bind_percentiles(wanted: Percentiles, binder: LevelBinder) -> PercentilesMetric:
    field = binder.field("percentiles agg", wanted.field, lambda kind: kind.is_number or kind.is_date, wanted.missing)
    if not 1 <= len(wanted.percentiles) <= limits.PERCENTILES_MAX:
        raise ParameterInvalid(
            f"[percentiles agg] has {len(wanted.percentiles)} percentiles, must have 1 to {limits.PERCENTILES_MAX}"
        )
    for percentile in wanted.percentiles:
        if not 0 <= percentile <= 100:
            raise ParameterInvalid(f"[percentiles agg] percentile {percentile} must be in [0, 100]")
    return PercentilesMetric(wanted.name, field, wanted.percentiles)
