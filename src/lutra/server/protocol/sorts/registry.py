"""Which functions parse and write which sorter: each says so itself, by `parses` and `writes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Sorter
from lutra.model.registry import Registry
from lutra.server.protocol.queries.reader import Reader
from lutra.server.wire import query_pb2 as wire

Parse = Callable[[Any, Reader], Sorter]
"""Of the member of a wire.Sorter that is set; queries within it are read by ``reader.read(message)``.

Raises ParameterInvalid.
"""
Write = Callable[[Any], wire.Sorter]

_MEMBERS: Final = tuple(wire.Sorter.DESCRIPTOR.fields_by_name)
_PARSES: Registry[str, Parse] = Registry(lambda member: f"sorter [{member}] is not supported")
_WRITES: Registry[type, Write] = Registry(lambda kind: f"sorter {kind.__name__} is not supported")

parses = _PARSES.serves
"""Makes a function the one that parses sorters of which a member of wire.Sorter is set, by its name."""

writes = _WRITES.serves
"""Makes a function the one that writes sorters of a class."""


def parse_sorter(message: wire.Sorter, reader: Reader) -> Sorter:
    """Raises ParameterInvalid for what is malformed or not served."""
    for member in _MEMBERS:
        if message.HasField(member):
            return _PARSES.of(member)(getattr(message, member), reader)
    raise ParameterInvalid("a sorter is empty")


def write_sorter(sorter: Sorter) -> wire.Sorter:
    return _WRITES.of(type(sorter))(sorter)
