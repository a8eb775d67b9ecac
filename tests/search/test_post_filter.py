"""Filters that are checked on what a walk came by: the answers are those of filters that are listed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pyroaring import BitMap

from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.view import IndexView
from lutra.kernels.blocks import BlockCache
from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.model.deadline import current_deadline
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPoint, GeoPolygon
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import (
    Bool,
    KnnVector,
    Match,
    MatchPhrase,
    Operator,
    PartStats,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
)
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.scoring import ConstScore
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.search import post_filter, search
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import plan_of
from lutra.segments.build import build_segment
from lutra.segments.index_segment import IndexSegment
from lutra.segments.kept_masks import KeptMasks
from lutra.tables.keys import KeyCodec
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

ROWS, DIMENSION, K = 4_000, 24, 10
KEY = (KeyColumn("row", ColumnType.INTEGER),)
CODEC = KeyCodec(b"", KEY)
SCHEMA = IndexSchema(
    (
        FieldSchema("number", FieldType.LONG),
        FieldSchema("text", FieldType.TEXT),
        FieldSchema("point", FieldType.GEO_POINT),
        FieldSchema("vector", FieldType.VECTOR, vector=VectorOptions(DIMENSION, Metric.EUCLIDEAN)),
    )
)
DEAD = BitMap(range(0, ROWS, 7))
RNG = np.random.default_rng(4)
MIXING = RNG.standard_normal((8, DIMENSION))
VECTORS = (RNG.standard_normal((ROWS, 8)) @ MIXING + 0.2 * RNG.standard_normal((ROWS, DIMENSION))).astype(np.float32)
QUERIES = (RNG.standard_normal((12, 8)) @ MIXING).astype(np.float32)

SQUARE = tuple(GeoPoint(lat, lon) for lat, lon in ((-50.0, -60.0), (-50.0, 60.0), (45.0, 70.0), (20.0, -70.0)))
PHRASE = MatchPhrase("text", "sea wind")
FILTERS: dict[str, Query] = {
    "a word": Match("text", "sea"),
    "either word": Match("text", "sea stone"),
    "both words": Match("text", "sea stone", Operator.AND),
    "two of three": Match("text", "sea stone wind", minimum_should_match=2),
    "a word twice": Match("text", "sea sea", Operator.AND),
    "a phrase": PHRASE,
    "a loose phrase": MatchPhrase("text", "sea stone", slop=3),
    "a box": GeoBoundingBox("point", GeoPoint(60.0, -80.0), GeoPoint(-60.0, 80.0)),
    "a circle": GeoDistance("point", GeoPoint(0.0, 0.0), 8_000_000.0),
    "a polygon": GeoPolygon("point", SQUARE),
    "all of several": Bool(must=(PHRASE, Range("number", 500, None)), must_not=(Match("text", "stone"),)),
    "one of several": Bool(
        filter=(Range("number", 100, None),), should=(PHRASE, Match("text", "stone")), minimum_should_match=1
    ),
    "a constant": ConstScore(PHRASE),
}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexView]:
    """A graph segment; some rows are dead, some have no point and no text."""
    folder, rng = tmp_path_factory.mktemp("post_filter"), np.random.default_rng(5)
    words = np.array(["sea wind", "wind sea", "sea", "stone", "wind"])
    buffer = Buffer(SCHEMA, KEY)
    rows = []
    for number in range(ROWS):
        cells: dict[str, object] = {"number": number, "vector": VECTORS[number].tobytes()}
        if number % 11:
            cells["text"] = " ".join(rng.choice(words, rng.integers(1, 5), p=(0.5, 0.1, 0.2, 0.1, 0.1)))
        if number % 13:
            lat, lon = rng.uniform((-60, -100), (60, 100))
            cells["point"] = f"{lat},{lon}"
        rows.append(Row((("row", number),), [(name, cells[name], 1) for name in sorted(cells)]))  # type: ignore[misc]
    buffer.stage([CODEC.encode(row.key) for row in rows], rows, 0)
    buffer.publish()
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=48)
    build_segment(folder / "target", [buffer.view()], SCHEMA, plans={"vector": plan})
    store, cache = LocalStore(folder / "objects"), BlockCache(16 * 1024 * 1024)
    store.put_file("segment", folder / "target")
    with IndexSegment.open(store, "segment", SCHEMA, cache=cache, deletions=DEAD) as segment:
        yield IndexView(SCHEMA, KEY, (segment,), CODEC)
    cache.close()


@pytest.fixture(autouse=True)
def nothing_kept(view: IndexView) -> None:
    """Of the test before."""
    segment = view.parts[0]
    assert isinstance(segment, IndexSegment)
    segment.kept = KeptMasks()


def listed(view: IndexView, query: Query) -> RowMask:
    plan = plan_of(view, SearchRequest(query, limit=0))
    part = view.parts[0]
    node = PartSearch(part, PartStats(part.rows), current_deadline()).node(plan.root.condition)
    return node.matches() & part.live


@pytest.mark.parametrize("name", FILTERS)
def test_a_document_is_checked_as_it_is_listed(view: IndexView, name: str) -> None:
    part, among = view.parts[0], listed(view, FILTERS[name])
    assert 0 < among.count < part.rows
    plan = plan_of(view, SearchRequest(FILTERS[name], limit=0))
    for docs in (np.arange(0, ROWS, 3), np.array([5, 17, 2_000]), np.empty(0, np.int64)):
        node = PartSearch(part, PartStats(part.rows), current_deadline()).node(plan.root.condition)
        found = node.matches_of(docs.astype(np.int64)) & part.live.has(docs)
        np.testing.assert_array_equal(found, among.has(docs))


@pytest.mark.parametrize("name", FILTERS)
def test_what_is_known_before_listing_is_about_right(view: IndexView, name: str) -> None:
    plan = plan_of(view, SearchRequest(FILTERS[name], limit=0))
    part = view.parts[0]
    node = PartSearch(part, PartStats(part.rows), current_deadline()).node(plan.root.condition)
    known = node.unlisted()
    assert known is not None
    assert known.list_us > 0
    assert known.passing == pytest.approx(node.matches().count / part.size, abs=0.45)
    assert node.unlisted() is None, "it is listed now"


def ask(view: IndexView, query: np.ndarray, filtered: Query, k: int = K) -> tuple[list[int], str]:
    request = SearchRequest(KnnVector("vector", query, k, filter=filtered), (ScoreSort(),), limit=k, explain=True)
    answer = search(view, request)
    assert answer.stats.explanation is not None
    scan = answer.stats.explanation["parts"][0]["query"]["scans"][0]
    assert ("checked" in scan) == (scan["strategy"] == "post_filter")
    return [int(hit.key[0][1]) for hit in answer.hits], answer.stats.strategy


@pytest.mark.parametrize("name", FILTERS)
def test_neighbours_are_those_under_the_listed_filter(
    view: IndexView, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    mask, hits, used = listed(view, FILTERS[name]).bools(), 0, []
    truth, _ = topk(QUERIES, VECTORS, K, Metric.EUCLIDEAN, mask)
    monkeypatch.setattr(post_filter, "CHECK_US", -10_000.0)  # as if lists took long
    for query, expected in zip(QUERIES, truth, strict=True):
        found, strategy = ask(view, query, FILTERS[name])
        assert mask[found].all()
        assert len(found) == K
        hits += len(np.intersect1d(found, expected))
        used.append(strategy)
    assert hits / truth.size >= 0.95
    if mask.mean() > 0.3:
        assert used.count("post_filter") >= len(QUERIES) // 2


def test_where_too_few_pass_nearby_the_filter_is_listed(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_filter, "CHECK_US", -10_000.0)
    monkeypatch.setattr(post_filter, "PASSING_MIN", 0.0)
    rare = Bool(must=(Match("text", "sea"), Range("number", 0, 30)))
    mask = listed(view, rare).bools()
    found, strategy = ask(view, QUERIES[0], rare, 40)
    assert strategy != "post_filter"
    assert sorted(found) == np.flatnonzero(mask).tolist()


def test_a_filter_that_is_listed_quickly_is_listed(view: IndexView) -> None:
    assert ask(view, QUERIES[0], Match("text", "sea"))[1] != "post_filter"


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_comes_again_is_listed_once(view: IndexView, name: str) -> None:
    """Whatever died in between."""
    segment = view.parts[0]
    assert isinstance(segment, IndexSegment)
    opened = [segment, segment.without(None), segment.without(BitMap(range(0, ROWS, 2)))]
    views = [IndexView(SCHEMA, KEY, (one,), CODEC) for one in opened]
    matching = listed(views[1], FILTERS[name]).bools()
    kept = KeptMasks()
    for one in opened:
        one.kept = kept  # as of all that are one segment
    for _ in range(3):
        for of in views:
            left = matching & of.parts[0].live.bools()
            found, _ = ask(of, QUERIES[0], FILTERS[name])
            assert left[found].all()
            assert len(found) == K
            assert search(of, SearchRequest(FILTERS[name], limit=0, count_total=True)).total == left.sum()
    if name not in ("all of several", "one of several", "a constant"):
        told = search(
            view, SearchRequest(KnnVector("vector", QUERIES[0], K, filter=FILTERS[name]), limit=K, explain=True)
        )
        assert told.stats.explanation is not None
        of_part = told.stats.explanation["parts"][0]
        assert (of_part["query"]["filter"]["kept"], of_part["conditions"]) == (True, 0)
