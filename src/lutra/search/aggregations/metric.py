"""The face of an aggregation that was checked: a partial state for all groups at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from lutra.model.aggregations import AggregationResult
from lutra.search.aggregations.packing import Packer, Unpacker
from lutra.search.aggregations.rows import Rows

S = TypeVar("S")
Renumber = npt.NDArray[np.int32]
"""int32[groups]: what each group of a state is called in another one; -1 where it is left out."""


class Metric(ABC, Generic[S]):
    """One aggregation. Its state is of arrays by group; groups are numbered from 0 on."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def is_scoring(self) -> bool:
        """Whether it looks at scores."""
        return False

    def spread(self, rows: Rows) -> int:
        """About how many values each of ``rows`` has. Raises as `collect`."""
        return 1

    @abstractmethod
    def collect(self, rows: Rows) -> S:
        """The state of the groups of ``rows``. Raises RequestTimeout, StorageFailure, Corruption."""

    @abstractmethod
    def merge(self, inputs: Sequence[tuple[S, Renumber]], count: int) -> S:
        """The state of ``count`` groups: of all states together, whose groups are called anew."""

    @abstractmethod
    def write(self, state: S, out: Packer) -> None:
        """What is left to be read is read now. Raises StorageFailure, Corruption."""

    @abstractmethod
    def read(self, data: Unpacker, count: int) -> S:
        """The inverse, of a state of ``count`` groups. Raises Corruption."""

    @abstractmethod
    def result(self, state: S, group: int) -> AggregationResult:
        """Of one group."""

    def sort_values(self, state: S) -> npt.NDArray[np.float64] | None:
        """float64[groups]: what groups are sorted by, NaN where there is nothing; None where it is no number."""
        return None


AnyMetric = Metric[Any]
