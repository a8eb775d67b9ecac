"""Which module checks which kind of aggregation and group-by: each says so itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lutra.model.registry import Registry
from lutra.search.aggregations.grouping import Grouping
from lutra.search.aggregations.metric import AnyMetric

if TYPE_CHECKING:
    from lutra.search.aggregations.binding import LevelBinder

BindMetric = Callable[[Any, "LevelBinder"], AnyMetric]
BindGrouping = Callable[[Any, "LevelBinder"], Grouping]

_METRICS: Registry[type, BindMetric] = Registry(lambda kind: f"aggregation {kind.__name__} is not supported")
_GROUPINGS: Registry[type, BindGrouping] = Registry(lambda kind: f"group-by {kind.__name__} is not supported")

binds_aggregation = _METRICS.serves
"""Makes a function the one that checks aggregations of a class: it raises ParameterInvalid, or gives a metric."""

binds_group_by = _GROUPINGS.serves
"""Makes a function the one that checks group-bys of a class: it raises ParameterInvalid, or gives a grouping.

It asks its binder for the level of each group: ``binder.below(wanted)``.
"""


def metric_bind_of(wanted: object) -> BindMetric:
    """The function for the kind of ``wanted``. Raises ParameterInvalid where there is none."""
    return _METRICS.of(type(wanted))


def grouping_bind_of(wanted: object) -> BindGrouping:
    """The function for the kind of ``wanted``. Raises ParameterInvalid where there is none."""
    return _GROUPINGS.of(type(wanted))
