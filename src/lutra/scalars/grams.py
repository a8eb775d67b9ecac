"""Which strings of a dictionary have which three bytes in a row: so a pattern finds them without a look at the others.

A gram is what stands at one byte of a string: three bytes, or, where the string ends before, what is left and `_END`,
which no UTF-8 has. Of each gram the numbers of the strings that have it, ascending, lie one after the other, in the
order of the grams. A shorter piece of a string is a beginning of grams, which lie together: `ab` is all from `ab\\x00`
to `ab\\xff`. Grams that one of `_SHARE` strings has are left out: to read the strings themselves costs no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import Corruption
from lutra.scalars.dictionary import NumberDictionary, write_numbers
from lutra.scalars.pages import Sink, Source
from lutra.scalars.stored_numbers import StoredNumbers

FORMAT: Final = 1
GRAM_BYTES: Final = 3
END: Final = b"\xff"
"""What follows the last byte of a string, where a piece is one that strings end with."""

_END: Final = 0xFF
_SHARE: Final = 8
_SHARE_MIN: Final = 64
"""Of fewer strings all grams are kept."""
_RUNS_READ_MAX: Final = 8
_WORTH: Final = 16
"""A list that is so many times as long as what is left is not read to narrow that."""

Numbers = npt.NDArray[np.int64]


def write_grams(sink: Sink, strings: Sequence[bytes]) -> dict[str, Any]:
    """Writes the grams of ``strings``. Returns what `Grams` wants to know, for JSON.

    Takes some 30 bytes of memory for each place where the commonest first byte stands, and a byte for every other.
    """
    stored = _number_type(len(strings))
    grams: list[npt.NDArray[np.uint32]] = []
    counts: list[npt.NDArray[np.int64]] = []
    place, written = 0, 0
    for own, own_counts, numbers in _lists(strings):
        at = sink.write(numbers.astype(stored))
        place = place if written else at
        written += len(numbers)
        grams.append(own)
        counts.append(own_counts)
    all_grams = np.concatenate(grams) if grams else np.empty(0, np.uint32)
    return {
        "format": FORMAT,
        "grams": write_numbers(sink, all_grams.astype(np.int64)),
        "starts": StoredNumbers.write(sink, _starts(counts)).meta(),
        "numbers": StoredNumbers(place, written, stored).meta(),
    }


def _starts(counts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Where the numbers of each gram begin, and where the last ones end."""
    return np.cumsum(np.concatenate([np.zeros(1, np.int64), *counts]))


def _number_type(count: int) -> str:
    return "<u1" if count <= 1 << 8 else "<u2" if count <= 1 << 16 else "<u4"


def _lists(
    strings: Sequence[bytes],
) -> Iterator[tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64], npt.NDArray[np.uint32]]]:
    """``(grams, how many strings of each are listed, their numbers)``, of one first byte after the other.

    Where a byte stands is found in order, so sorting by the other two, stably, leaves the strings of a gram in order.
    """
    text = np.frombuffer(b"".join(string + 2 * END for string in strings), np.uint8)
    ends = np.fromiter(accumulate(len(string) + 2 for string in strings), np.int64, len(strings))
    listed_max = max(_SHARE_MIN, len(strings) // _SHARE)
    for first in np.flatnonzero(np.bincount(text, minlength=256)[:_END]).tolist():
        places = np.flatnonzero(text == first)
        rest = (text[places + 1].astype(np.uint16) << 8) | text[places + 2]
        order = np.argsort(rest, kind="stable")
        rest, numbers = rest[order], np.searchsorted(ends, places, side="right").astype(np.uint32)[order]
        is_new = np.concatenate(([True], (rest[1:] != rest[:-1]) | (numbers[1:] != numbers[:-1])))
        rest, numbers = rest[is_new], numbers[is_new]
        begins = np.flatnonzero(np.concatenate(([True], rest[1:] != rest[:-1])))
        counts = np.diff(begins, append=len(rest))
        is_listed = counts <= listed_max
        grams = (np.uint32(first) << np.uint32(16)) | rest[begins].astype(np.uint32)
        yield grams, np.where(is_listed, counts, 0), numbers[np.repeat(is_listed, counts)]


class Grams:
    """What `write_grams` wrote, read as it is asked for. Thread-safe. Methods raise what the source raises."""

    def __init__(self, source: Source, meta: Mapping[str, Any]) -> None:
        """Raises Corruption where ``meta`` is of a format that is not known here."""
        if meta["format"] != FORMAT:
            raise Corruption(f"grams are of format {meta['format']}: this release reads {FORMAT}")
        self._source = source
        self._grams = NumberDictionary(source, meta["grams"], np.dtype(np.int64))
        self._starts = StoredNumbers.of(meta["starts"])
        self._numbers = StoredNumbers.of(meta["numbers"])

    @property
    def state_bytes(self) -> int:
        """What is kept in memory."""
        return self._grams.state_bytes

    def having(self, pieces: Sequence[bytes]) -> Numbers | None:
        """The numbers of strings that have all ``pieces``, ascending, and of some that may not.

        A piece that strings are to end with has `END` for its last byte. None: that may be most of all strings.
        """
        runs: list[tuple[int, int]] = []
        for low, high in dict.fromkeys(bounds for piece in pieces for bounds in _bounds_of(piece)):
            run = self._run(low, high)
            if run is not None:
                runs.append(run)
        if not runs:
            return None
        runs.sort(key=lambda run: run[1] - run[0])
        found: Numbers | None = None
        for begin, end in runs[:_RUNS_READ_MAX]:
            if found is not None and end - begin > _WORTH * (len(found) + 1):
                break
            numbers = np.unique(self._numbers.read(self._source, begin, end).astype(np.int64))
            found = numbers if found is None else _both(found, numbers)
        return found

    def _run(self, low: int, high: int) -> tuple[int, int] | None:
        """Where the numbers of the grams ``low`` to ``high`` lie; None where one of these is not listed."""
        begin = self._grams.rank(low)[0]
        rank, found = self._grams.rank(high)
        starts = self._starts.read(self._source, begin, rank + found + 1).astype(np.int64)
        if np.any(starts[1:] == starts[:-1]):
            return None
        return int(starts[0]), int(starts[-1])

    def faults(self, strings: Sequence[bytes]) -> Iterator[str]:
        """What would mislead `having`, of a dictionary of ``strings``."""
        lists = list(_lists(strings))
        grams = np.concatenate([part[0] for part in lists]) if lists else np.empty(0, np.uint32)
        numbers = np.concatenate([part[2] for part in lists]) if lists else np.empty(0, np.uint32)
        yield from (f"its grams: {text}" for text in self._grams.faults())
        if not np.array_equal(self._grams.read(), grams):
            yield "its grams are not those of its strings"
        elif not np.array_equal(self._starts.read(self._source), _starts([part[1] for part in lists])):
            yield "its grams: the numbers of their strings do not begin where they are said to"
        elif not np.array_equal(self._numbers.read(self._source), numbers):
            yield "its grams: the numbers of their strings are wrong"


def _bounds_of(piece: bytes) -> Iterator[tuple[int, int]]:
    """The least and the greatest gram of each that a string with ``piece`` has."""
    if piece.strip(END):
        for begin in range(max(1, len(piece) - GRAM_BYTES + 1)):
            gram = piece[begin : begin + GRAM_BYTES]
            low, high = gram.ljust(GRAM_BYTES, b"\0"), gram.ljust(GRAM_BYTES, END)
            yield int.from_bytes(low, "big"), int.from_bytes(high, "big")


def _both(few: Numbers, many: Numbers) -> Numbers:
    """What is in both; each ascending, and not twice in either."""
    if not len(many):
        return many
    places = np.minimum(np.searchsorted(many, few), len(many) - 1)
    both: Numbers = few[many[places] == few]
    return both
