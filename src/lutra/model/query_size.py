"""How large a tree of queries may be, and one of aggregations."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.errors import ParameterInvalid


class QuerySize:
    """Counts the queries of one tree while it is walked, so that a small request cannot ask for endless work."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes = 0

    def count(self, depth: int) -> None:
        """One more query, at ``depth``: that of the root is 1. Raises ParameterInvalid where it is too much."""
        self._nodes += 1
        if self._nodes > limits.QUERY_NODES_MAX:
            raise ParameterInvalid(f"The count of queries exceeds the max: {limits.QUERY_NODES_MAX}.")
        if depth > limits.QUERY_DEPTH_MAX:
            raise ParameterInvalid(f"The depth of queries exceeds the max: {limits.QUERY_DEPTH_MAX}.")


class AggregationSize:
    """Counts the aggregations and group-bys of one search while they are walked: by levels alone they might be 20³."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def count(self, number: int) -> None:
        """So many more, at one level. Raises ParameterInvalid where they are too many."""
        self._count += number
        if self._count > limits.AGGREGATIONS_TOTAL_MAX:
            most = limits.AGGREGATIONS_TOTAL_MAX
            raise ParameterInvalid(f"the count of aggregations and group-bys at all levels exceeds the max: {most}")
