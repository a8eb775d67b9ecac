"""Ranges of keys of which nothing is shown, though it is stored: deleted, and to be removed little by little.

SlateDB has no delete of a range. A range of few keys is deleted key by key, in the batch that deletes it. Of one with
many, the batch stores a record: who reads skips what was written before it, by the sequence that SlateDB gives every
pair, and a sweep deletes the keys, and last the record. So it is one with its batch, and goes on after a crash.

A split of a partition hides what is its sibling's in the same way, but for good, and without a record.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lutra.model.errors import Corruption, ParameterInvalid

RESERVED: Final = b"\xff" * 16
"""Keys that start so are the store's own."""

_RECORDS: Final = RESERVED + b"deleted/"
_LENGTH: Final = struct.Struct(">I")

KeyRange = tuple[bytes, bytes]
"""[begin, end)."""

Row = tuple[bytes, bytes, int]
"""A key, its value, and the sequence of the batch that wrote it."""


@dataclass(frozen=True, slots=True)
class HiddenRange:
    """Of [begin, end), nothing is shown that was written before ``before``, which is all where that is None.

    ``record``: the key of what says so in the store; None where whoever opened the store said it.
    """

    begin: bytes
    end: bytes
    before: int | None
    record: bytes | None

    def hides(self, key: bytes, sequence: int) -> bool:
        return self.begin <= key < self.end and (self.before is None or sequence < self.before)

    @classmethod
    def stored(cls, record: bytes, value: bytes, sequence: int) -> HiddenRange:
        """What a record says. Raises Corruption."""
        if len(value) < _LENGTH.size:
            raise Corruption("the record of a deleted range of keys is cut short")
        (length,) = _LENGTH.unpack_from(value)
        begin, end = value[_LENGTH.size :][:length], value[_LENGTH.size :][length:]
        if not begin < end:
            raise Corruption("the record of a deleted range of keys has none")
        return cls(begin, end, sequence, record)


class HiddenRanges:
    """All there are; never changed, but replaced."""

    __slots__ = ("ranges",)

    def __init__(self, ranges: Iterable[HiddenRange] = ()) -> None:
        self.ranges: tuple[HiddenRange, ...] = tuple(ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def touches(self, key: bytes) -> bool:
        return any(hidden.begin <= key < hidden.end for hidden in self.ranges)

    def hides(self, key: bytes, sequence: int) -> bool:
        return any(hidden.hides(key, sequence) for hidden in self.ranges)

    def within(self, begin: bytes, end: bytes) -> HiddenRanges:
        """Those that reach into [begin, end)."""
        return HiddenRanges(hidden for hidden in self.ranges if hidden.begin < end and begin < hidden.end)

    def shown(self, begin: bytes, end: bytes) -> list[KeyRange]:
        """What is left of [begin, end), ascending, without ranges that are hidden for good."""
        left = []
        for hidden in sorted((one.begin, one.end) for one in self.ranges if one.before is None):
            if begin < hidden[0]:
                left.append((begin, min(hidden[0], end)))
            begin = max(begin, hidden[1])
            if begin >= end:
                break
        if begin < end:
            left.append((begin, end))
        return [(first, last) for first, last in left if first < last]

    def filtered(self, rows: Iterable[Row]) -> Iterator[Row]:
        return (row for row in rows if not self.hides(row[0], row[2]))

    def with_more(self, more: Iterable[HiddenRange]) -> HiddenRanges:
        return HiddenRanges((*self.ranges, *more))

    def without(self, swept: HiddenRange) -> HiddenRanges:
        return HiddenRanges(hidden for hidden in self.ranges if hidden is not swept)


def hidden_for_good(ranges: Sequence[KeyRange]) -> HiddenRanges:
    """Raises ParameterInvalid where one of them is none."""
    for begin, end in ranges:
        if not begin < end:
            raise ParameterInvalid("a hidden range of keys has to end after it begins")
    return HiddenRanges(HiddenRange(begin, min(end, RESERVED), None, None) for begin, end in ranges)


def records_range() -> KeyRange:
    """Where the records are."""
    return _RECORDS, _RECORDS + b"\xff"


class RecordKeys:
    """Gives keys to records, none twice."""

    def __init__(self, known: HiddenRanges) -> None:
        last = max((int.from_bytes(hidden.record[-8:], "big") for hidden in known.ranges if hidden.record), default=0)
        self._numbers = itertools.count(last + 1)

    def next(self) -> bytes:
        return _RECORDS + next(self._numbers).to_bytes(8, "big")


def record_value(begin: bytes, end: bytes) -> bytes:
    return _LENGTH.pack(len(begin)) + begin + end
