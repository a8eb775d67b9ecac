"""The face that a column in memory and one in a segment share, so that a search sees no difference."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from lutra.geo.points import Points
from lutra.kernels.geo import GeoShape
from lutra.kernels.selection import Selection
from lutra.model.indexes import FieldSchema

Place = tuple[float, float]
"""Latitude and longitude in degrees."""


class GeoPart(Protocol):
    """One field of points over the documents 0 to ``size`` - 1, unchanging. Thread-safe.

    What is read from storage raises StorageFailure where that fails, Corruption, naming place and block, where bytes
    are not those that were written.
    """

    @property
    def field(self) -> FieldSchema: ...

    @property
    def size(self) -> int: ...

    def exists(self) -> Selection:
        """Documents with at least one point."""

    def within(self, shape: GeoShape) -> Selection:
        """Documents with a point in ``shape``."""

    def around(self, shape: GeoShape) -> tuple[int, int]:
        """About how many points are in ``shape``, and how many at most have to be asked about one by one, found in less
        time than `within` takes."""

    def points(self, docs: npt.NDArray[np.int64] | None = None) -> Points:
        """All points, or those of ``docs`` (ascending, distinct), by document: for sorts, aggregations and merges."""

    def value(self, doc: int) -> list[Place]:
        """The points of document ``doc``, in order."""
