"""What the bodies of several kinds of queries have: a field, a weight, a minimum."""

from __future__ import annotations

from typing import Protocol

from lutra.model.errors import ParameterInvalid
from lutra.server.protocol.parsing import M, parse


class WithField(Protocol):
    field_name: str


class WithWeight(Protocol):
    weight: float

    def HasField(self, field_name: str, /) -> bool: ...  # noqa: N802


class WithMinimum(Protocol):
    minimum_should_match: int
    new_minimum_should_match: str

    def HasField(self, field_name: str, /) -> bool: ...  # noqa: N802


def body_of(kind: type[M], data: bytes) -> M:
    """The body of a query. Raises ParameterInvalid where ``data`` is none."""
    return parse(kind, data, f"Failed to parse the body of a {kind.DESCRIPTOR.name}.")


def field_of(message: WithField) -> str:
    """The name of a field. Raises ParameterInvalid where there is none."""
    if not message.field_name:
        raise ParameterInvalid(f"a {type(message).__name__} has no [field_name]")
    return message.field_name


def weight_of(message: WithWeight) -> float:
    """What was sent, 1 where nothing was."""
    return message.weight if message.HasField("weight") else 1.0


def minimum_of(message: WithMinimum) -> int | str | None:
    """How many clauses or words have to match; the newer form counts where both were sent."""
    if message.HasField("new_minimum_should_match"):
        return message.new_minimum_should_match
    return message.minimum_should_match if message.HasField("minimum_should_match") else None
