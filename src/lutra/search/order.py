"""Sorting documents, without sorting them all.

A sort is a row of levels (score, field, primary key), each of which gives one or more arrays of keys. The smallest k
documents are found array by array: those below the k-th smallest key are in, those equal to it compete for the places
left in the next. Only the k chosen are then put in order. The primary key is always the last level, so no two tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import FieldSort, PrimaryKeySort, ScoreSort, Sorter, SortMode
from lutra.scalars.sorting import SortKeys, sort_keys
from lutra.scalars.strings import Mask, StringsView
from lutra.search.matcher import Scores
from lutra.segments.part import Part

Docs = npt.NDArray[np.int64]
Mark = int | float | bool | str | bytes | None
"""Where a document stands on one level, as a token carries it; None where it lacks the field."""

_SAMPLED_MIN: Final = 4_096
_SAMPLE_SIZE: Final = 2_048


class Keys(Protocol):
    """One array of keys: smaller comes first."""

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        """The keys of ``docs``; None means all documents."""


@dataclass(frozen=True, slots=True)
class ArrayKeys:
    """``values[doc]``, or ``values[ids[doc]]`` where there are ``ids``; turned round where ``descending``."""

    values: npt.NDArray[Any]
    descending: bool
    ids: npt.NDArray[Any] | None = None

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        if self.ids is not None:
            taken: npt.NDArray[Any] = self.values[self.ids if docs is None else self.ids[docs]]
        else:
            taken = self.values if docs is None else self.values[docs]
        if self.descending:
            taken = -taken if taken.dtype.kind == "f" else ~taken
        return taken


@dataclass(frozen=True, slots=True)
class TieKeys:
    """Orders documents whose strings agree in all their words: by the strings themselves, in Python."""

    strings: StringsView
    descending: bool
    ids: npt.NDArray[Any] | None = None

    def take(self, docs: Docs | None) -> npt.NDArray[Any]:
        chosen = docs
        if self.ids is not None:
            chosen = self.ids if docs is None else self.ids[docs]
        ranks = self.strings.tie_ranks(np.arange(self.strings.size) if chosen is None else chosen)
        return -ranks if self.descending else ranks

    def narrowed(self, docs: Docs, count: int) -> Docs:
        """``docs`` without most of those that are not among the first ``count``: by a sample, as `_first_of_many`."""
        ids = docs if self.ids is None else self.ids[docs]
        strings = [self.strings.strings[i] for i in ids.tolist()]
        sample = sorted(strings[:: len(strings) // _SAMPLE_SIZE], reverse=self.descending)
        if count >= len(sample):
            return docs
        bound = sample[count - 1]
        kept = [s >= bound for s in strings] if self.descending else [s <= bound for s in strings]
        narrowed: Docs = docs[np.array(kept)]
        return narrowed


class Level(Protocol):
    """One level of a sort."""

    def arrays(self) -> Sequence[Keys]: ...

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        """Masks of the documents after ``mark``, and of those at it.

        Raises ParameterInvalid for a mark of another kind of level.
        """

    def mark(self, doc: int) -> Mark:
        """Where ``doc`` stands."""


@dataclass(frozen=True, slots=True)
class ScoreLevel:
    scores: Scores
    descending: bool
    size: int

    def arrays(self) -> Sequence[Keys]:
        return () if isinstance(self.scores, float) else (ArrayKeys(self.scores, self.descending),)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        if not isinstance(mark, float):
            raise _bad_mark()
        scores = np.full(self.size, self.scores) if isinstance(self.scores, float) else self.scores
        return (scores < mark if self.descending else scores > mark), scores == mark

    def mark(self, doc: int) -> Mark:
        return self.scores if isinstance(self.scores, float) else float(self.scores[doc])


@dataclass(frozen=True, slots=True)
class NumberLevel:
    """A field of numbers, dates or booleans; documents without it come last."""

    values: npt.NDArray[Any]
    present: Mask | None
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        own = ArrayKeys(self.values, self.descending)
        return (own,) if self.present is None else (ArrayKeys(~self.present, False), own)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        present = np.ones(len(self.values), bool) if self.present is None else self.present
        if mark is None:
            return np.zeros(len(self.values), bool), ~present
        kinds = {"i": int, "f": float, "b": bool}
        if type(mark) is not kinds[self.values.dtype.kind]:
            raise _bad_mark()
        beyond = self.values < mark if self.descending else self.values > mark
        return (present & beyond) | ~present, present & (self.values == mark)

    def mark(self, doc: int) -> Mark:
        if self.present is not None and not self.present[doc]:
            return None
        value: Mark = self.values[doc].item()
        return value


@dataclass(frozen=True, slots=True)
class StringLevel:
    """A KEYWORD field: ``ordinals[doc]`` is a number in ``strings``; documents without it come last."""

    strings: StringsView
    ordinals: npt.NDArray[Any]
    present: Mask | None
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        own = _string_keys(self.strings, self.descending, self.ordinals)
        return own if self.present is None else (ArrayKeys(~self.present, False), *own)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        present = np.ones(len(self.ordinals), bool) if self.present is None else self.present
        if mark is None:
            return np.zeros(len(self.ordinals), bool), ~present
        if not isinstance(mark, str):
            raise _bad_mark()
        if not self.strings.size:
            return ~present, np.zeros(len(self.ordinals), bool)
        greater, equal = self.strings.compare(mark.encode())
        beyond = ~(greater | equal) if self.descending else greater
        return (present & beyond[self.ordinals]) | ~present, present & equal[self.ordinals]

    def mark(self, doc: int) -> Mark:
        if self.present is not None and not self.present[doc]:
            return None
        ordinal: int = self.ordinals[doc]
        return self.strings.strings[ordinal].decode()


@dataclass(frozen=True, slots=True)
class KeyLevel:
    """The primary key."""

    strings: StringsView
    descending: bool

    def arrays(self) -> Sequence[Keys]:
        return _string_keys(self.strings, self.descending, None)

    def after(self, mark: Mark) -> tuple[Mask, Mask]:
        if not isinstance(mark, bytes):
            raise _bad_mark()
        greater, equal = self.strings.compare(mark)
        return (~(greater | equal) if self.descending else greater), equal

    def mark(self, doc: int) -> Mark:
        return self.strings.strings[doc]


def _string_keys(strings: StringsView, descending: bool, ids: npt.NDArray[Any] | None) -> Sequence[Keys]:
    if not strings.size:
        return ()
    words = tuple(ArrayKeys(word, descending, ids) for word in strings.words)
    return words if strings.exact else (*words, TieKeys(strings, descending, ids))


def _bad_mark() -> ParameterInvalid:
    return ParameterInvalid("[token] is invalid")


def levels_of(view: Part, sort: Sequence[Sorter], scores: Scores) -> list[Level]:
    """The levels of a sort, up to the primary key, which is added where it is not there.

    Raises ParameterInvalid for a ``missing`` or a mode that does not fit its field.
    """
    levels: list[Level] = []
    for sorter in sort:
        if isinstance(sorter, PrimaryKeySort):
            levels.append(KeyLevel(view.keys, sorter.descending))
            return levels
        if isinstance(sorter, ScoreSort):
            levels.append(ScoreLevel(scores, sorter.descending, view.size))
        else:
            levels.append(_field_level(view, sorter))
    levels.append(KeyLevel(view.keys, False))
    return levels


def _field_level(view: Part, sorter: FieldSort) -> Level:
    column = view.scalars[sorter.field]
    mode = sorter.mode
    if mode is None:
        mode = SortMode.MAX if sorter.descending else SortMode.MIN
    keys = sort_keys(column, mode)
    missing = None if sorter.missing is None else column.reader.operand(sorter.missing)
    if keys.strings is not None:
        assert missing is None or isinstance(missing, str)
        return _string_level(keys, keys.strings, missing, sorter.descending)
    if missing is None or keys.present is None:
        return NumberLevel(keys.values, keys.present, sorter.descending)
    return NumberLevel(np.where(keys.present, keys.values, missing), None, sorter.descending)


def _string_level(keys: SortKeys, strings: StringsView, missing: str | None, descending: bool) -> Level:
    if missing is None or keys.present is None:
        return StringLevel(strings, keys.values, keys.present, descending)
    filled = np.where(keys.present, keys.values, strings.size)
    return StringLevel(strings.with_another(missing.encode()), filled, None, descending)


def after_marks(levels: Sequence[Level], marks: Sequence[Mark], mask: Mask) -> Mask:
    """The documents of ``mask`` that come strictly after ``marks``. Raises ParameterInvalid where they do not fit."""
    if len(marks) != len(levels):
        raise _bad_mark()
    after = np.zeros(len(mask), bool)
    tied = mask
    for level, mark in zip(levels, marks, strict=True):
        beyond, equal = level.after(mark)
        after |= tied & beyond
        tied = tied & equal
    return after


def first(levels: Sequence[Level], mask: Mask, count: int) -> Docs:
    """The first ``count`` documents of ``mask`` in the order of ``levels``; fewer where there are fewer.

    ``count`` is at least 1.
    """
    keys = [key for level in levels for key in level.arrays()]
    chosen, mask, used = _first_of_many(keys, mask, count)
    count -= sum(map(len, chosen))
    tied = np.flatnonzero(mask)
    for key in keys[used:]:
        if len(tied) <= count:
            break
        if isinstance(key, TieKeys) and len(tied) > _SAMPLED_MIN:
            tied = key.narrowed(tied, count)
        values = key.take(tied)
        bound = np.partition(values, count - 1)[count - 1]
        below = tied[values < bound]
        chosen.append(below)
        count -= len(below)
        tied = tied[values == bound]
    chosen.append(tied[:count])
    docs = np.concatenate(chosen)
    return docs[np.lexsort([key.take(docs) for key in reversed(keys)])] if keys else docs


def _first_of_many(keys: Sequence[Keys], mask: Mask, count: int) -> tuple[list[Docs], Mask, int]:
    """Narrows ``mask`` while it has many documents, without listing them.

    Returns documents that are in, a mask of those that compete for the other places, and how many keys are used up. The
    ``count``-th smallest key of a sample is no less than that of all, and rules most of them out in one pass.
    """
    chosen: list[Docs] = []
    for used, key in enumerate(keys):
        size = int(np.count_nonzero(mask))
        if size <= max(_SAMPLED_MIN, count) or isinstance(key, TieKeys):
            return chosen, mask, used
        step = max(1, len(mask) // _SAMPLE_SIZE)
        sample = key.take(np.flatnonzero(mask[::step]) * step)
        if count >= len(sample):
            return chosen, mask, used
        ceiling = np.partition(sample, count - 1)[count - 1]
        values = key.take(None)
        below = mask & (values < ceiling)
        found = int(np.count_nonzero(below))
        if found >= count:
            return chosen, below, used
        chosen.append(np.flatnonzero(below))
        count -= found
        mask = mask & (values == ceiling)
    return chosen, mask, len(keys)
