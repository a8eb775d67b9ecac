"""From a state to what a search answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import (
    Aggregated,
    CountResult,
    Group,
    GroupByResult,
    PercentilesResult,
    RowsResult,
)
from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.grouping import Grouping
from lutra.search.aggregations.level import BucketsState, Level, LevelState, merge


def aggregated(level: Level, state: LevelState) -> Aggregated:
    """The results of a level of one group. Raises ParameterInvalid where there are too many groups; RequestTimeout."""
    return _Results().of(level, state, 0)


class _Results:
    """Those of one search: counted, so that there is an end to them."""

    def __init__(self) -> None:
        self._groups_left = limits.ANSWER_GROUPS_MAX
        self._rows_left = limits.ANSWER_GROUPS_MAX
        self._sort_values: dict[tuple[int, str], tuple[npt.NDArray[np.float64], float]] = {}

    def of(self, level: Level, state: LevelState, group: int) -> Aggregated:
        metrics = {m.name: m.result(own, group) for m, own in zip(level.metrics, state.metrics, strict=True)}
        for result in metrics.values():
            if isinstance(result, RowsResult):
                self._rows_left -= len(result.hits)
                if self._rows_left < 0:
                    raise ParameterInvalid(
                        f"the answer has more than {limits.ANSWER_GROUPS_MAX} top rows: ask for fewer"
                    )
        if not level.groupings:
            return Aggregated(metrics)
        groupings = zip(level.groupings, state.groupings, strict=True)
        return Aggregated(metrics, {grouping.name: self._groups(grouping, own, group) for grouping, own in groupings})

    def _groups(self, grouping: Grouping, state: BucketsState, parent: int) -> GroupByResult:
        current_deadline().check()
        mine = state.buckets.of(parent)

        def sort_values(name: str) -> tuple[npt.NDArray[np.float64], float]:
            values, of_none = self._sorted_by(grouping.level, state.level, name)
            return values[mine.start : mine.stop], of_none

        chosen = grouping.choose(state.buckets, mine, sort_values)
        self._groups_left -= len(chosen)
        if self._groups_left < 0:
            raise ParameterInvalid(f"the answer has more than {limits.ANSWER_GROUPS_MAX} groups: ask for less")
        empty: Aggregated | None = None
        groups = []
        for one in chosen:
            if one.bucket is not None:
                below, rows = self.of(grouping.level, state.level, one.bucket), int(state.buckets.rows[one.bucket])
            else:
                empty = empty or self.of(grouping.level, merge(grouping.level, (), 1), 0)
                below, rows = empty, 0
            groups.append(Group(one.key, rows, below.aggregations, below.group_bys))
        return GroupByResult(grouping.name, groups, grouping.token(state.buckets, mine, chosen), state.is_exact)

    def _sorted_by(self, level: Level, state: LevelState, name: str) -> tuple[npt.NDArray[np.float64], float]:
        """What a metric of a level comes to in each of its groups, and in one without rows: found once for all."""
        known = self._sort_values.get((id(state), name))
        if known is None:
            at = next(i for i, metric in enumerate(level.metrics) if metric.name == name)
            metric = level.metrics[at]
            values, of_none = metric.sort_values(state.metrics[at]), metric.sort_values(metric.merge((), 1))
            assert values is not None
            assert of_none is not None
            known = self._sort_values[id(state), name] = values, float(of_none[0])
        return known


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
