"""Which function reads which type of aggregation or group-by, and writes its result: each module says so itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from lutra.model.aggregations import Aggregation, GroupBy
from lutra.model.errors import ParameterInvalid
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
    """How one type is read, and its result written."""

    number: int
    parse: ParseAggregation
    write: WriteAggregation


@dataclass(frozen=True, slots=True)
class GroupByWords:
    number: int
    parse: ParseGroupBy
    write: WriteGroupBy


_AGGREGATIONS: dict[int, AggregationWords] = {}
_AGGREGATION_NUMBERS: dict[type, int] = {}
_GROUP_BYS: dict[int, GroupByWords] = {}
_GROUP_BY_NUMBERS: dict[type, int] = {}


def speaks_aggregation(number: int, kind: type, parse: ParseAggregation, write: WriteAggregation) -> None:
    """``number``: a wire.AGG_X, which stands for aggregations of the class ``kind``."""
    _AGGREGATIONS[number] = AggregationWords(number, parse, write)
    _AGGREGATION_NUMBERS[kind] = number


def speaks_group_by(number: int, kind: type, parse: ParseGroupBy, write: WriteGroupBy) -> None:
    """``number``: a wire.GROUP_BY_X, which stands for group-bys of the class ``kind``."""
    _GROUP_BYS[number] = GroupByWords(number, parse, write)
    _GROUP_BY_NUMBERS[kind] = number


def aggregation_of(number: int) -> AggregationWords:
    """Raises ParameterInvalid for a type that is not served."""
    if number not in _AGGREGATIONS:
        raise ParameterInvalid(_unserved("aggregation", "AGG_", wire.AggregationType.DESCRIPTOR, number))
    return _AGGREGATIONS[number]


def aggregation_for(wanted: Aggregation) -> AggregationWords:
    return _AGGREGATIONS[_AGGREGATION_NUMBERS[type(wanted)]]


def group_by_of(number: int) -> GroupByWords:
    """Raises ParameterInvalid for a type that is not served."""
    if number not in _GROUP_BYS:
        raise ParameterInvalid(_unserved("group-by", "GROUP_BY_", wire.GroupByType.DESCRIPTOR, number))
    return _GROUP_BYS[number]


def group_by_for(wanted: GroupBy) -> GroupByWords:
    return _GROUP_BYS[_GROUP_BY_NUMBERS[type(wanted)]]


def _unserved(noun: str, prefix: str, types: Any, number: int) -> str:
    if number == 0:
        return f"[{noun}] has no type"
    names = types.values_by_number
    name = names[number].name.removeprefix(prefix) if number in names else str(number)
    return f"{noun} type {name} is not supported"
