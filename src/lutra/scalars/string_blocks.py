"""Sorted, distinct byte strings in blocks of a stream: keys, and the dictionaries of KEYWORD columns.

A block holds up to 128 strings or some 4 KB of them, without the prefix they share::

    count u16, prefix bytes u16, suffix bytes u16 (0xFFFF: they differ)
    prefix, then for suffixes that differ their ends u16 [count], then the suffixes

Of every block its place, the number of its first string, and a separator stay in memory once something has been asked
for: the shortest string that is greater than all before the block and not greater than any in it.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from operator import lt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.scalars.pages import Sink, Source
from lutra.scalars.stored_numbers import StoredNumbers

STRING_BYTES_MAX: Final = 60_000
"""Of one string: more than any key or keyword takes, and a block's offsets are of 16 bits."""

_STRINGS_MAX: Final = 128
_BLOCK_BYTES: Final = 4_000
_HEAD: Final = struct.Struct("<HHH")
_VARYING: Final = 0xFFFF
_SWEEP_BLOCKS: Final = 512
_LISTED_MIN: Final = 12
"""From so many look-ups in one block on, taking it apart pays."""

Ids = npt.NDArray[np.integer[Any]]


def write_strings(sink: Sink, strings: Sequence[bytes]) -> dict[str, Any]:
    """Writes ``strings`` (ascending, distinct). Returns what `StringBlocks` wants to know, for JSON.

    :raises ValueError: they are not in order, or one is too long.
    """
    bounds = _cut(strings)
    places, separators = [], []
    last = b""
    at = 0
    for begin, end in pairwise(bounds):
        block = strings[begin:end]
        if begin and last >= block[0]:
            raise ValueError("strings are not ascending")
        data = _encoded(block)
        at = sink.write(data)
        places.append(at)
        separators.append(block[0][: _shared(last, block[0]) + 1])
        last = block[-1]
        at += len(data)
    places.append(at)
    texts = b"".join(separators)
    return {
        "count": len(strings),
        "places": StoredNumbers.write(sink, np.array(places, np.int64)).meta(),
        "firsts": StoredNumbers.write(sink, np.array(bounds, np.int64)).meta(),
        "ends": StoredNumbers.write(sink, np.fromiter(accumulate(map(len, separators)), np.int64)).meta(),
        "separators": [sink.write(texts), len(texts)],
    }


def _cut(strings: Sequence[bytes]) -> list[int]:
    """Where blocks begin, and the number of strings after them."""
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    if len(lengths) and int(lengths.max()) > STRING_BYTES_MAX:
        raise ValueError(f"a string has more than {STRING_BYTES_MAX} bytes")
    ends = np.cumsum(lengths)
    bounds = [0]
    while bounds[-1] < len(strings):
        begin = bounds[-1]
        before = int(ends[begin - 1]) if begin else 0
        fitting = int(np.searchsorted(ends, before + _BLOCK_BYTES, side="right"))
        bounds.append(min(len(strings), begin + _STRINGS_MAX, max(begin + 1, fitting)))
    return bounds


def _encoded(strings: Sequence[bytes]) -> bytes:
    """One block. Raises ValueError where the strings are not ascending."""
    if any(a >= b for a, b in pairwise(strings)):
        raise ValueError("strings are not ascending")
    prefix = _shared(strings[0], strings[-1])
    suffixes = [string[prefix:] for string in strings]
    ends = list(accumulate(map(len, suffixes)))
    width = len(suffixes[0])
    table = b""
    if any(len(suffix) != width for suffix in suffixes):
        width = _VARYING
        table = struct.pack(f"<{len(ends)}H", *ends)
    return b"".join((_HEAD.pack(len(strings), prefix, width), strings[0][:prefix], table, *suffixes))


def _shared(a: bytes, b: bytes) -> int:
    """How many bytes both begin with."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


class _Block:
    """One block, taken apart as far as needed."""

    __slots__ = ("_body", "_data", "_ends", "_width", "count", "prefix")

    def __init__(self, data: bytes) -> None:
        head: tuple[int, int, int] = _HEAD.unpack_from(data)
        self.count, prefix, self._width = head
        at = _HEAD.size + prefix
        self.prefix = data[_HEAD.size : at]
        self._data = data
        self._ends: tuple[int, ...] = ()
        if self._width == _VARYING:
            self._ends = struct.unpack_from(f"<{self.count}H", data, at)
            at += 2 * self.count
        self._body = at

    @property
    def size_bytes(self) -> int:
        """That it says it takes."""
        return self._body + (self._ends[-1] if self._ends else self.count * self._width)

    def suffix(self, index: int) -> bytes:
        body = self._body
        if not self._ends:
            begin = body + index * self._width
            return self._data[begin : begin + self._width]
        begin = self._ends[index - 1] if index else 0
        return self._data[body + begin : body + self._ends[index]]

    def string(self, index: int) -> bytes:
        return self.prefix + self.suffix(index)

    def strings(self) -> list[bytes]:
        data, prefix, body = self._data, self.prefix, self._body
        if not self._ends:
            width = self._width
            if not width:  # the one string that is its own prefix
                return [prefix]
            return [prefix + data[at : at + width] for at in range(body, body + self.count * width, width)]
        return [prefix + data[body + begin : body + end] for begin, end in pairwise((0, *self._ends))]

    def rank(self, string: bytes) -> tuple[int, bool]:
        """How many strings of the block are smaller, and whether ``string`` is among them."""
        prefix = self.prefix
        if not string.startswith(prefix):
            return (0 if string < prefix else self.count), False
        wanted = string[len(prefix) :]
        if self._ends:
            rank = bisect_left(range(self.count), wanted, key=self.suffix)
            return rank, rank < self.count and self.suffix(rank) == wanted
        data, body, width = self._data, self._body, self._width or 1
        starts = range(body, body + self.count * width, width)
        rank = bisect_left(starts, wanted, key=lambda begin: data[begin : begin + width])
        return rank, rank < self.count and data[starts[rank] : starts[rank] + width] == wanted


@dataclass(frozen=True, slots=True)
class _Index:
    """What stays in memory."""

    places: list[int]
    firsts: npt.NDArray[np.int64]
    separators: list[bytes]

    def block_of(self, string: bytes) -> int:
        """The block where ``string`` is if anywhere."""
        return max(0, bisect_right(self.separators, string) - 1)


class StringBlocks:
    """Strings 0 to ``len`` - 1 in ascending order, read block by block. Thread-safe.

    Its methods raise what its source raises.
    """

    def __init__(self, source: Source, meta: Mapping[str, Any]) -> None:
        self._source = source
        self._meta = meta
        self._count: int = meta["count"]
        self._loaded: _Index | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def state_bytes(self) -> int:
        """About what is kept in memory."""
        index = self._loaded
        if index is None:
            return 0
        return index.firsts.nbytes + 40 * len(index.places) + sum(41 + len(s) for s in index.separators)

    def __getitem__(self, index: int) -> bytes:
        """Raises IndexError where there is no string of that number."""
        if not 0 <= index < self._count:
            raise IndexError(f"there are {self._count} strings, and none is number {index}")
        firsts = self._index().firsts
        block = int(np.searchsorted(firsts, index, side="right")) - 1
        return self._block(block).string(index - int(firsts[block]))

    def take(self, ids: Ids) -> list[bytes]:
        """The strings of the numbers ``ids``, in that order. Raises IndexError as `__getitem__`."""
        if not len(ids):
            return []
        if not 0 <= int(ids.min()) <= int(ids.max()) < self._count:
            raise IndexError(f"there are {self._count} strings, numbered from 0")
        firsts = self._index().firsts
        numbers = firsts.searchsorted(ids, side="right") - 1
        places = (ids - firsts[numbers]).tolist()
        if len(ids) < _LISTED_MIN:
            listed_numbers = numbers.tolist()
            blocks = self._blocks(sorted(set(listed_numbers)))
            return [blocks[n].string(i) for n, i in zip(listed_numbers, places, strict=True)]
        blocks = self._blocks(np.unique(numbers).tolist())
        counts = np.bincount(numbers - numbers.min())
        if int(counts.max()) < _LISTED_MIN:
            return [blocks[n].string(i) for n, i in zip(numbers.tolist(), places, strict=True)]
        listed = {n: block.strings() for n, block in blocks.items()}
        return [listed[n][i] for n, i in zip(numbers.tolist(), places, strict=True)]

    def rank(self, string: bytes) -> tuple[int, bool]:
        """How many strings are smaller than ``string``, and whether it is one of them."""
        if not self._count:
            return 0, False
        index = self._index()
        number = index.block_of(string)
        rank, found = self._block(number).rank(string)
        return int(index.firsts[number]) + rank, found

    def find(self, strings: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """int64[n]: the number of each of ``strings``, -1 where it is not there. Their blocks are read in one batch."""
        result = np.full(len(strings), -1, np.int64)
        if not self._count or not strings:
            return result
        index = self._index()
        groups: dict[int, list[int]] = {}
        for i, string in enumerate(strings):
            groups.setdefault(index.block_of(string), []).append(i)
        blocks = self._blocks(list(groups))
        found: list[int] = []
        ranks: list[int] = []
        for number, members in groups.items():
            block, first = blocks[number], int(index.firsts[number])
            listed = block.strings() if len(members) >= _LISTED_MIN else None
            for i in members:
                string = strings[i]
                if listed is None:
                    rank, there = block.rank(string)
                else:
                    rank = bisect_left(listed, string)
                    there = rank < len(listed) and listed[rank] == string
                if there:
                    found.append(i)
                    ranks.append(first + rank)
        result[found] = ranks
        return result

    def blocks(self) -> Iterator[list[bytes]]:
        """All strings in order, some tens of thousands at a time: what a merge reads."""
        for sweep in self._sweeps():
            yield list(chain.from_iterable(block.strings() for block in sweep))

    def between(self, begin: int, end: int) -> Iterator[tuple[int, list[bytes]]]:
        """The strings of the numbers ``begin`` to ``end`` - 1, in order, some tens of thousands at a time, and the
        number of the first of each of these lists."""
        if begin >= end:
            return
        firsts = self._index().firsts
        block, after = (int(np.searchsorted(firsts, n, side="right")) - 1 for n in (begin, end - 1))
        number = int(firsts[block])
        for sweep in self._sweeps(block, after + 1):
            strings = list(chain.from_iterable(block.strings() for block in sweep))
            skipped = max(0, begin - number)
            yield number + skipped, strings[skipped : end - number]
            number += len(strings)

    def faults(self) -> Iterator[str]:
        """What would mislead a look-up: of all strings, as `blocks` gives them; nothing where each is found."""
        index = self._index()
        bounds = index.firsts.tolist()
        count = len(index.places) - 1
        if len(index.separators) != count or len(bounds) != count + 1 or (bounds[0], bounds[-1]) != (0, self._count):
            yield f"the index of its blocks is not one of {count} blocks and {self._count} strings"
            return
        last = b""
        for number, block in enumerate(chain.from_iterable(self._sweeps())):
            strings, first = block.strings(), bounds[number]
            due = bounds[number + 1] - first, index.places[number + 1] - index.places[number]
            if (block.count, block.size_bytes) != due or not block.count == len(strings) > 0:
                yield f"block {number} has {block.count} strings in {block.size_bytes} bytes, its index says {due}"
                return
            if not all(map(lt, strings, strings[1:])):
                yield f"the strings of block {number} (from number {first} on) are not ascending"
            # Before the first block there is nothing that its separator would have to be greater than.
            if (number and last >= index.separators[number]) or index.separators[number] > strings[0]:
                yield f"block {number} (from string {first} on) is not where its index leads to"
            last = strings[-1]

    def _sweeps(self, begin: int = 0, end: int | None = None) -> Iterator[list[_Block]]:
        """The blocks ``begin`` to ``end`` - 1 (None: all) in order, some hundred at a time."""
        index = self._index()
        end = len(index.places) - 1 if end is None else end
        for first in range(begin, end, _SWEEP_BLOCKS):
            places = index.places[first : min(end, first + _SWEEP_BLOCKS) + 1]
            data = self._source.read(places[0], places[-1] - places[0])
            yield [_Block(data[begin - places[0] : end - places[0]]) for begin, end in pairwise(places)]

    def _block(self, number: int) -> _Block:
        places = self._index().places
        return _Block(self._source.read(places[number], places[number + 1] - places[number]))

    def _blocks(self, numbers: list[int]) -> dict[int, _Block]:
        places = self._index().places
        data = self._source.read_many([(places[n], places[n + 1] - places[n]) for n in numbers])
        return {n: _Block(block) for n, block in zip(numbers, data, strict=True)}

    def load_index(self) -> None:
        """Has what finds a string's block in memory, as the first look-up would."""
        self._index()

    @property
    def index_place(self) -> tuple[int, int]:
        """Offset and length in the stream of what `load_index` reads."""
        places, firsts, ends = self._numbers()
        parts = [places.place(), firsts.place(), ends.place(), tuple(self._meta["separators"])]
        begin = min(offset for offset, _ in parts)
        return begin, max(offset + length for offset, length in parts) - begin

    def _numbers(self) -> tuple[StoredNumbers, StoredNumbers, StoredNumbers]:
        places, firsts, ends = (StoredNumbers.of(self._meta[name]) for name in ("places", "firsts", "ends"))
        return places, firsts, ends

    def _index(self) -> _Index:
        """Read once; two threads that come first at once both read it."""
        if self._loaded is None:
            places, firsts, ends = self._numbers()
            at, length = self._meta["separators"]
            parts = self._source.read_many([places.place(), firsts.place(), ends.place(), (at, length)])
            bounds = [0, *ends.unpack(parts[2]).tolist()]
            self._loaded = _Index(
                places.unpack(parts[0]).tolist(),
                firsts.unpack(parts[1]).astype(np.int64),
                [parts[3][begin:end] for begin, end in pairwise(bounds)],
            )
        return self._loaded
