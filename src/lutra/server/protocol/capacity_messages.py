"""Capacity units, which nearly every response carries."""

from __future__ import annotations

from functools import lru_cache

from lutra.model.schema import CapacityUnits
from lutra.server.wire import capacity_pb2 as wire

INT32_MAX = 2**31 - 1


def consumed_message(units: CapacityUnits) -> wire.ConsumedCapacity:
    """What a request consumed. The message is shared: copy it into a response, never change it."""
    return _consumed(units.read, units.write)


@lru_cache(maxsize=1024)
def _consumed(read: int, write: int) -> wire.ConsumedCapacity:
    unit = wire.CapacityUnit(read=min(read, INT32_MAX), write=min(write, INT32_MAX))
    return wire.ConsumedCapacity(capacity_unit=unit)
