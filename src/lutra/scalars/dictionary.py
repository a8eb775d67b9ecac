"""The distinct values of a column in a segment, ascending: from values to their numbers and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.scalars.pages import Sink, Source
from lutra.scalars.stored_numbers import StoredNumbers
from lutra.scalars.stored_strings import StoredStrings
from lutra.scalars.string_blocks import StringBlocks
from lutra.scalars.values import Scalar

_BLOCK_VALUES: Final = 512


def write_numbers(sink: Sink, values: npt.NDArray[Any]) -> dict[str, Any]:
    """Writes numbers, ascending and distinct. Returns what `NumberDictionary` wants to know, for JSON."""
    stored = StoredNumbers.write(sink, values)
    firsts = StoredNumbers.write(sink, values[::_BLOCK_VALUES])
    return {"values": stored.meta(), "block": _BLOCK_VALUES, "firsts": firsts.meta()}


class NumberDictionary:
    """Of LONG, DATE, DOUBLE and BOOLEAN. Thread-safe.

    The first value of each block is read when first needed and kept.
    """

    def __init__(self, source: Source, meta: Mapping[str, Any], dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._source = source
        self._values = StoredNumbers.of(meta["values"])
        self._block_values: int = meta["block"]
        self._firsts_at = StoredNumbers.of(meta["firsts"])
        self._firsts: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return self._values.count

    @property
    def state_bytes(self) -> int:
        """What is kept in memory."""
        return 0 if self._firsts is None else self._firsts.nbytes

    def rank(self, value: Scalar) -> tuple[int, bool]:
        """How many values are smaller than ``value``, and whether it is one of them."""
        if not self._values.count:
            return 0, False
        block = self._block_of(value)
        values = self._values.unpack(self._source.read(*self._place(block)))
        place = int(np.searchsorted(values, value))
        return block * self._block_values + place, place < len(values) and bool(values[place] == value)

    def find(self, values: Sequence[Scalar]) -> list[int]:
        """The numbers of those of ``values`` that are there, each once, ascending."""
        if not self._values.count:
            return []
        groups: dict[int, list[Scalar]] = {}
        for value in values:
            groups.setdefault(self._block_of(value), []).append(value)
        data = self._source.read_many([self._place(block) for block in groups])
        found: set[int] = set()
        for (block, wanted), part in zip(groups.items(), data, strict=True):
            own = self._values.unpack(part)
            places = np.searchsorted(own, wanted)
            for value, place in zip(wanted, places.tolist(), strict=True):
                if place < len(own) and own[place] == value:
                    found.add(block * self._block_values + place)
        return sorted(found)

    def read(self) -> npt.NDArray[Any]:
        """All of them, of the field's type."""
        return self._values.read(self._source).astype(self._dtype, copy=False)

    def take(self, numbers: npt.NDArray[Any]) -> list[Scalar]:
        """The values of a few numbers."""
        parts = self._source.read_many([self._values.place(n, n + 1) for n in numbers.tolist()])
        values: list[Scalar] = self._values.unpack(b"".join(parts)).astype(self._dtype).tolist()
        return values

    def faults(self) -> Iterator[str]:
        """What would mislead a look-up; nothing where each value is found under its number."""
        values = self._values.read(self._source)
        if not np.array_equal(values, self.read()):
            yield "its values are not of the field's type"
        unordered = np.flatnonzero(~(values[1:] > values[:-1]))
        if len(unordered):
            yield f"its values are not ascending after number {unordered[0]}"
        if self._block_values < 1 or not np.array_equal(self._first_values(), values[:: self._block_values]):
            yield "its index is not of the first values of its blocks"

    def _block_of(self, value: Scalar) -> int:
        return max(0, int(np.searchsorted(self._first_values(), value, side="right")) - 1)

    def _place(self, block: int) -> tuple[int, int]:
        begin = block * self._block_values
        return self._values.place(begin, min(self._values.count, begin + self._block_values))

    def _first_values(self) -> npt.NDArray[Any]:
        if self._firsts is None:
            self._firsts = self._firsts_at.read(self._source)
        return self._firsts


class StringDictionary:
    """Of KEYWORD."""

    def __init__(self, source: Source, meta: Mapping[str, Any]) -> None:
        self.strings = StringBlocks(source, meta)
        self.sorted = StoredStrings(self.strings)

    def __len__(self) -> int:
        return len(self.strings)

    @property
    def state_bytes(self) -> int:
        """About what is kept in memory."""
        return self.strings.state_bytes

    def rank(self, value: Scalar) -> tuple[int, bool]:
        """How many values are smaller than ``value``, and whether it is one of them."""
        assert isinstance(value, str)
        return self.strings.rank(value.encode())

    def find(self, values: Sequence[Scalar]) -> list[int]:
        """The numbers of those of ``values`` that are there, each once, ascending."""
        found = self.strings.find([value.encode() for value in values if isinstance(value, str)])
        numbers: list[int] = np.unique(found[found >= 0]).tolist()
        return numbers

    def rank_after(self, prefix: str) -> int:
        """How many strings are smaller than all that do not start with ``prefix`` but are greater than it."""
        encoded = prefix.encode()
        # UTF-8 has no byte 0xFF, so this is greater than every string with the prefix, and than no other one.
        return self.strings.rank(encoded + b"\xff")[0]

    def read(self) -> list[bytes]:
        """All of them."""
        return [string for block in self.strings.blocks() for string in block]

    def faults(self) -> Iterator[str]:
        """What would mislead a look-up; nothing where each value is found under its number."""
        return self.strings.faults()

    def take(self, numbers: npt.NDArray[Any]) -> list[Scalar]:
        """The values of a few numbers."""
        return [string.decode() for string in self.strings.take(numbers)]
