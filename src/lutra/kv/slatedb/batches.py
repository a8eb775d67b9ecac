"""What a batch comes to on a store that can only put and delete single keys."""

from __future__ import annotations

from typing import Any

from lutra.kv.batch import DELETE_RANGE, PUT, WriteBatch
from lutra.kv.slatedb.hidden import RESERVED, KeyRange
from lutra.kv.slatedb.library import library
from lutra.model.errors import ParameterInvalid


class PlainBatch:
    """What a `WriteBatch` leaves of each key it names, and the ranges it deletes of what was there before it."""

    __slots__ = ("last", "ranges")

    def __init__(self, batch: WriteBatch) -> None:
        """Raises ParameterInvalid where a key is empty, or the store's own."""
        self.last: dict[bytes, bytes | None] = {}
        """Of each key its new value, None where it is deleted."""
        self.ranges: list[KeyRange] = []
        last = self.last
        for kind, key, value in batch.operations:
            if kind == PUT:
                last[key] = value
            elif kind != DELETE_RANGE:
                last[key] = None
            elif key < value:
                for doomed in [one for one in last if key <= one < value]:
                    del last[doomed]
                self.ranges.append((key, min(value, RESERVED)))
        if last and (b"" in last or max(last) >= RESERVED):
            raise ParameterInvalid("a key is neither empty, nor starts with sixteen bytes of 0xFF")

    def for_bindings(self) -> Any:
        """The bindings' batch."""
        batch = library().WriteBatch()
        put, delete = batch.put, batch.delete
        for key, value in self.last.items():
            if value is None:
                delete(key)
            else:
                put(key, value)
        return batch
