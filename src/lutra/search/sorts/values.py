"""Levels by a value of each document: a number, or a string; some documents may have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.kernels.row_mask import RowMask
from lutra.scalars.strings_part import StringsPart
from lutra.search.level import AbsenceKeys, ArrayKeys, Keys, string_keys
from lutra.search.mark import Mark
from lutra.search.scores import Docs


@dataclass(frozen=True, slots=True)
class NumberLevel:
    """Numbers, dates or booleans: ``values[doc]`` where ``present`` (None: everywhere)."""

    values: npt.NDArray[Any]
    present: RowMask | None
    descending: bool
    absent_first: bool = False

    def arrays(self) -> Sequence[Keys]:
        own = ArrayKeys(self.values, self.descending)
        return (own,) if self.present is None else (AbsenceKeys(self.present, self.absent_first), own)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        size = len(self.values)
        if mark is None:
            return _after_none(self.present, size, self.absent_first)
        assert isinstance(mark, int | float)
        beyond = self.values < mark if self.descending else self.values > mark
        return _with_absent(self.present, RowMask(beyond), RowMask(self.values == mark), self.absent_first)

    def marks(self, docs: Docs) -> list[Mark]:
        marks: list[Mark] = self.values[docs].tolist()
        return marks if self.present is None else _where(self.present.has(docs), marks)


@dataclass(frozen=True, slots=True)
class StringLevel:
    """Strings: ``ordinals[doc]``, a number in ``strings``, where ``present`` (None: everywhere)."""

    strings: StringsPart
    ordinals: npt.NDArray[Any]
    present: RowMask | None
    descending: bool
    absent_first: bool = False

    def arrays(self) -> Sequence[Keys]:
        own = string_keys(self.strings, self.descending, self.ordinals)
        return own if self.present is None else (AbsenceKeys(self.present, self.absent_first), *own)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        size = len(self.ordinals)
        if mark is None:
            return _after_none(self.present, size, self.absent_first)
        assert isinstance(mark, str)
        if not self.strings.size:
            beyond = RowMask.none(size) if self.absent_first else RowMask.all(size)
            return beyond, RowMask.none(size)
        greater, equal = self.strings.compare(mark.encode())
        above = ~(greater | equal) if self.descending else greater
        masks = RowMask(above[self.ordinals]), RowMask(equal[self.ordinals])
        return _with_absent(self.present, *masks, self.absent_first)

    def marks(self, docs: Docs) -> list[Mark]:
        if not self.strings.size:
            return [None] * len(docs)
        marks: list[Mark] = [string.decode() for string in self.strings.taken(self.ordinals[docs])]
        return marks if self.present is None else _where(self.present.has(docs), marks)


def _after_none(present: RowMask | None, size: int, absent_first: bool) -> tuple[RowMask, RowMask]:
    """What comes after documents without a value, and these."""
    having = RowMask.all(size) if present is None else present
    return having if absent_first else RowMask.none(size), RowMask.all(size) - having


def _with_absent(
    present: RowMask | None, beyond: RowMask, equal: RowMask, absent_first: bool
) -> tuple[RowMask, RowMask]:
    """Of those that have a value the masks as they are; the others come after them all, or before."""
    if present is None:
        return beyond, equal
    beyond, equal = beyond & present, equal & present
    return beyond if absent_first else beyond | (RowMask.all(present.rows) - present), equal


def _where(present: npt.NDArray[np.bool_], marks: list[Mark]) -> list[Mark]:
    return [mark if there else None for mark, there in zip(marks, present.tolist(), strict=True)]
