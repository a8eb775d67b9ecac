"""Points of buffers, segments and merged segments, asked the same as a model that looks at every point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.geo_model import Place, Ring, arc_m, column_of, in_rectangle, plane_m, random_documents, view_of
from support.geo_sections import segment_of

from lutra.geo.distances import distances
from lutra.geo.part import GeoPart
from lutra.geo.tree import FAN_OUT, LEAF_POINTS, Source
from lutra.kernels.blocks import BlockCache
from lutra.kernels.geo import GeoShape
from lutra.model.geo import DistanceType, GeoPoint
from lutra.model.queries import SortMode

SIZE = 6_000
KEPT = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Documents = list[list[Place]]


@pytest.fixture(scope="module")
def cache() -> Iterator[BlockCache]:
    cache = BlockCache(1 << 22)
    yield cache
    cache.close()


def merged(documents: Documents, cache: BlockCache, path: Path, random: np.random.Generator) -> GeoPart:
    """The documents out of a buffer and two segments, in which they lie with others between them."""
    owner = random.integers(0, 3, len(documents))
    parts: list[GeoPart] = []
    renumber = []
    for number in range(3):
        own = np.flatnonzero(owner == number)
        if number == 2:  # a buffer's are not in the order of their keys
            own = random.permutation(own)
        numbers: list[int] = []
        inside: Documents = []
        for doc in own.tolist():
            if random.random() < 0.3:
                inside.append([(1.0, 1.0)])
                numbers.append(-1)
            inside.append(documents[doc])
            numbers.append(doc)
        part = view_of(inside)
        parts.append(part if number == 2 else segment_of([part], cache, path / f"part{number}"))
        renumber.append(np.array(numbers, np.int32))
    return segment_of(parts, cache, path / "merged", renumber, len(documents))


@dataclass(frozen=True)
class World:
    """The same documents in parts of all sorts."""

    documents: Documents
    parts: dict[str, GeoPart]


@pytest.fixture(scope="module", params=["many", "full", "few"])
def world(request: pytest.FixtureRequest, cache: BlockCache, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Enough points that the tree has two levels, and documents without any; one each; and few."""
    random = np.random.default_rng(5)
    documents = random_documents(random, 50 if request.param == "few" else SIZE)
    if request.param == "full":
        documents = [places[:1] or [(1.0, 2.0)] for places in documents]
    path = tmp_path_factory.mktemp("parts")
    buffer = view_of(documents)
    parts: dict[str, GeoPart] = {"buffer": buffer, "segment": segment_of([buffer], cache, path / "section")}
    if request.param != "full":
        more = [document for one in documents for document in (one, [(1.0, 1.0)])]
        renumber = np.where(np.arange(len(more)) % 2 == 0, np.arange(len(more)) // 2, -1).astype(np.int32)
        parts["compacted"] = column_of(more).compacted(renumber).view(len(documents))
        parts["merged"] = merged(documents, cache, path, random)
    assert request.param != "many" or sum(map(len, documents)) > LEAF_POINTS * FAN_OUT
    return World(documents, parts)


def check(world: World, shape: GeoShape, expected: list[int], among: range | None = None) -> None:
    for name, part in world.parts.items():
        found = part.within(shape)
        mask = found.mask()
        assert mask.rows == part.size
        assert mask.count <= found.estimate
        docs = mask.ids().tolist()
        assert [doc for doc in docs if among is None or doc in among] == expected, name


lats = st.one_of(st.sampled_from([-90.0, -89.999, 0.0, 89.9, 90.0, 30.0]), st.floats(-90, 90))
lons = st.one_of(st.sampled_from([-180.0, -179.999, 0.0, 179.9, 180.0, 120.0]), st.floats(-180, 180))
places = st.tuples(lats, lons)
radii_m = st.one_of(st.floats(1e-3, 2.1e7), st.sampled_from([0.5, 100.0, 20_000.0, 1e6, 1.0007e7, 2.0015e7, 1e9]))


@KEPT
@given(centre=places, radius_m=radii_m)
def test_circles(world: World, centre: Place, radius_m: float) -> None:
    expected = [n for n, own in enumerate(world.documents) if any(arc_m(centre, to) <= radius_m for to in own)]
    check(world, GeoShape.circle(*centre, radius_m), expected)


@KEPT
@given(number=st.integers(0, 49), other=st.integers(0, 49))
def test_a_distance_that_was_told_is_within_itself(world: World, number: int, other: int) -> None:
    if not world.documents[number] or not world.documents[other]:
        return
    centre = world.documents[number][0]
    for part in world.parts.values():
        radius_m = float(distances(part, [GeoPoint(*centre)], np.array([other]))[0])
        if radius_m > 0:
            assert part.within(GeoShape.circle(*centre, radius_m)).mask().has(np.array([other]))[0]
            less = GeoShape.circle(*centre, math.nextafter(radius_m, 0))
            assert not part.within(less).mask().has(np.array([other]))[0]


@KEPT
@given(one=places, other=places)
def test_rectangles(world: World, one: Place, other: Place) -> None:
    top, bottom = max(one[0], other[0]), min(one[0], other[0])
    corners = (top, one[1], bottom, other[1])
    expected = [n for n, own in enumerate(world.documents) if any(in_rectangle(place, *corners) for place in own)]
    check(world, GeoShape.rectangle(*corners), expected)


@KEPT
@given(
    centre=places,
    steps=st.lists(st.tuples(st.floats(1, 60), st.floats(0.001, 1)), min_size=3, max_size=12),
    reach=st.sampled_from([0.01, 3.0, 40.0]),
)
def test_polygons(world: World, centre: Place, steps: list[tuple[float, float]], reach: float) -> None:
    ring = star(centre, steps, reach)
    model = Ring.of(ring)
    if model.is_simple():
        among = range(0, len(world.documents), 1 if len(world.documents) < 100 else 20)  # the model takes its time
        expected = [doc for doc in among if any(map(model.holds, world.documents[doc]))]
        check(world, GeoShape.polygon(np.array(ring)), expected, among)


def star(centre: Place, steps: Sequence[tuple[float, float]], reach: float) -> list[Place]:
    """A ring round ``centre``: angles ascend, and how far it goes at each varies."""
    whole = sum(step for step, _ in steps)
    angle, ring = 0.0, []
    for step, share in steps:
        lat = min(90.0, max(-90.0, centre[0] + reach * share * math.sin(angle)))
        lon = (centre[1] + reach * share * math.cos(angle) + 180) % 360 - 180
        ring.append((lat, lon))
        angle += 2 * math.pi * step / whole
    return ring


@KEPT
@given(
    origins=st.lists(places, min_size=1, max_size=3),
    mode=st.sampled_from(SortMode),
    kind=st.sampled_from(DistanceType),
    docs=st.none() | st.sets(st.integers(0, 49)) | st.just(set(range(50))),
)
def test_distances(
    world: World,
    origins: list[Place],
    mode: SortMode,
    kind: DistanceType,
    docs: set[int] | None,
) -> None:
    chosen = None if docs is None else np.array(sorted(docs), np.int64)
    measure = arc_m if kind is DistanceType.ARC else plane_m
    pick = {SortMode.MIN: min, SortMode.MAX: max, SortMode.AVG: lambda many: sum(many) / len(many)}[mode]
    parts = list(world.parts.values())
    found = [distances(part, [GeoPoint(*origin) for origin in origins], chosen, mode, kind) for part in parts]
    assert all(np.array_equal(one, found[0], equal_nan=True) for one in found), "to the bit"
    for number, distance_m in zip(
        range(parts[0].size) if docs is None else sorted(docs), found[0].tolist(), strict=True
    ):
        all_m = [measure(origin, to) for to in world.documents[number] for origin in origins]
        if all_m:
            assert distance_m == (pytest.approx(pick(all_m)) if mode is SortMode.AVG else pick(all_m))
        else:
            assert math.isnan(distance_m)


def test_values_and_presence(world: World) -> None:
    documents = world.documents
    for part in world.parts.values():
        assert [part.value(doc) for doc in range(0, part.size, 37)] == documents[::37]
        assert part.exists().mask().ids().tolist() == [number for number, own in enumerate(documents) if own]
        points = part.points()
        assert points.coordinates.tolist() == [list(place) for own in documents for place in own]
        assert points.documents().tolist() == [number for number, own in enumerate(documents) for _ in own]
        some = np.array([3, 5, 40, part.size - 1])
        assert part.points(some).coordinates.tolist() == [list(place) for doc in some for place in documents[doc]]


def test_the_same_points_give_the_same_bytes(cache: BlockCache, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    documents = random_documents(random, 900)
    segment_of([view_of(documents)], cache, tmp_path / "one")
    merged(documents, cache, tmp_path, random)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "merged").read_bytes()


@dataclass
class Counted:
    """A source that says what was read of it."""

    source: Source
    reads: list[tuple[int, int]]

    def read(self, offset: int, length: int) -> bytes:
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self.reads += ranges
        return self.source.read_many(ranges)


def test_a_small_shape_reads_little(cache: BlockCache, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    documents = [[(float(lat), float(lon))] for lat, lon in random.uniform((-90, -180), (90, 180), (60_000, 2))]
    segment = segment_of([view_of(documents)], cache, tmp_path / "section")
    reads: list[tuple[int, int]] = []
    assert segment._tree is not None
    segment._tree._source = Counted(segment._tree._source, reads)
    found = segment.within(GeoShape.circle(30, 120, 100_000)).mask()
    assert found.count == sum(arc_m((30, 120), own[0]) <= 100_000 for own in documents)
    assert sum(length for _, length in reads) < 60_000, "of some 2.4 MB"
