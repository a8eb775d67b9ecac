"""Points on the earth (``native/geo/*``): how far they are from each other, and which lie in a shape.

Points are float64 [n, 2], C-contiguous: latitude and longitude in degrees. Distances are metres on a sphere of
``GEO_EARTH_RADIUS_M``, the mean radius of the earth, and the same for the same two points wherever they are kept.

``GeoShape``
    What points are looked for in; unchanging, thread-safe. Each raises ValueError for what makes no shape.
    ``circle(lat, lon, radius_m)``; ``rectangle(top, left, bottom, right)``, across the date line where left is east of
    right; ``polygon(points)``, whose edges are straight on a map of latitudes and longitudes, each the shorter way
    round; a ring that goes round the earth holds the pole that it is nearer to. What lies on a border is within.
    ``relations(boxes)``, of float64 [n, 4] (least and greatest latitude, least and greatest longitude): uint8 [n], 0
    where no point of a box is in the shape, 1 where all are, 2 where each has to be asked about.
    ``select(points, docs, size)``: the mask of the documents that have a point in the shape; ``docs`` (int32 [n], None:
    0, 1, 2, …) says whose each point is.
``geo_ring_fault(points)``
    What keeps points from being a polygon: 0 nothing, 1 fewer than three differ, 2 two edges meet elsewhere than at the
    end that they share. Takes time by the square of the points.
``geo_distances(points, origins, type, mode)``
    float64 [n]: along the great circle (type 0) or on a plane (1), to the nearest origin (mode 0), the farthest (1), or
    on average (2).
``geo_places_on_curve(points)``
    uint64 [n]: where they are on Hilbert's curve, along which neighbours tend to be neighbours on the earth.
``geo_cells(points, lat_bits, lon_bits)``
    int64 [n]: the number of each one's cell in a grid of 2^lat_bits by 2^lon_bits, up to 31 each; bits of column and
    row by turns, as geohashes have them.
``geo_read_point(text)``
    Of ``"lat,lon"`` latitude and longitude; None where it is not that.
"""

from lutra.kernels._native import (
    GEO_EARTH_RADIUS_M,
    GeoShape,
    geo_cells,
    geo_distances,
    geo_places_on_curve,
    geo_read_point,
    geo_ring_fault,
)

__all__ = [
    "GEO_EARTH_RADIUS_M",
    "GeoShape",
    "geo_cells",
    "geo_distances",
    "geo_places_on_curve",
    "geo_read_point",
    "geo_ring_fault",
]
