"""From a state to what a search answers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import (
    Aggregated,
    AggregationResult,
    CountResult,
    Group,
    GroupByResult,
    PercentilesResult,
    RowsResult,
)
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.grouping import Grouping
from lutra.search.aggregations.level import BucketsState, Level, LevelState, merge


class Size:
    """How much an answer may still hold."""

    def __init__(self) -> None:
        self._groups = limits.ANSWER_GROUPS_MAX
        self._rows = limits.ANSWER_GROUPS_MAX

    def count(self, groups: int, results: Iterable[AggregationResult] = ()) -> None:
        """Raises ParameterInvalid where it is too much."""
        self._groups -= groups
        self._rows -= sum(len(result.hits) for result in results if isinstance(result, RowsResult))
        if self._groups < 0:
            raise ParameterInvalid(f"the answer has more than {limits.ANSWER_GROUPS_MAX} groups: ask for fewer")
        if self._rows < 0:
            raise ParameterInvalid(f"the answer has more than {limits.ANSWER_GROUPS_MAX} top rows: ask for fewer")


def aggregated(level: Level, state: LevelState, group: int = 0, size: Size | None = None) -> Aggregated:
    """The results of a level for one of its groups. Raises ParameterInvalid where there are too many groups."""
    size = size or Size()
    metrics = {m.name: m.result(own, group) for m, own in zip(level.metrics, state.metrics, strict=True)}
    size.count(0, metrics.values())
    group_bys = {
        grouping.name: _groups(grouping, own, group, size)
        for grouping, own in zip(level.groupings, state.groupings, strict=True)
    }
    return Aggregated(metrics, group_bys)


def _groups(grouping: Grouping, state: BucketsState, parent: int, size: Size) -> GroupByResult:
    mine = state.buckets.of(parent)

    def sort_values(name: str) -> tuple[npt.NDArray[np.float64], float]:
        at = next(i for i, metric in enumerate(grouping.level.metrics) if metric.name == name)
        metric = grouping.level.metrics[at]
        values, of_none = metric.sort_values(state.level.metrics[at]), metric.sort_values(metric.merge((), 1))
        assert values is not None
        assert of_none is not None
        return values[mine.start : mine.stop], float(of_none[0])

    chosen = grouping.choose(state.buckets, mine, sort_values)
    size.count(len(chosen))
    empty: Aggregated | None = None
    groups = []
    for one in chosen:
        if one.bucket is not None:
            below = aggregated(grouping.level, state.level, one.bucket, size)
        else:
            empty = empty or aggregated(grouping.level, merge(grouping.level, (), 1), 0, size)
            below = empty
        rows = 0 if one.bucket is None else int(state.buckets.rows[one.bucket])
        groups.append(Group(one.key, rows, below.aggregations, below.group_bys))
    return GroupByResult(grouping.name, groups, grouping.token(state.buckets, mine, chosen), state.is_exact)


def estimated(came: Aggregated | Group, above: str = "") -> dict[str, None]:
    """The names of results that are not exact, below those of the group-bys that they are in: ``by_user/visits``."""
    names: dict[str, None] = {}
    for name, result in came.aggregations.items():
        if isinstance(result, CountResult | PercentilesResult) and not result.is_exact:
            names[above + name] = None
    for name, groups in came.group_bys.items():
        if not groups.is_exact:
            names[above + name] = None
        for group in groups.groups:
            names |= estimated(group, f"{above}{name}/")
    return names
