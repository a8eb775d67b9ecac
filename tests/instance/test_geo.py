"""Points through the embedded API: written, read, looked for by place, by searches and scans alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lutra
from lutra import GeoPoint, col

EARTH_RADIUS_M = 6_371_008.7714
COUNT = 200
BERLIN = GeoPoint(52.52, 13.405)


def metres(one: GeoPoint, other: GeoPoint) -> float:
    lats, lons = np.radians([one.lat, other.lat]), np.radians([one.lon, other.lon])
    half = np.sin((lats[1] - lats[0]) / 2) ** 2 + np.cos(lats).prod() * np.sin((lons[1] - lons[0]) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(half))


@pytest.fixture(scope="module")
def points() -> list[GeoPoint]:
    rng = np.random.default_rng(5)
    return [GeoPoint(float(lat), float(lon)) for lat, lon in rng.uniform([-90, -180], [90, 180], (COUNT, 2))]


@pytest.fixture(scope="module")
def places(points: list[GeoPoint]) -> Iterator[lutra.Table]:
    with lutra.connect() as db:
        table = db.create_table("places", {"id": int}, {"at": GeoPoint, "stops": list[GeoPoint], "name": str})
        table.put_many(
            {"id": n, "at": point, "stops": [(0.0, n % 180), point], "name": f"p{n}"} for n, point in enumerate(points)
        )
        table.put({"id": COUNT, "name": "nowhere"})
        yield table


def both(table: lutra.Table, where: lutra.Expression) -> list[int]:
    """What a search finds, which a scan finds too."""
    found = [row["id"] for row in table.search(where=where, limit=2 * COUNT)]
    assert found == [row["id"] for row in table.scan(where=where)]
    return found


def test_points_come_back_as_they_were(places: lutra.Table, points: list[GeoPoint]) -> None:
    assert places.fields == {"at": GeoPoint, "stops": list[GeoPoint], "name": str}
    row = places.get(7)
    assert row is not None
    assert (row["at"], row["stops"]) == (points[7], [GeoPoint(0.0, 7.0), points[7]])
    odd = GeoPoint(-0.0, 1e-300)
    places.put({"id": COUNT + 1, "at": odd})
    assert places.search(where=col("id") == COUNT + 1)[0]["at"] == odd
    places.delete(COUNT + 1)


def test_rows_near_a_place(places: lutra.Table, points: list[GeoPoint]) -> None:
    for radius_m in (1.0, 500_000, 3e6, 1e7):
        assert both(places, col("at").within(radius_m, of=BERLIN)) == [
            n for n, point in enumerate(points) if metres(point, BERLIN) <= radius_m
        ]
    assert both(places, col("stops").within(1.0, of=(0.0, 9.0))) == [9, 189]
    assert both(places, col("at").is_missing()) == [COUNT]


def test_rows_in_boxes_and_polygons(places: lutra.Table, points: list[GeoPoint]) -> None:
    def expected(inside: Any) -> list[int]:
        return [n for n, point in enumerate(points) if inside(point)]

    assert both(places, col("at").in_box((60, -20), (10, 40))) == expected(
        lambda p: 10 <= p.lat <= 60 and -20 <= p.lon <= 40
    )
    assert both(places, col("at").in_box((60, 150), (-60, -150))) == expected(
        lambda p: abs(p.lat) <= 60 and abs(p.lon) >= 150
    )
    assert both(places, col("at").in_polygon([(0, 0), (50, 0), (0, 50)])) == expected(
        lambda p: p.lat >= 0 and p.lon >= 0 and p.lat + p.lon <= 50
    )


def test_the_nearest_come_first_by_distance(places: lutra.Table, points: list[GeoPoint]) -> None:
    order = sorted(range(COUNT), key=lambda n: metres(points[n], BERLIN))
    near = places.search(order_by=col("at").distance_from(BERLIN), limit=COUNT + 1)
    assert [row["id"] for row in near] == [*order, COUNT]
    far = places.search(order_by=col("at").distance_from(BERLIN).desc(), limit=3)
    assert [row["id"] for row in far] == order[::-1][:3]


def test_frames_have_points(places: lutra.Table, points: list[GeoPoint]) -> None:
    found = places.search(limit=2)
    at = found.to_arrow()["at"]
    assert at.to_pylist() == [{"lat": point.lat, "lon": point.lon} for point in points[:2]]
    assert str(at.type) == "struct<lat: double, lon: double>"
    assert list(found.to_pandas()["at"]) == points[:2]


@pytest.mark.parametrize(
    ("refused", "complaint"),
    [
        (lambda t: t.put({"id": 1, "at": (91.0, 0.0)}), r"\(91.0, 0.0\) is no point"),
        (lambda t: t.put({"id": 1, "at": "1,2"}), "expected lutra.GeoPoint, got str"),
        (lambda t: t.put({"id": 1, "at": (1.0, math.nan)}), "NaN"),
        (lambda t: t.search(where=col("at") == (1, 2)), "a comparison does not apply to field 'at'"),
        (lambda t: t.search(where=col("name").within(5, of=BERLIN)), "a place does not apply to field 'name'"),
        (lambda t: t.search(where=col("at").within(0, of=BERLIN)), "more than 0 metres"),
        (lambda t: t.search(where=col("at").in_box((0, 0), (1, 1))), "south of bottom_right"),
        (lambda t: list(t.scan(where=col("at").in_polygon([(0, 0), (1, 1)]))), "at least 3 points"),
        (lambda t: t.search(where=col("at").in_polygon([(0, 0), (1, 1), (0, 1), (1, 0)])), "crosses"),
        (lambda t: t.search(order_by=col("name").distance_from(BERLIN)), "a place does not apply"),
        (lambda t: t.search(order_by=col("at")), "sorting does not apply"),
    ],
)
def test_what_makes_no_sense_is_refused(places: lutra.Table, refused: Any, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        refused(places)


def test_places_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="latitude is -90 to 90"):
        col("at").within(5, of=(91, 0))
    with pytest.raises(TypeError, match="takes a point"):
        col("at").distance_from()
    with pytest.raises(TypeError, match="takes a list of points"):
        col("at").in_polygon("abc")  # type: ignore[arg-type]
