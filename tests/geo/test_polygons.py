"""Rings of points: which make a polygon, and what lies in those at the date line and at the poles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.geo_model import Place, Ring, view_of

from lutra.kernels.geo import GeoShape, geo_ring_fault

NONE, FEW, CROSSES = 0, 1, 2


def fault_of(ring: list[Place]) -> int:
    return geo_ring_fault(np.array(ring, np.float64).reshape(-1, 2))


def is_in(ring: list[Place], place: Place) -> bool:
    """In a buffer's part, and by the box of that point alone; which agree."""
    shape = GeoShape.polygon(np.array(ring, np.float64))
    found = bool(view_of([[place]]).within(shape).mask().count)
    relation = int(shape.relations(np.array([[place[0], place[0], place[1], place[1]]]))[0])
    assert relation == 2 or found == (relation == 1)
    return found


corners = st.tuples(st.integers(-2, 2).map(float), st.integers(-2, 2).map(float))
wide = st.tuples(st.integers(-3, 3).map(lambda n: n * 30.0), st.integers(-6, 6).map(lambda n: n * 30.0))


@settings(max_examples=300, deadline=None)
@given(st.lists(corners, min_size=3, max_size=7) | st.lists(wide, min_size=3, max_size=7))
@example([(60.0, 0.0), (60.0, 90.0), (60.0, 180.0), (60.0, -90.0)])
@example([(60.0, 0.0), (60.0, 120.0), (60.0, -120.0), (-60.0, 0.0), (50.0, 10.0)])
@example([(0.0, 170.0), (0.0, -170.0), (10.0, -170.0), (10.0, 170.0)])
@example([(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)])
@example([(0.0, 0.0), (0.0, 2.0), (0.0, 1.0), (1.0, 1.0)])
@example([(0.0, 0.0), (0.0, -180.0), (0.0, 180.0), (0.0, 30.0)])
@example([(0.0, -180.0), (50.0, 0.0), (0.0, 180.0)])
@example([(0.0, 180.0), (0.0, -180.0), (50.0, 0.0), (10.0, 180.0), (10.0, -180.0)])
def test_a_ring_is_refused_where_its_edges_meet(ring: list[Place]) -> None:
    assert (fault_of(ring) == NONE) == Ring.of(ring).is_simple()


@settings(max_examples=300, deadline=None)
@given(st.lists(corners, min_size=3, max_size=6), st.tuples(st.floats(-2, 2), st.floats(-2, 2)) | corners)
def test_points_near_and_on_edges(ring: list[Place], place: Place) -> None:
    model = Ring.of(ring)
    if model.is_simple():
        assert is_in(ring, place) == model.holds(place)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(wide, min_size=3, max_size=6),
    wide | st.tuples(st.sampled_from([-90.0, 90.0, 0.0]) | st.floats(-90, 90), st.floats(-180, 180)),
)
@example([(60.0, 0.0), (60.0, 90.0), (60.0, 180.0), (60.0, -90.0)], (75.0, 13.0))
@example([(0.0, 150.0), (0.0, -150.0), (30.0, -150.0), (30.0, 150.0)], (10.0, -180.0))
def test_points_at_the_date_line_and_the_poles(ring: list[Place], place: Place) -> None:
    model = Ring.of(ring)
    if model.is_simple():
        assert is_in(ring, place) == model.holds(place)


@pytest.mark.parametrize(
    ("ring", "fault"),
    [
        ([], FEW),
        ([(0, 0)], FEW),
        ([(0, 0), (1, 1)], FEW),
        ([(0, 0), (1, 1), (0, 0), (1, 1)], FEW),
        ([(0, 180), (1, 1), (0, -180)], FEW),
        ([(0, 0), (0, 1), (1, 0)], NONE),
        ([(0, 0), (0, 1), (1, 0), (0, 0)], NONE),
        ([(0, 0), (0, 0), (0, 1), (1, 0), (1, 0)], NONE),
        ([(0, 0), (1, 1), (2, 2)], CROSSES),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], CROSSES),
        ([(0, 0), (0, 4), (2, 2), (4, 4), (4, 0), (2, 2)], CROSSES),
        ([(0, 0), (0, 1), (0, 2), (1, 1)], NONE),
    ],
)
def test_what_a_ring_must_be(ring: list[Place], fault: int) -> None:
    assert fault_of(ring) == fault
    if fault:
        with pytest.raises(ValueError, match="fault"):
            GeoShape.polygon(np.array(ring, np.float64).reshape(-1, 2))


def test_a_polygon_across_the_date_line() -> None:
    fiji = [(-20.0, 175.0), (-20.0, -175.0), (-10.0, -175.0), (-10.0, 175.0)]
    inside = [(-15.0, 180.0), (-15.0, -180.0), (-15.0, 179.0), (-15.0, -176.0), (-20.0, 175.0), (-10.0, -178.0)]
    outside = [(-15.0, 174.9), (-15.0, -174.9), (-15.0, 0.0), (-9.9, 180.0), (90.0, 180.0)]
    assert all(is_in(fiji, place) for place in inside)
    assert not any(is_in(fiji, place) for place in outside)
    west = [(-20.0, -180.0), (-20.0, -170.0), (-10.0, -170.0), (-10.0, -180.0)]
    assert is_in(west, (-15.0, 180.0))


def test_a_polygon_round_a_pole() -> None:
    arctic = [(70.0, 0.0), (60.0, 100.0), (70.0, -160.0), (66.0, -90.0)]
    antarctic = [(-lat, lon) for lat, lon in reversed(arctic)]
    for north in ((90.0, 0.0), (90.0, -77.0), (89.0, 10.0), (71.0, 180.0), (70.0, 0.0), (61.0, 100.0)):
        assert is_in(arctic, north)
        assert is_in(antarctic, (-north[0], north[1]))
        assert not is_in(antarctic, north)
    assert not is_in(arctic, (59.0, 100.0))
    assert not is_in(arctic, (0.0, 0.0))
    touching = [(80.0, 0.0), (90.0, 20.0), (80.0, 40.0)]
    assert is_in(touching, (90.0, 123.0)), "a pole has any longitude"


def test_sides_are_exact() -> None:
    """Points that are a rounding away from a long edge, and on it."""
    ring = [(0.0, 0.0), (0.1, 0.3), (30.0, 90.0), (-1.0, 80.0)]
    model = Ring.of(ring)
    assert model.is_simple()
    for lat in np.linspace(0.1, 30, 200).tolist():
        for lon in (3 * lat, np.nextafter(3 * lat, 200), np.nextafter(3 * lat, -200), 0.3 + (lat - 0.1) * 3):
            assert is_in(ring, (lat, float(lon))) == model.holds((lat, float(lon)))


def test_a_polygon_of_many_points() -> None:
    angles = np.linspace(0, 2 * np.pi, 1_000, endpoint=False)
    reach = 10 + np.sin(40 * angles)
    ring = np.stack((reach * np.sin(angles), reach * np.cos(angles)), axis=1)
    assert geo_ring_fault(ring) == NONE
    shape = GeoShape.polygon(ring)
    random = np.random.default_rng(1)
    points = random.uniform(-12, 12, (3_000, 2))
    angle = np.arctan2(points[:, 0], points[:, 1])
    distance = np.hypot(points[:, 0], points[:, 1])
    clear = np.abs(distance - (10 + np.sin(40 * angle))) > 0.05
    found = shape.select(np.ascontiguousarray(points), None, len(points)).bools()
    assert np.array_equal(found[clear], (distance < 10 + np.sin(40 * angle))[clear])
