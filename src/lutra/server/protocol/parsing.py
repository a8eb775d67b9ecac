"""Reading one protobuf message, and values in variant encoding."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from lutra.kernels.plainbuffer import decode_variant
from lutra.model.errors import ParameterInvalid
from lutra.model.values import KeyMarker, Value

M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=IntEnum)


def parse(kind: type[M], data: bytes, complaint: str = "Failed to parse the ProtoBuf message.") -> M:
    """The message in ``data``. Raises ParameterInvalid with ``complaint`` where there is none or a field lacks."""
    try:
        message = kind.FromString(data)
    except DecodeError:
        raise ParameterInvalid(complaint) from None
    # Not every implementation of protobuf looks for required fields when it reads.
    if not message.IsInitialized():
        raise ParameterInvalid(complaint)
    return message


def enum_of(kind: type[E], number: int, noun: str) -> E:
    """The member of ``kind`` with that number. Raises ParameterInvalid where the protocol has none."""
    try:
        return kind(number)
    except ValueError:
        raise ParameterInvalid(f"Invalid {noun}: {number}.") from None


def parse_value(data: bytes, noun: str) -> Value:
    """The column value in ``data``. Raises ParameterInvalid for a null, a key marker, or no variant at all."""
    value = decode_variant(data)
    if value is None or isinstance(value, KeyMarker):
        raise ParameterInvalid(f"{noun} must be an integer, a double, a boolean, a string or binary.")
    return value
