"""Which functions parse and write which sorter: each says so itself, by `parses` and `writes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Sorter
from lutra.server.protocol.queries.reader import Reader
from lutra.server.wire import query_pb2 as wire

Parse = Callable[[Any, Reader], Sorter]
"""Of the member of a wire.Sorter that is set; queries within it are read by ``reader.read(message)``.

Raises ParameterInvalid.
"""
Write = Callable[[Any], wire.Sorter]
P = TypeVar("P", bound=Parse)
W = TypeVar("W", bound=Write)

_MEMBERS: Final = tuple(wire.Sorter.DESCRIPTOR.fields_by_name)
_PARSES: dict[str, Parse] = {}
_WRITES: dict[type, Write] = {}


def parses(member: str) -> Callable[[P], P]:
    """Makes a function the one that parses sorters of which ``member`` is set."""
    assert member in _MEMBERS

    def register(parse: P) -> P:
        _PARSES[member] = parse
        return parse

    return register


def writes(kind: type) -> Callable[[W], W]:
    """Makes a function the one that writes sorters of this kind."""

    def register(write: W) -> W:
        _WRITES[kind] = write
        return write

    return register


def parse_sorter(message: wire.Sorter, reader: Reader) -> Sorter:
    """Raises ParameterInvalid for what is malformed or not served."""
    for member in _MEMBERS:
        if message.HasField(member):
            if member not in _PARSES:
                raise ParameterInvalid(f"sorter [{member}] is not supported")
            return _PARSES[member](getattr(message, member), reader)
    raise ParameterInvalid("a sorter is empty")


def write_sorter(sorter: Sorter) -> wire.Sorter:
    return _WRITES[type(sorter)](sorter)
