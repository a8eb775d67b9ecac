"""How far documents are from places: what sorts, functions and groups go by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.geo.part import GeoPart
from lutra.geo.values import coordinates_of
from lutra.kernels.geo import geo_distances
from lutra.model.geo import DistanceType, GeoPoint
from lutra.model.queries import SortMode

Distances = npt.NDArray[np.float64]
"""float64[n], metres."""


def distances(
    part: GeoPart,
    origins: Sequence[GeoPoint],
    docs: npt.NDArray[np.int64] | None = None,
    mode: SortMode = SortMode.MIN,
    distance_type: DistanceType = DistanceType.ARC,
) -> Distances:
    """Of each of ``docs`` (ascending, distinct; None: of all), in metres; NaN where it has no point.

    ``mode`` says which counts where there are several points or origins. The same for the same points in every part.
    """
    points = part.points(docs)
    of_points = geo_distances(points.coordinates, coordinates_of(origins), int(distance_type), int(mode))
    owners = points.documents()
    result = np.full(part.size if docs is None else len(docs), np.nan)
    if not len(owners):
        return result
    firsts = np.flatnonzero(np.diff(owners, prepend=-1))
    if len(firsts) == len(owners):
        values = of_points
    elif mode is SortMode.AVG:
        values = np.add.reduceat(of_points, firsts) / np.diff(firsts, append=len(owners))
    else:
        values = (np.minimum if mode is SortMode.MIN else np.maximum).reduceat(of_points, firsts)
    places = owners[firsts] if docs is None else np.searchsorted(docs, owners[firsts])
    result[places] = values
    return result
