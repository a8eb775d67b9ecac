"""The values of a column in document order: what columns are written from, given back as, and merged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Elements:
    """``values[i]`` belongs to document ``docs[i]`` (int32, ascending); ``docs`` None: to document ``i``.

    ``values`` are of the field's type in `lutra.scalars.values.DTYPES`; of a KEYWORD field ordinals of ``strings``,
    which are distinct and ascending and need not all be used.
    """

    docs: npt.NDArray[np.int32] | None
    values: npt.NDArray[Any]
    strings: Sequence[bytes] | None = None

    def renumbered(self, renumber: npt.NDArray[np.int32] | None) -> Elements:
        """With document ``d`` called ``renumber[d]``, left out where that is negative; itself where there is none."""
        if renumber is None:
            return self
        docs = renumber[: len(self.values)] if self.docs is None else renumber[self.docs]
        kept = docs >= 0
        return _in_order(docs[kept], self.values[kept], self.strings)


def merged(inputs: Sequence[Elements]) -> Elements:
    """The elements of several columns of one field as one column's; documents have their new numbers already.

    There is at least one input.
    """
    if len(inputs) == 1:
        return inputs[0]
    docs = np.concatenate([np.arange(len(e.values), dtype=np.int32) if e.docs is None else e.docs for e in inputs])
    if inputs[0].strings is None:
        return _in_order(docs, np.concatenate([e.values for e in inputs]), None)
    # Sorting merges what is sorted already; a set would undo that.
    strings = list(dict.fromkeys(sorted(chain.from_iterable(e.strings or () for e in inputs))))
    ordinal = dict(zip(strings, range(len(strings)), strict=True))
    values = []
    for e in inputs:
        own = e.strings or ()
        renumber = np.fromiter(map(ordinal.__getitem__, own), np.int32, len(own))
        values.append(renumber[e.values])
    return _in_order(docs, np.concatenate(values), strings)


def _in_order(docs: npt.NDArray[np.int32], values: npt.NDArray[Any], strings: Sequence[bytes] | None) -> Elements:
    """Sorted by document; the elements of one document stay in order."""
    if len(docs) and bool(np.any(docs[1:] < docs[:-1])):
        order = np.argsort(docs, kind="stable")
        docs, values = docs[order], values[order]
    return Elements(docs, values, strings)
