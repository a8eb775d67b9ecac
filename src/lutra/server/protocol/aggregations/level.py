"""All that is asked at one level of a search, or of each group of a group-by; and what it came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from lutra.model import limits
from lutra.model.aggregations import Aggregated, Aggregation, AggregationResult, Group, GroupBy, GroupByResult
from lutra.model.errors import ParameterInvalid
from lutra.model.query_size import AggregationSize
from lutra.server.protocol.aggregations.registry import (
    aggregation_for,
    aggregation_of,
    group_by_for,
    group_by_of,
)
from lutra.server.protocol.parsing import parse
from lutra.server.wire import aggregation_pb2 as wire


class WithSubs(Protocol):
    """The body of a group-by."""

    @property
    def sub_aggs(self) -> wire.Aggregations: ...

    @property
    def sub_group_bys(self) -> wire.GroupBys: ...


class Asked(Protocol):
    """What is asked at one level."""

    @property
    def aggregations(self) -> tuple[Aggregation, ...]: ...

    @property
    def group_bys(self) -> tuple[GroupBy, ...]: ...


class Came(Protocol):
    """What it came to, by name."""

    @property
    def aggregations(self) -> dict[str, AggregationResult]: ...

    @property
    def group_bys(self) -> dict[str, GroupByResult]: ...


@dataclass(frozen=True, slots=True)
class LevelReader:
    """Reads group-bys that stand at a depth, from 1 on."""

    depth: int = 1
    size: AggregationSize = field(default_factory=AggregationSize)
    """Of all levels."""

    def below(self, body: WithSubs) -> tuple[tuple[Aggregation, ...], tuple[GroupBy, ...]]:
        """What is asked of each group. Raises ParameterInvalid."""
        self.size.count(len(body.sub_aggs.aggs))
        below = LevelReader(self.depth + 1, self.size)
        return read_aggregations(body.sub_aggs), below.group_bys(body.sub_group_bys)

    def group_bys(self, message: wire.GroupBys) -> tuple[GroupBy, ...]:
        """Raises ParameterInvalid."""
        if len(message.group_bys) > limits.AGGREGATIONS_MAX:
            raise ParameterInvalid(f"the count of [group_bys] exceeds the max: {limits.AGGREGATIONS_MAX}")
        if message.group_bys and self.depth > limits.GROUP_BY_LEVELS_MAX:
            raise ParameterInvalid(f"[group_bys] are nested deeper than {limits.GROUP_BY_LEVELS_MAX} levels")
        self.size.count(len(message.group_bys))
        return tuple(self.group_by(one) for one in message.group_bys)

    def group_by(self, message: wire.GroupBy) -> GroupBy:
        """Raises ParameterInvalid."""
        return group_by_of(message.type).parse(message.name, message.body, self)


def read_aggregations(message: wire.Aggregations) -> tuple[Aggregation, ...]:
    """Raises ParameterInvalid."""
    if len(message.aggs) > limits.AGGREGATIONS_MAX:
        raise ParameterInvalid(f"the count of [aggs] exceeds the max: {limits.AGGREGATIONS_MAX}")
    return tuple(aggregation_of(one.type).parse(one.name, one.body) for one in message.aggs)


def parse_aggregations(data: bytes) -> tuple[Aggregation, ...]:
    """The aggregations of a search. Raises ParameterInvalid."""
    return read_aggregations(parse(wire.Aggregations, data, "Failed to parse [aggs]."))


def parse_group_bys(data: bytes) -> tuple[GroupBy, ...]:
    """The group-bys of a search. Raises ParameterInvalid."""
    return LevelReader().group_bys(parse(wire.GroupBys, data, "Failed to parse [group_bys]."))


class LevelWriter:
    """Writes what a level came to, in the order in which it was asked."""

    def aggregations(self, asked: Asked, came: Came) -> wire.AggregationsResult:
        results = []
        for wanted in asked.aggregations:
            words, own = aggregation_for(wanted), came.aggregations[wanted.name]
            body = words.write(own).SerializeToString()
            results.append(wire.AggregationResult(name=wanted.name, type=words.number, agg_result=body))  # type: ignore[arg-type]
        return wire.AggregationsResult(agg_results=results)

    def group_bys(self, asked: Asked, came: Came) -> wire.GroupBysResult:
        results = []
        for wanted in asked.group_bys:
            words, own = group_by_for(wanted), came.group_bys[wanted.name]
            body = words.write(wanted, own, self).SerializeToString()
            results.append(wire.GroupByResult(name=wanted.name, type=words.number, group_by_result=body))  # type: ignore[arg-type]
        return wire.GroupBysResult(group_by_results=results)

    def below(self, asked: Asked, group: Group) -> dict[str, Any]:
        """What a group came to, as the fields of its item; none of what nobody asked."""
        fields: dict[str, Any] = {}
        if asked.aggregations:
            fields["sub_aggs_result"] = self.aggregations(asked, group)
        if asked.group_bys:
            fields["sub_group_bys_result"] = self.group_bys(asked, group)
        return fields


def aggregated_messages(asked: Asked, came: Aggregated) -> tuple[bytes | None, bytes | None]:
    """The results of a search's aggregations, and those of its group-bys; None for what nobody asked."""
    writer = LevelWriter()
    aggs = writer.aggregations(asked, came).SerializeToString() if asked.aggregations else None
    return aggs, writer.group_bys(asked, came).SerializeToString() if asked.group_bys else None
