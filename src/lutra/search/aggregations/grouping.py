"""The face of a group-by that was checked: which groups rows are in, and what comes out of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from lutra.model import limits
from lutra.model.aggregations import GroupKeySort, GroupSorter, RowCountSort
from lutra.search.aggregations.keys import KeyColumn, RowKeys
from lutra.search.aggregations.rows import Places, Rows

if TYPE_CHECKING:
    from lutra.search.aggregations.level import Level


class SortValues(Protocol):
    """What groups are sorted by, beside keys and rows."""

    def __call__(self, name: str) -> tuple[npt.NDArray[np.float64], float]:
        """What an aggregation comes to in each group, and in one without rows; NaN where it comes to nothing."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """Rows and the groups they are in: the row at ``rows[i]`` (None: at ``i``) is in that of the ``i``-th keys.

    ``is_once``: no row is in the same group twice.
    """

    rows: Places | None
    keys: tuple[RowKeys, ...]
    is_once: bool


@dataclass(frozen=True, slots=True)
class Buckets:
    """Groups by number: those of one parent follow each other, in the order of their keys."""

    parents: npt.NDArray[np.int32]
    columns: tuple[KeyColumn, ...]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.parents)

    def of(self, parent: int) -> range:
        """Those of one parent."""
        begin, end = np.searchsorted(self.parents, [parent, parent + 1]).tolist()
        return range(begin, end)

    def taken(self, groups: npt.NDArray[Any]) -> Buckets:
        return Buckets(self.parents[groups], tuple(c.taken(groups) for c in self.columns), self.rows[groups])


@dataclass(frozen=True, slots=True)
class Chosen:
    """A group of an answer: its key, and its number among the buckets; None where it has no rows."""

    key: Any
    bucket: int | None


class Grouping(ABC):
    """One group-by; ``level`` is what is asked of each of its groups."""

    columns: int = 1
    """Key columns that its groups have."""
    keeps_largest: ClassVar[bool] = True
    """Whether of too many groups those with the most rows are kept, whatever their keys."""

    def __init__(self, name: str, level: Level, sort: Sequence[GroupSorter] = ()) -> None:
        self.name = name
        self.level = level
        self.sort = tuple(sort) or (RowCountSort(),)

    def spread(self, rows: Rows) -> int:
        """About how many groups, or values, each of ``rows`` has. Raises as `assign`."""
        return 1

    @abstractmethod
    def assign(self, rows: Rows) -> Assigned:
        """Which groups ``rows`` are in. Raises RequestTimeout, StorageFailure, Corruption."""

    def key_text(self, key: Any) -> str:
        """How the key of one of its buckets is told as a source of a composite."""
        return str(key)

    @abstractmethod
    def choose(self, buckets: Buckets, mine: range, sort_values: SortValues) -> Sequence[Chosen]:
        """The groups that are answered with, in order, of those of one parent: ``mine``, which may be none.

        Raises ParameterInvalid where there are too many.
        """

    def kept(self, buckets: Buckets) -> tuple[npt.NDArray[np.int64] | None, bool]:
        """Which of the buckets may still be answered with (None: all), and whether those left out are not missed.

        Asked of the buckets of some parts.
        """
        if len(buckets) <= limits.GROUPS_KEPT_MAX:
            return None, True
        largest = np.argpartition(-buckets.rows, limits.GROUPS_KEPT_MAX - 1)[: limits.GROUPS_KEPT_MAX]
        return np.sort(largest), False

    def token(self, buckets: Buckets, mine: range, chosen: Sequence[Chosen]) -> str | None:
        """What asks for the groups after ``chosen``; None where there are none, or where it cannot be asked."""
        return None


def ordered(
    sort: Sequence[GroupSorter], keys: npt.NDArray[Any], rows: npt.NDArray[np.int64], sort_values: SortValues
) -> npt.NDArray[np.int64]:
    """The places of groups in order. ``keys`` say how theirs compare, and settle ties.

    ``sort_values`` are of the first of them; the others have no rows.
    """
    levels: list[npt.NDArray[Any]] = []
    for sorter in sort:
        if isinstance(sorter, GroupKeySort):
            levels.append(_turned(keys) if sorter.descending else keys)
        elif isinstance(sorter, RowCountSort):
            levels.append(-rows if sorter.descending else rows)
        else:
            own, of_none = sort_values(sorter.name)
            values = np.concatenate([own, np.full(len(keys) - len(own), of_none)])
            levels += [np.isnan(values), -values if sorter.descending else values]
    return np.lexsort([keys, *reversed(levels)])


def _turned(keys: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What compares the other way round: the least whole number has no opposite."""
    return ~keys if keys.dtype.kind == "i" else -keys
