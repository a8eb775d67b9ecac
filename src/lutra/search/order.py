"""Choosing the first documents of a part by a sort, without sorting them all.

A sort is a row of levels, each of which gives one or more arrays of keys. The smallest k documents are found array by
array: those below the k-th smallest key are in, those equal to it compete for the places left in the next. Only the k
chosen are then put in order. The primary key is always the last level, so no two tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lutra.scalars.strings import Mask
from lutra.search.level import SAMPLE_SIZE, Docs, Keys, Level, TieKeys
from lutra.search.mark import Mark

_SAMPLED_MIN: Final = 4_096
_CHUNK: Final = 65_536


def after_marks(levels: Sequence[Level], marks: Sequence[Mark], mask: Mask) -> Mask:
    """The documents of ``mask`` that come strictly after ``marks``, of which there is one a level."""
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
    return _ordered(keys, [*chosen, *_settle(keys[used:], np.flatnonzero(mask), count)])


def first_of(levels: Sequence[Level], docs: Docs, count: int) -> Docs:
    """As `first`, of ``docs``."""
    keys = [key for level in levels for key in level.arrays()]
    return _ordered(keys, _settle(keys, docs, count))


def first_numbers(mask: Mask, count: int, descending: bool) -> Docs:
    """The first ``count`` documents of ``mask`` in the order of their numbers; looks at no more than it needs."""
    chosen: list[Docs] = []
    for begin in range(0, len(mask), _CHUNK):
        if descending:
            end = len(mask) - begin
            start = max(0, end - _CHUNK)
            docs = np.flatnonzero(mask[start:end])[::-1][:count] + start
        else:
            docs = np.flatnonzero(mask[begin : begin + _CHUNK])[:count] + begin
        chosen.append(docs)
        count -= len(docs)
        if not count:
            break
    return np.concatenate(chosen) if chosen else np.empty(0, np.int64)


def _settle(keys: Sequence[Keys], tied: Docs, count: int) -> list[Docs]:
    """The first ``count`` of ``tied``, in no order."""
    chosen = []
    for key in keys:
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
    return chosen


def _ordered(keys: Sequence[Keys], chosen: list[Docs]) -> Docs:
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
        step = max(1, len(mask) // SAMPLE_SIZE)
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
