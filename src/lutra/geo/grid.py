"""Geohashes: cells of a grid of latitudes and longitudes that is halved again and again."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.geo.points import Coordinates
from lutra.kernels.geo import geo_cells
from lutra.model.geo import LAT_MAX, LON_MAX, GeoCell, GeoPoint

PRECISION_MAX: Final = 12
"""Characters of a geohash."""
_BITS: Final = 5
"""Of a character."""
_CHARACTERS: Final = "0123456789bcdefghjkmnpqrstuvwxyz"


def cells_of(coordinates: Coordinates, precision: int) -> npt.NDArray[np.int64]:
    """int64[n]: the number of each point's cell, in the order of the geohashes of ``precision`` characters."""
    lat_bits = precision * _BITS // 2
    return geo_cells(np.ascontiguousarray(coordinates), lat_bits, precision * _BITS - lat_bits)


def cell_of(number: int, precision: int) -> GeoCell:
    """The cell that `cells_of` calls ``number``."""
    bits = precision * _BITS
    text = "".join(_CHARACTERS[number >> shift & 31] for shift in range(bits - _BITS, -1, -_BITS))
    row = column = 0
    for place in range(bits):
        bit = number >> (bits - 1 - place) & 1
        if place % 2 == 0:
            column = column << 1 | bit
        else:
            row = row << 1 | bit
    height, width = 2 * LAT_MAX / (1 << bits // 2), 2 * LON_MAX / (1 << bits - bits // 2)
    top_left = GeoPoint((row + 1) * height - LAT_MAX, column * width - LON_MAX)
    return GeoCell(text, top_left, GeoPoint(row * height - LAT_MAX, (column + 1) * width - LON_MAX))
