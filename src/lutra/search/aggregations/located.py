"""Fields of points that group-bys read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import located
from lutra.geo.points import Coordinates, Points, runs
from lutra.search.aggregations.rows import Places, Rows


@dataclass(frozen=True, slots=True)
class RowPoints:
    """Points that rows have: ``coordinates[i]`` is one of the row ``rows[i]``; None: of row ``i``."""

    coordinates: Coordinates
    rows: Places | None
    is_once: bool
    """Whether no row has two."""


def row_points(rows: Rows, name: str) -> RowPoints:
    """The points of a field of ``rows``. Raises RequestTimeout, StorageFailure, Corruption."""
    rows.search.deadline.check()
    part, docs = located(rows.search.part, name), rows.docs
    if docs is None:
        points = part.points()
        is_once = _is_once(points)
        owners = points.documents().astype(np.int64)
        return RowPoints(points.coordinates, None if is_once and len(owners) == part.size else owners, is_once)
    points = part.points(docs if bool(np.all(docs[1:] > docs[:-1])) else np.unique(docs))
    found = points.documents()
    begins, ends = (np.searchsorted(found, docs, side) for side in ("left", "right"))
    having: npt.NDArray[np.int64] = np.repeat(np.arange(len(docs)), ends - begins)
    return RowPoints(points.coordinates[runs(begins, ends)], having, _is_once(points))


def _is_once(points: Points) -> bool:
    docs = points.docs
    return docs is None or bool(np.all(docs[1:] > docs[:-1]))
