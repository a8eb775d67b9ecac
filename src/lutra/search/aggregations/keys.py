"""What groups have in common: keys, which are numbers of tables, and the numbering of their combinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.aggregate import group_counts, number_keys
from lutra.search.aggregations.packing import Packer, Unpacker, require
from lutra.search.aggregations.rows import Groups

Table = npt.NDArray[Any] | list[bytes]
"""Keys by number, each once: int64, float64, or byte strings."""
Codes = npt.NDArray[np.int64]
"""int64[n]: numbers of keys."""

NO_KEY: Final = -1
"""The code of rows that are in a group because they have no value."""

_DENSE_SPAN: Final = 65_536
"""A table of so many combinations is made in any case, and of four times as many as there are rows: that is cheaper
than looking each of them up."""


@dataclass(frozen=True, slots=True)
class RowKeys:
    """The key of each of some rows: ``codes`` from 0 to ``size`` - 1, or NO_KEY; ``take`` gives the keys of some."""

    codes: npt.NDArray[Any]
    size: int
    take: Callable[[Codes], Table]


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """The keys of groups: ``codes`` in ``table``, which is ascending; or NO_KEY."""

    codes: Codes
    table: Table

    def taken(self, groups: npt.NDArray[Any]) -> KeyColumn:
        """Of some groups."""
        return compacted(self.codes[groups], self.table)

    def key(self, group: int) -> Any:
        """Of one group: int, float, or bytes; None where it has none."""
        return self.keys([group])[0]

    def keys(self, groups: Sequence[int]) -> list[Any]:
        """Of some groups."""
        codes = self.codes[groups]
        if isinstance(self.table, list):
            table = self.table
            return [None if code == NO_KEY else table[code] for code in codes.tolist()]
        if not len(self.table):
            return [None] * len(codes)
        keys = self.table[codes].tolist()
        return [None if code == NO_KEY else key for code, key in zip(codes.tolist(), keys, strict=True)]

    def write(self, out: Packer) -> None:
        out.array(self.codes)
        if isinstance(self.table, list):
            out.number(0)
            out.strings(self.table)
        else:
            out.number(1 if self.table.dtype.kind == "i" else 2)
            out.array(self.table)

    @classmethod
    def read(cls, data: Unpacker, count: int) -> KeyColumn:
        """The inverse. Raises Corruption."""
        codes = data.array("<i8", count)
        kind = data.number(2)
        table: Table
        if kind == 0:
            table = data.strings()
            require(all(a < b for a, b in pairwise(table)))
        else:
            table = data.array("<i8" if kind == 1 else "<f8")
            require(bool(np.all(table[1:] > table[:-1])))
        require(not count or NO_KEY <= int(codes.min()) <= int(codes.max()) < len(table))
        return cls(codes, table)


def compacted(codes: Codes, table: Table) -> KeyColumn:
    """With only the keys that are used, ascending."""
    used = used_of(codes, len(table))
    taken: Table = [table[i] for i in used.tolist()] if isinstance(table, list) else table[used]
    return ascending(_renumbered(codes, used, len(table)), taken)


def used_of(codes: npt.NDArray[Any], size: int) -> Codes:
    """Which of so many keys come, ascending; NO_KEY is none."""
    is_used = np.zeros(size + 1, bool)  # the last is for NO_KEY
    is_used[codes] = True
    return np.flatnonzero(is_used[:size])


def ascending(codes: Codes, table: Table) -> KeyColumn:
    """With its table in order."""
    if isinstance(table, list):
        order = sorted(range(len(table)), key=table.__getitem__)
        if order == list(range(len(table))):
            return KeyColumn(codes, table)
        ordered: Table = [table[i] for i in order]
    else:
        if bool(np.all(table[1:] > table[:-1])):
            return KeyColumn(codes, table)
        places = table.argsort(kind="stable")
        order, ordered = places.tolist(), table[places]
    return KeyColumn(_renumbered(codes, np.array(order, np.int64), len(table)), ordered)


def _renumbered(codes: Codes, kept: npt.NDArray[np.int64], size: int) -> Codes:
    """``codes`` after the keys ``kept``, in this order, are all there are."""
    renumber = np.full(size + 1, NO_KEY, np.int64)  # the last is for NO_KEY
    renumber[kept] = np.arange(len(kept))
    return renumber[codes]


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each once, ascending."""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def united(columns: Sequence[KeyColumn]) -> tuple[list[Codes], Table]:
    """The keys of several columns in one table, ascending, and the codes of each column in it."""
    used = [column.table for column in columns if len(column.table)]
    if len(used) <= 1:
        return [column.codes for column in columns], used[0] if used else columns[0].table
    table: Table
    if isinstance(used[0], list):
        table = sorted(set[bytes]().union(*used))
        numbers = dict(zip(table, range(len(table)), strict=True))
        places = [np.fromiter((numbers[key] for key in c.table), np.int64, len(c.table)) for c in columns]
    else:
        table = distinct(np.concatenate(used))
        places = [np.searchsorted(table, np.asarray(c.table, table.dtype)) for c in columns]
    return [np.append(own, NO_KEY)[c.codes] for own, c in zip(places, columns, strict=True)], table


@dataclass(frozen=True, slots=True)
class Numbering:
    """Combinations of a group and keys, each once: ``numbers[i]`` is that of row ``i``."""

    numbers: Groups
    parents: npt.NDArray[np.int32]
    codes: tuple[Codes, ...]
    """By combination: the group, and the key of each column."""
    rows: npt.NDArray[np.int64]
    """How many rows each has."""
    is_whole: bool = True
    """No combination was left out."""


def numbered(parents: Groups | None, columns: Sequence[tuple[npt.NDArray[Any], int]]) -> Numbering:
    """Numbers combinations of ``parents`` (None: all 0) and of the codes of ``columns``: below so many, or NO_KEY."""
    numbers: npt.NDArray[Any] = np.zeros(0, np.int32) if parents is None else parents
    firsts: list[npt.NDArray[Any]] = []
    rows = np.empty(0, np.int64)
    for codes, size in columns:
        base = size + 1
        if not firsts:
            count = 1 if parents is None else int(parents.max(initial=-1)) + 1
            combined = codes if parents is None else parents.astype(np.int64) * base + codes
        else:
            count = len(rows)
            combined = numbers.astype(np.int64) * base + codes
        if bool(codes.min(initial=0) < 0):
            combined = np.where(codes < 0, combined + base, combined)
        numbers, different, rows = _counted(combined, count * base)
        before, key = np.divmod(different, base)
        kept = [before] if not firsts else [first[before] for first in firsts]
        firsts = [*kept, np.where(key == size, NO_KEY, key)]
    return Numbering(numbers.astype(np.int32, copy=False), firsts[0].astype(np.int32), tuple(firsts[1:]), rows)


def _counted(keys: npt.NDArray[Any], span: int) -> tuple[Groups, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each key's number, the keys by number, and how often each comes; keys are from 0 to ``span`` - 1."""
    if span <= max(_DENSE_SPAN, 4 * len(keys)):
        counts = np.bincount(keys, minlength=span)
        different = np.flatnonzero(counts)
        if len(different) == len(counts):
            return keys.astype(np.int32, copy=False), different, counts
        numbers = np.zeros(len(counts), np.int32)
        numbers[different] = np.arange(len(different), dtype=np.int32)
        return numbers[keys], different, counts[different]
    found, different = number_keys(np.ascontiguousarray(keys, np.int64))
    return found, different, group_counts(found, len(different))
