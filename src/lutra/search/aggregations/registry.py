"""Which module checks which kind of aggregation and group-by: each says so itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.grouping import Grouping
from lutra.search.aggregations.metric import AnyMetric

if TYPE_CHECKING:
    from lutra.search.aggregations.binding import LevelBinder

BindMetric = Callable[[Any, "LevelBinder"], AnyMetric]
BindGrouping = Callable[[Any, "LevelBinder"], Grouping]
M = TypeVar("M", bound=BindMetric)
G = TypeVar("G", bound=BindGrouping)

_METRICS: dict[type, BindMetric] = {}
_GROUPINGS: dict[type, BindGrouping] = {}


def binds_aggregation(kind: type) -> Callable[[M], M]:
    """Makes a function the one that checks aggregations of this kind: it raises ParameterInvalid, or gives a metric."""

    def register(bind: M) -> M:
        _METRICS[kind] = bind
        return bind

    return register


def binds_group_by(kind: type) -> Callable[[G], G]:
    """Makes a function the one that checks group-bys of this kind: it raises ParameterInvalid, or gives a grouping.

    It asks its binder for the level of each group: ``binder.below(wanted)``.
    """

    def register(bind: G) -> G:
        _GROUPINGS[kind] = bind
        return bind

    return register


def metric_bind_of(wanted: object) -> BindMetric:
    """The function for the kind of ``wanted``. Raises ParameterInvalid where there is none."""
    bind = _METRICS.get(type(wanted))
    if bind is None:
        raise ParameterInvalid(f"aggregation {type(wanted).__name__} is not supported")
    return bind


def grouping_bind_of(wanted: object) -> BindGrouping:
    """The function for the kind of ``wanted``. Raises ParameterInvalid where there is none."""
    bind = _GROUPINGS.get(type(wanted))
    if bind is None:
        raise ParameterInvalid(f"group-by {type(wanted).__name__} is not supported")
    return bind
