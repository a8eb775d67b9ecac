"""What aggregations look at in one part of an index: documents that match, each in a group, and their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.scalars.doc_values import DocValues
from lutra.search.nodes.node import PartSearch
from lutra.search.scores import Docs, Scores

Groups = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Documents of a part, shared out to ``count`` groups: one that is in several stands there several times."""

    search: PartSearch
    docs: Docs | None
    """int64[n]; None: all of the part."""
    groups: Groups | None
    """int32[n]; None: all are in group 0."""
    count: int
    scores: Scores
    values: dict[str, DocValues] = field(default_factory=dict)
    """Of the fields that were read so far, in the whole part: several aggregations may look at one."""

    def __len__(self) -> int:
        return self.search.part.size if self.docs is None else len(self.docs)

    def documents(self) -> Docs:
        """int64[n], in any case."""
        return np.arange(len(self)) if self.docs is None else self.docs

    def groups_at(self, places: Places | None) -> Groups | None:
        """Of the rows at ``places`` (None: of all)."""
        return self.groups if self.groups is None or places is None else self.groups[places]

    def regrouped(self, places: Places | None, groups: Groups, count: int) -> Rows:
        """The rows at ``places`` (None: all), in other groups."""
        docs = self.docs if places is None else places if self.docs is None else self.docs[places]
        return Rows(self.search, docs, groups, count, self.scores, self.values)

    def pieces(self, most: int) -> Iterator[Rows]:
        """In their order, so many at a time."""
        for begin in range(0, len(self), most):
            end = min(len(self), begin + most)
            docs = np.arange(begin, end) if self.docs is None else self.docs[begin:end]
            groups = None if self.groups is None else self.groups[begin:end]
            yield Rows(self.search, docs, groups, self.count, self.scores, self.values)


@dataclass(frozen=True, slots=True)
class RowValues:
    """Which values some rows have: ``rows[i]`` has the value at ``places[i]``; None: the row, or the place, is ``i``.

    ``rows`` are ascending.
    """

    rows: Places | None
    places: Places | None

    def taken(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Those of ``values`` that the rows have, one after the other."""
        return values if self.places is None else values[self.places]

    def absent(self, count: int) -> Places:
        """Those of ``count`` rows that have none."""
        if self.rows is None:
            return np.empty(0, np.int64)
        has = np.zeros(count, bool)
        has[self.rows] = True
        return np.flatnonzero(~has)


def values_of(rows: Rows, values: DocValues) -> RowValues:
    """The values that ``rows`` have."""
    size, docs = rows.search.part.size, rows.docs
    if docs is None:
        if values.docs is not None:
            return RowValues(values.docs.astype(np.int64), None)
        return RowValues(None if len(values.values) == size else np.arange(len(values.values)), None)
    if values.docs is None:
        if len(values.values) == size:
            return RowValues(None, docs)
        having = np.flatnonzero(docs < len(values.values))
        return RowValues(having, docs[having])
    if values.is_single:
        places = np.full(size, -1, np.int32)
        places[values.docs] = np.arange(len(values.docs), dtype=np.int32)
        found = places[docs]
        having = np.flatnonzero(found >= 0)
        return RowValues(having, found[having].astype(np.int64))
    return _several(docs, values, size)


def _several(docs: Docs, values: DocValues, size: int) -> RowValues:
    ends = np.cumsum(values.counts(size))
    begins = np.concatenate(([0], ends[:-1]))[docs] if size else ends
    counts = ends[docs] - begins
    having = np.repeat(np.arange(len(docs)), counts)
    before = np.cumsum(counts) - counts
    return RowValues(having, np.arange(len(having)) + np.repeat(begins - before, counts))
