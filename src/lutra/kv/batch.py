"""Changes to a store that are committed together, or not at all."""

from __future__ import annotations

from typing import Final

PUT: Final = 0
DELETE: Final = 1
DELETE_RANGE: Final = 2

Operation = tuple[int, bytes, bytes]
"""``(PUT, key, value)``, ``(DELETE, key, b"")`` or ``(DELETE_RANGE, begin, end)``. Plain tuples: millions pass."""


class WriteBatch:
    """Puts and deletes in the order they are to be applied; knows no engine."""

    __slots__ = ("operations",)

    def __init__(self, operations: list[Operation] | None = None) -> None:
        self.operations: list[Operation] = [] if operations is None else operations

    def put(self, key: bytes, value: bytes) -> None:
        self.operations.append((PUT, key, value))

    def delete(self, key: bytes) -> None:
        """Deletes the key; no error where it is absent."""
        self.operations.append((DELETE, key, b""))

    def delete_range(self, begin: bytes, end: bytes) -> None:
        """Deletes every key of [begin, end); nothing where ``end`` is not after ``begin``."""
        if begin < end:
            self.operations.append((DELETE_RANGE, begin, end))

    @property
    def size_bytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(len(key) + len(value) for _, key, value in self.operations)

    def __len__(self) -> int:
        return len(self.operations)
