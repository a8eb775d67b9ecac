"""Which function reads which type of aggregation or group-by, and writes its result: each module says so itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from lutra.model.aggregations import Aggregation, GroupBy
from lutra.model.registry import Registry
from lutra.server.wire import aggregation_pb2 as wire

if TYPE_CHECKING:
    from lutra.server.protocol.aggregations.level import LevelReader, LevelWriter

ParseAggregation = Callable[[str, bytes], Aggregation]
"""Of a name and a body. Raises ParameterInvalid."""
WriteAggregation = Callable[[Any], Message]
"""Of a result."""
ParseGroupBy = Callable[[str, bytes, "LevelReader"], GroupBy]
"""Of a name and a body; what is asked of each group is read by ``reader.below(...)``. Raises ParameterInvalid."""
WriteGroupBy = Callable[[Any, Any, "LevelWriter"], Message]
"""Of what was asked and its result; what a group came to is written by ``writer.write(wanted, group)``."""


@dataclass(frozen=True, slots=True)
class AggregationWords:
    """How one type is read, and its result written. ``number``: a wire.AGG_X."""

    number: int
    parse: ParseAggregation
    write: WriteAggregation


@dataclass(frozen=True, slots=True)
class GroupByWords:
    """The same of a group-by. ``number``: a wire.GROUP_BY_X."""

    number: int
    parse: ParseGroupBy
    write: WriteGroupBy


def _unserved(noun: str, prefix: str, types: Any) -> Callable[[int], str]:
    def message(number: int) -> str:
        if number == 0:
            return f"[{noun}] has no type"
        names = types.values_by_number
        name = names[number].name.removeprefix(prefix) if number in names else str(number)
        return f"{noun} type {name} is not supported"

    return message


_AGGREGATIONS: Registry[int, AggregationWords] = Registry(
    _unserved("aggregation", "AGG_", wire.AggregationType.DESCRIPTOR)
)
_AGGREGATIONS_BY_CLASS: Registry[type, AggregationWords] = Registry(
    lambda kind: f"aggregation {kind.__name__} is not supported"
)
_GROUP_BYS: Registry[int, GroupByWords] = Registry(_unserved("group-by", "GROUP_BY_", wire.GroupByType.DESCRIPTOR))
_GROUP_BYS_BY_CLASS: Registry[type, GroupByWords] = Registry(lambda kind: f"group-by {kind.__name__} is not supported")


def speaks_aggregation(number: int, kind: type, parse: ParseAggregation, write: WriteAggregation) -> None:
    """``number``: a wire.AGG_X, which stands for aggregations of the class ``kind``."""
    words = AggregationWords(number, parse, write)
    _AGGREGATIONS.add(number, words)
    _AGGREGATIONS_BY_CLASS.add(kind, words)


def speaks_group_by(number: int, kind: type, parse: ParseGroupBy, write: WriteGroupBy) -> None:
    """``number``: a wire.GROUP_BY_X, which stands for group-bys of the class ``kind``."""
    words = GroupByWords(number, parse, write)
    _GROUP_BYS.add(number, words)
    _GROUP_BYS_BY_CLASS.add(kind, words)


aggregation_of = _AGGREGATIONS.of
"""By number. Raises ParameterInvalid for a type that is not served."""

group_by_of = _GROUP_BYS.of
"""By number. Raises ParameterInvalid for a type that is not served."""


def aggregation_for(wanted: Aggregation) -> AggregationWords:
    return _AGGREGATIONS_BY_CLASS.of(type(wanted))


def group_by_for(wanted: GroupBy) -> GroupByWords:
    return _GROUP_BYS_BY_CLASS.of(type(wanted))
