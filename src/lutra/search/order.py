"""Choosing the first documents of a part by a sort, without sorting them all.

A sort is a row of levels, each of which gives one or more arrays of keys. The smallest k documents are found array by
array: those below the k-th smallest key are in, those equal to it compete for the places left in the next. Only the k
chosen are then put in order. The primary key is always the last level, so no two tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from lutra.kernels.row_mask import RowMask
from lutra.search.level import SAMPLE_SIZE, FoundKeys, Keys, Level, TieKeys
from lutra.search.mark import Mark
from lutra.search.scores import Docs

_SAMPLED_MIN: Final = 4_096


def after_marks(levels: Sequence[Level], marks: Sequence[Mark], mask: RowMask) -> RowMask:
    """The documents of ``mask`` that come strictly after ``marks``, of which there is one a level."""
    after = RowMask.none(mask.rows)
    tied = mask
    for level, mark in zip(levels, marks, strict=True):
        if not tied.count:
            break
        beyond, equal = level.after(mark)
        after = after | (tied & beyond)
        tied = tied & equal
    return after


def first(levels: Sequence[Level], mask: RowMask, count: int) -> Docs:
    """The first ``count`` documents of ``mask`` in the order of ``levels``; fewer where there are fewer.

    ``count`` is at least 1; no level has scores but of one value: who has others has a list, for `first_of`.
    """
    keys = [key for level in levels for key in level.arrays()]
    chosen, mask, used = _first_of_many(keys, mask, count)
    count -= sum(map(len, chosen))
    return _ordered(keys, [*chosen, *_settle(keys[used:], mask.ids(), count)])


def first_of(levels: Sequence[Level], docs: Docs, count: int) -> Docs:
    """As `first`, of ``docs``."""
    keys = [key for level in levels for key in level.arrays()]
    return _ordered(keys, _settle(keys, docs, count))


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
    docs = np.concatenate(chosen) if len(chosen) > 1 else chosen[0]
    if not keys:
        return docs
    values = keys[0].take(docs)
    order = values.argsort(kind="stable")
    if len(keys) > 1:
        ordered = values[order]
        if (ordered[1:] == ordered[:-1]).any():
            order = np.lexsort([*(key.take(docs) for key in reversed(keys[1:])), values])
    return docs[order]


def _first_of_many(keys: Sequence[Keys], mask: RowMask, count: int) -> tuple[list[Docs], RowMask, int]:
    """Narrows ``mask`` while it has many documents, without listing them.

    Returns documents that are in, a mask of those that compete for the other places, and how many keys are used up. The
    ``count``-th smallest key of a sample is no less than that of all, and rules most of them out in one pass.
    """
    chosen: list[Docs] = []
    for used, key in enumerate(keys):
        if mask.count <= max(_SAMPLED_MIN, count) or isinstance(key, TieKeys):
            return chosen, mask, used
        sample = key.take(mask.sample(SAMPLE_SIZE))
        if count >= len(sample):
            return chosen, mask, used
        ceiling = np.partition(sample, count - 1)[count - 1]
        below, equal = _split(key, mask, ceiling)
        if below.count >= count:
            return chosen, below, used
        chosen.append(below.ids())
        count -= below.count
        mask = equal
    return chosen, mask, len(keys)


def _split(key: Keys, mask: RowMask, bound: Any) -> tuple[RowMask, RowMask]:
    """The documents of ``mask`` whose keys are less than ``bound``, and those whose keys equal it."""
    if isinstance(key, FoundKeys):
        return key.split(mask, bound)
    values = key.take(None)
    return mask & RowMask(values < bound), mask & RowMask(values == bound)
