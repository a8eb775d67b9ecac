"""No cliff: filtered searches of an index, at every pass rate and by every sort of filter, beside unfiltered ones.

  python -m bench.cliff --rows 200000 --dim 128 --data /data/cliff --json cliff.json --plot cliff.png
  python -m bench.cliff --rows 60000 --dim 384 --clock      # times of the clock, on a machine with nothing else to do

The queries lie near one place, the centre. Filters go by chance (a range of a number, a term, a word of a text, a box
and a polygon of points), by a range over the distance to the centre (correlated), and by its complement
(anti-correlated, of which a pass rate of 50 % is the farthest half). Answers are compared with the exact ones. Times
are of the processor as long as ``--clock`` is not given; an unfiltered search goes before each filtered one, so that a
busy machine is busy for both. The exit status says whether recall, the share of the unfiltered searches' rate, or the
number of rows falls short anywhere.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from bench.ann import data
from bench.cliff_plot import plot
from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.view import IndexView
from lutra.kernels.blocks import BlockCache
from lutra.kernels.distance import topk
from lutra.model.geo import GeoBoundingBox, GeoPoint, GeoPolygon
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import Exists, KnnVector, Match, Query, Range, ScoreSort, SearchRequest, Term
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.search import search
from lutra.segments.build import build_segment
from lutra.segments.index_segment import IndexSegment
from lutra.segments.part import Part
from lutra.tables.keys import KeyCodec

Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

PASS_RATES: Final = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0001)
"""Below 1; their sum, too, so that each row has one term of them."""
K: Final = 10
RECALL_MIN: Final = 0.95
SHARE_MIN: Final = 0.5
_KEY: Final = (KeyColumn("row", ColumnType.INTEGER),)
_CODEC: Final = KeyCodec(b"", _KEY)
_CACHE_BYTES: Final = 256 * 1024 * 1024
_POOL: Final = 2_048
"""Queries of which those nearest to the centre are asked."""
_LAT: Final = 60.0
_LON: Final = 170.0
_CORNERS: Final = 64
_FILLERS: Final = 200
_FILLED: Final = 8
"""Words of a text beside those that are looked for."""
_TIMES: Final = 2
_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Values:
    """What the rows hold beside their vectors."""

    number: Numbers
    """A permutation."""
    distance: npt.NDArray[np.float64]
    """To the centre."""
    term: Numbers
    """The place of a pass rate in `PASS_RATES`, or one beyond."""
    words: Mask
    """[rows, pass rates]"""
    points: npt.NDArray[np.float64]
    """[rows, 2]: latitude and longitude."""

    @classmethod
    def of(cls, vectors: Vectors, centre: Vectors) -> Values:
        count, rng = len(vectors), np.random.default_rng(6)
        distances = np.concatenate(
            [((block - centre) ** 2).sum(axis=1, dtype=np.float64) for block in np.array_split(vectors, 64)]
        )
        shares = [*PASS_RATES, 1 - sum(PASS_RATES)]
        return cls(
            rng.permutation(count),
            distances,
            rng.choice(len(shares), count, p=shares),
            rng.random((count, len(PASS_RATES))) < PASS_RATES,
            rng.uniform((-_LAT, -_LON), (_LAT, _LON), (count, 2)),
        )


@dataclass(frozen=True, slots=True)
class Filtered:
    """A filter, and which rows it passes."""

    query: Query | None
    mask: Mask


Sort = Callable[[Values, float], Filtered]
"""Of the rows' values and a pass rate."""


def _by_number(of: Values, rate: float) -> Filtered:
    most = max(1, round(rate * len(of.number)))
    return Filtered(Range("number", None, most, include_upper=False), of.number < most)


def _correlated(of: Values, rate: float) -> Filtered:
    bound = float(np.sort(of.distance)[max(1, round(rate * len(of.distance))) - 1])
    return Filtered(Range("distance", None, bound), of.distance <= bound)


def _anti_correlated(of: Values, rate: float) -> Filtered:
    bound = float(np.sort(of.distance)[-max(1, round(rate * len(of.distance)))])
    return Filtered(Range("distance", bound, None), of.distance >= bound)


def _by_term(of: Values, rate: float) -> Filtered:
    if rate == 1:
        return Filtered(Exists("term"), np.ones(len(of.term), np.bool_))
    place = PASS_RATES.index(rate)
    return Filtered(Term("term", f"t{place}"), of.term == place)


def _by_word(of: Values, rate: float) -> Filtered:
    if rate == 1:
        return Filtered(Match("text", "everywhere"), np.ones(len(of.term), np.bool_))
    place = PASS_RATES.index(rate)
    return Filtered(Match("text", f"w{place}"), np.ascontiguousarray(of.words[:, place]))


def _by_box(of: Values, rate: float) -> Filtered:
    half = _LON * rate
    lat, lon = of.points.T
    query = GeoBoundingBox("point", GeoPoint(_LAT, -half), GeoPoint(-_LAT, half))
    return Filtered(query, (np.abs(lat) <= _LAT) & (np.abs(lon) <= half))


def _by_polygon(of: Values, rate: float) -> Filtered:
    """An ellipse around 0, 0; of more than three quarters it would not lie within the rows' points."""
    rate = min(rate, 0.75)
    turns = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    size = math.sqrt(4 * rate / (_CORNERS / 2 * math.sin(2 * math.pi / _CORNERS)))
    ring = np.stack([_LAT * size * np.sin(turns), _LON * size * np.cos(turns)], axis=1)
    query = GeoPolygon("point", tuple(GeoPoint(float(lat), float(lon)) for lat, lon in ring))
    return Filtered(query, _within(of.points, ring))


def _within(points: npt.NDArray[np.float64], ring: npt.NDArray[np.float64]) -> Mask:
    """Of a convex ring: on the same side of all its edges."""
    following = np.roll(ring, -1, axis=0)
    inside = np.ones(len(points), np.bool_)
    for (lat, lon), (next_lat, next_lon) in zip(ring, following, strict=True):
        along = (next_lon - lon) * (points[:, 0] - lat) - (next_lat - lat) * (points[:, 1] - lon)
        inside &= along >= 0
    return inside


SORTS: Final[dict[str, Sort]] = {
    "by chance": _by_number,
    "correlated": _correlated,
    "anti-correlated": _anti_correlated,
    "term": _by_term,
    "word": _by_word,
    "box": _by_box,
    "polygon": _by_polygon,
}


@dataclass(frozen=True, slots=True)
class Point:
    """One sort of filter at one pass rate; one client, one thread."""

    sort: str
    pass_rate: float
    recall: float
    us: float
    """The median of a search's times."""
    filter_us: float
    """Of these: the filter's, as the search explains itself."""
    share: float
    """Searches a second against those without a filter, of the medians."""
    fewest: int
    """Rows of the shortest answer, less those there could be."""
    distances: float
    reads: float
    strategies: str

    @property
    def faults(self) -> list[str]:
        short = {"recall": self.recall < RECALL_MIN, "slow": self.share < SHARE_MIN, "fewer": self.fewest < 0}
        return [name for name, is_short in short.items() if is_short]


class Searched:
    """An index of one segment. A context manager."""

    def __init__(self, folder: Path, vectors: Vectors, values: Values) -> None:
        """Built in ``folder``, where it is not there yet."""
        options = VectorOptions(vectors.shape[1], Metric.EUCLIDEAN)
        scalars = {
            "number": FieldType.LONG,
            "distance": FieldType.DOUBLE,
            "term": FieldType.KEYWORD,
            "text": FieldType.TEXT,
            "point": FieldType.GEO_POINT,
        }
        fields = [FieldSchema(name, kind) for name, kind in scalars.items()]
        schema = IndexSchema((*fields, FieldSchema("vector", FieldType.VECTOR, vector=options)))
        store = LocalStore(folder / "objects")
        if not (folder / "built").exists():
            target = folder / "target"
            build_segment(target, [_buffer(schema, vectors, values)], schema)
            store.put_file("segment", target)
            (folder / "built").touch()
        self._cache = BlockCache(_CACHE_BYTES)
        self._segment = IndexSegment.open(store, "segment", schema, cache=self._cache, deletions=BitMap())
        self._view = IndexView(schema, _KEY, (self._segment,), _CODEC)

    def __enter__(self) -> Searched:
        return self

    def __exit__(self, *_: object) -> None:
        self._segment.close()
        self._cache.close()

    def request(self, query: Vectors, filtered: Query | None, explain: bool = False) -> SearchRequest:
        return SearchRequest(KnnVector("vector", query, K, filter=filtered), (ScoreSort(),), limit=K, explain=explain)

    def ask(self, request: SearchRequest, clock: Callable[[], float]) -> tuple[float, list[int], tuple[str, int, int]]:
        """The least microseconds of some times; the rows; and strategy, distances and reads."""
        least = math.inf
        for _ in range(_TIMES):
            begin = clock()
            answer = search(self._view, request)
            least = min(least, clock() - begin)
        stats = answer.stats
        rows = [int(hit.key[0][1]) for hit in answer.hits]
        return 1e6 * least, rows, (stats.strategy, stats.distances, stats.reads)

    def filter_us(self, request: SearchRequest) -> float:
        """Of a search that explains itself."""
        told = search(self._view, request).stats.explanation
        return float(told["parts"][0]["query"]["filter"]["us"]) if told else math.nan


def _buffer(schema: IndexSchema, vectors: Vectors, values: Values) -> Part:
    """The rows, their numbers being their keys."""
    buffer, rng = Buffer(schema, _KEY), np.random.default_rng(7)
    for begin in range(0, len(vectors), _BATCH):
        rows = []
        for at in range(begin, min(begin + _BATCH, len(vectors))):
            looked_for = [f"w{place}" for place in np.flatnonzero(values.words[at]).tolist()]
            fillers = [f"f{number}" for number in rng.integers(0, _FILLERS, _FILLED).tolist()]
            lat, lon = values.points[at].tolist()
            cells = {
                "number": int(values.number[at]),
                "distance": float(values.distance[at]),
                "term": f"t{values.term[at]}",
                "text": " ".join(["everywhere", *looked_for, *fillers]),
                "point": f"{lat!r},{lon!r}",
                "vector": vectors[at].tobytes(),
            }
            rows.append(Row((("row", at),), [(name, cells[name], 1) for name in sorted(cells)]))
        buffer.stage([_CODEC.encode(row.key) for row in rows], rows, begin)
        buffer.publish()
    return buffer.view()


def measure(
    searched: Searched,
    vectors: Vectors,
    queries: Vectors,
    values: Values,
    sorts: Sequence[str],
    clock: Callable[[], float],
) -> Iterator[Point]:
    """The unfiltered point first, then those of each sort."""
    everything = Filtered(None, np.ones(len(vectors), np.bool_))
    yield _point(searched, vectors, queries, "none", 1.0, everything, clock)
    for sort in sorts:
        for rate in (1.0, *PASS_RATES):
            filtered = SORTS[sort](values, rate)
            if filtered.mask.any():
                yield _point(searched, vectors, queries, sort, rate, filtered, clock)


def _point(
    searched: Searched,
    vectors: Vectors,
    queries: Vectors,
    sort: str,
    rate: float,
    filtered: Filtered,
    clock: Callable[[], float],
) -> Point:
    truth, _ = topk(queries, vectors, K, Metric.EUCLIDEAN, filtered.mask)
    taken, unfiltered, figures, hits, fewest = [], [], [], 0, 0
    for query, expected in zip(queries, truth, strict=True):
        unfiltered.append(searched.ask(searched.request(query, None), clock)[0])
        us, rows, took = searched.ask(searched.request(query, filtered.query), clock)
        taken.append(us)
        figures.append(took)
        hits += len(np.intersect1d(rows, expected))
        fewest = min(fewest, len(rows) - len(expected))
    explained = searched.request(queries[0], filtered.query, explain=True)
    used = Counter(strategy for strategy, _, _ in figures)
    return Point(
        sort,
        rate,
        hits / truth.size,
        float(np.median(taken)),
        0.0 if filtered.query is None else searched.filter_us(explained),
        float(np.median(unfiltered) / np.median(taken)),
        fewest,
        float(np.mean([distances for _, distances, _ in figures])),
        float(np.mean([reads for _, _, reads in figures])),
        " ".join(f"{name} {count}" for name, count in used.most_common()),
    )


def near_one_place(pool: Vectors, count: int) -> tuple[Vectors, Vectors]:
    """A centre, and the ``count`` of a pool of queries that are nearest to it."""
    centre = pool[0]
    order = np.argsort(((pool - centre) ** 2).sum(axis=1), kind="stable")
    return centre, np.ascontiguousarray(pool[order[1 : count + 1]])


def line_of(point: Point) -> str:
    """For people."""
    return (
        f"{point.sort:16} {100 * point.pass_rate:6g} %  recall {point.recall:.3f}  {point.us:8,.0f} us, filter "
        f"{point.filter_us:7,.0f}  x {point.share:4.2f}  {point.distances:9,.0f} distances {point.reads:6.1f} reads  "
        f"{point.strategies}  {','.join(point.faults)}"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.cliff", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--sort", choices=list(SORTS), action="append", help="of filters; may be said again")
    parser.add_argument("--clock", action="store_true", help="times of the clock, not of the processor")
    parser.add_argument("--data", type=Path, help="where the segment is kept, and built where it is not there yet")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument("--plot", type=Path, help="draw it to this file")
    options = parser.parse_args()
    clock = time.perf_counter if options.clock else time.thread_time
    block = data.hard(options.dim)
    vectors, pool = data.rows(block, options.rows), data.queries(block, options.rows, _POOL)
    centre, queries = near_one_place(pool, options.queries)
    values, points = Values.of(vectors, centre), []
    with tempfile.TemporaryDirectory(prefix="lutra-cliff-") as scratch:
        folder = options.data or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with Searched(folder, vectors, values) as searched:
            for point in measure(searched, vectors, queries, values, options.sort or list(SORTS), clock):
                points.append(point)
                print(line_of(point), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n")
    if options.plot:
        plot(points, options.plot, f"Searches under filters, {options.rows:,} x {options.dim}, top {K}")
    if short := [point for point in points if point.faults]:
        sys.exit(f"{len(short)} of {len(points)} fall short")


if __name__ == "__main__":
    main()
