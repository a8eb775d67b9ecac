"""A plain model of points on the earth: every point is looked at, and sides of lines are found with fractions."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from lutra.geo.column import GeoColumn, GeoView
from lutra.model.indexes import FieldSchema, FieldType

RADIUS_M = 6371008.7714
FIELD = FieldSchema("at", FieldType.GEO_POINT, is_array=True)

Place = tuple[float, float]
"""Latitude, longitude."""
Spot = tuple[Fraction, Fraction]
"""On a map that goes on beyond the date line: longitude, latitude."""


def text(place: Place) -> str:
    return f"{place[0]!r},{place[1]!r}"


def view_of(documents: Sequence[Sequence[Place]], field: FieldSchema = FIELD) -> GeoView:
    """A buffer's part of these documents."""
    return column_of(documents, field).view(len(documents))


def column_of(documents: Sequence[Sequence[Place]], field: FieldSchema = FIELD) -> GeoColumn:
    column = GeoColumn(field)
    for number, places in enumerate(documents):
        if places:
            value = json.dumps([text(place) for place in places]) if field.is_array else text(places[0])
            assert column.stage(number, value)
        if number % 7 == 6:  # in several goes
            column.settle()
            column.publish()
    column.settle()
    column.publish()
    return column


def arc_m(one: Place, other: Place) -> float:
    radians = math.pi / 180
    lat = math.sin((other[0] - one[0]) * radians / 2)
    lon = math.sin((other[1] - one[1]) * radians / 2)
    haversine = lat * lat + math.cos(one[0] * radians) * math.cos(other[0] * radians) * lon * lon
    return 2 * RADIUS_M * math.asin(min(1.0, math.sqrt(haversine)))


def plane_m(one: Place, other: Place) -> float:
    radians = math.pi / 180
    apart = abs(other[1] - one[1])
    lon = min(apart, 360 - apart) * radians * math.cos((other[0] + one[0]) / 2 * radians)
    lat = (other[0] - one[0]) * radians
    return RADIUS_M * math.sqrt(lat * lat + lon * lon)


def names_of(place: Place) -> list[Place]:
    """All that a point may be called: the date line has two longitudes."""
    lat, lon = place
    return [(lat, lon), (lat, -lon)] if abs(lon) == 180 else [(lat, lon)]


def in_rectangle(place: Place, top: float, left: float, bottom: float, right: float) -> bool:
    if not bottom <= place[0] <= top:
        return False
    if abs(place[0]) == 90:
        return True
    return any(left <= lon <= right if left <= right else lon >= left or lon <= right for _, lon in names_of(place))


@dataclass(frozen=True)
class Ring:
    """On the map, closed: its last spot is its first, or that a turn away."""

    spots: list[Spot]

    @classmethod
    def of(cls, places: Sequence[Place]) -> Ring:
        spots: list[tuple[float, float]] = []
        turn, before = 0, None
        for lat, lon in [*places, places[0]]:
            if before is not None and abs(lon - before) > 180:
                turn += 1 if lon < before else -1
            before = lon
            spot = (lon + 360.0 * turn, lat)
            if not spots or spots[-1] != spot:
                spots.append(spot)
        return cls([(Fraction(x), Fraction(y)) for x, y in spots])

    @property
    def turns(self) -> int:
        return round((self.spots[-1][0] - self.spots[0][0]) / 360)

    def is_simple(self) -> bool:
        """Edges share no more than the ends of neighbours."""
        edges = list(pairwise(self.spots))
        if len(edges) < 3 or abs(self.turns) > 1:
            return False
        for number, edge in enumerate(edges):
            for other in range(number + 1, len(edges)):
                for turn in (-2, -1, 0, 1, 2):
                    moved = tuple((Fraction(float(x) + 360.0 * turn), y) for x, y in edges[other])
                    shared = common(edge, moved)
                    follows = other == number + 1 and turn == 0
                    precedes = number == 0 and other == len(edges) - 1 and turn == -self.turns
                    end = edge[1] if follows else edge[0] if precedes else None
                    if shared is not None and shared != end:
                        return False
        return True

    def region(self) -> list[Spot]:
        """Closed on the map: round the pole, where it goes round that."""
        if not self.turns:
            return self.spots
        weight = sum((a[1] + b[1]) * abs(b[0] - a[0]) for a, b in pairwise(self.spots))
        pole = Fraction(-90 if weight < 0 else 90)
        first, last = self.spots[0], self.spots[-1]
        return [*self.spots, (last[0], pole), (first[0], pole), first]

    def holds(self, place: Place) -> bool:
        region = self.region()
        if abs(place[0]) == 90:
            return any(y == Fraction(place[0]) for _, y in region)
        return any(in_region(region, (Fraction(place[1] + 360.0 * turn), Fraction(place[0]))) for turn in range(-3, 4))


def cross(a: Spot, b: Spot, c: Spot) -> Fraction:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def on_edge(a: Spot, b: Spot, c: Spot) -> bool:
    between = min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])
    return between and cross(a, b, c) == 0


def common(one: Sequence[Spot], other: Sequence[Spot]) -> Spot | str | None:
    """What two edges share: one spot, more than one, or nothing."""
    (a, b), (c, d) = one, other
    shared = {spot for spot in (c, d) if on_edge(a, b, spot)} | {spot for spot in (a, b) if on_edge(c, d, spot)}
    if len(shared) == 1:
        return shared.pop()
    if shared:
        return "a stretch"
    crosses = cross(a, b, c) * cross(a, b, d) < 0 and cross(c, d, a) * cross(c, d, b) < 0
    return "a crossing" if crosses else None


def in_region(region: Sequence[Spot], spot: Spot) -> bool:
    """Counts the edges that lie north of a spot."""
    within = False
    for a, b in pairwise(region):
        if on_edge(a, b, spot):
            return True
        if (a[0] > spot[0]) != (b[0] > spot[0]):
            y = a[1] + (b[1] - a[1]) * (spot[0] - a[0]) / (b[0] - a[0])
            within ^= y > spot[1]
    return within


def random_documents(random: np.random.Generator, count: int) -> list[list[Place]]:
    """Places in a few towns, at the date line and the poles, and anywhere; some documents have none, some several."""
    centres = [(30.0, 120.0), (-33.9, 151.2), (0.0, 180.0), (0.0, -180.0), (89.9, 0.0), (-90.0, 10.0), (51.5, 0.0)]
    documents = []
    for _ in range(count):
        places = []
        for _ in range(random.choice([0, 1, 1, 1, 2, 4])):
            lat, lon = centres[random.integers(len(centres))]
            spread = random.choice([0.0, 0.001, 0.1, 5.0, 90.0])
            lat = float(np.clip(lat + random.normal() * spread, -90, 90))
            lon = (lon + random.normal() * spread + 180) % 360 - 180
            places.append((lat, float(lon)))
        documents.append(places)
    return documents
