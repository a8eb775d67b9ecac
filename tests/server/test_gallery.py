"""Data that is not nice through the official SDK, and the same index once it is nice: recall stands, speed comes back.

Each picture of `bench.gallery` has an index of its own. Then its bad rows are updated to good ones or deleted, and the
index is compared with one that was filled with what is left, by counters: distances and reads a search.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
import tablestore as ots
from support.sdk import load, write_batch
from support.searching import BY_SCORE, ids, scores, search, vector_field
from support.server import ServerProcess
from support.tables import TableMaker
from support.waiting import wait_until
from tablestore import KnnVectorQuery, VectorMetricType

from bench.gallery import GALLERY, Picture, normal
from bench.truth import Truth
from lutra.model.indexes import Metric

Vectors = npt.NDArray[np.float32]

DIMENSION, QUERIES, OWN = 48, 60, 20
CODES_ROWS, GRAPH_ROWS = 8_000, 22_500
"""More than 1 MB has codes, more than 20,000 rows a graph; and so does what is left of them."""
SETTLED_WITHIN_S = 600
POLICY: Final = {"flush_age_s": 0.5, "flush_bytes": 64 << 20, "segments_max": 1, "dead_share": 0.0}
"""One segment, of the rows that live: built anew as soon as there is another, or a row has died."""
PICTURES: Final = {
    "one row x 1e+09": GRAPH_ROWS,
    "one row x 10000": CODES_ROWS,
    "1% of rows -9999": CODES_ROWS,
    "10% of rows 100": GRAPH_ROWS,
    "10% of rows 0": CODES_ROWS,
    "half of rows equal": CODES_ROWS,
    "clumps of 100, 0.10%": CODES_ROWS,
    "clumps of 1000, 1.00%": CODES_ROWS,
    "heavy tails": CODES_ROWS,
    "scales over 6 decades": CODES_ROWS,
    "bags of words": CODES_ROWS,
}
COSINE: Final = {"one row x 10000", "heavy tails"}
"""Cosines of these are asked for."""
DEAR: Final = "10% of rows 0"
"""The zeros are nearest to all queries and tie: all of them are compared."""


class OneSegmentServer(ServerProcess):
    """`lutra serve` with that policy."""

    command = ("support.killed_server",)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("gallery") / "data"
    with OneSegmentServer(data, arguments=("--policy", json.dumps(POLICY))) as process:
        yield process
    log = process.log_path.read_text()
    assert "Traceback" not in log
    warned = re.findall(r"(\S+/segments/\S+), field \[v\]: ", log)
    assert len(warned) == len(set(warned)), "a segment is warned of once"


@dataclass(frozen=True, slots=True)
class Work:
    """A search, on average."""

    distances: float
    reads: float


class Hung:
    """Rows in a table with an index of their vectors."""

    def __init__(self, server: ServerProcess, make: TableMaker, metric: Metric) -> None:
        self._server, self._make, self._metric = server, make, metric
        self._client = server.client()
        self._table = make.table([("id", "INTEGER")])
        kind = VectorMetricType.VM_COSINE if metric is Metric.COSINE else VectorMetricType.VM_EUCLIDEAN
        self._index = make.index(self._table, [vector_field("v", DIMENSION, kind)])
        self._labels = f'index="{self._index}",instance="test"'

    def put(self, numbers: npt.NDArray[np.int64], vectors: Vectors) -> None:
        pairs = zip(numbers.tolist(), vectors, strict=True)
        load(self._client, self._table, [([("id", number)], {"v": bytearray(one.tobytes())}) for number, one in pairs])

    def delete(self, numbers: npt.NDArray[np.int64]) -> None:
        items = [ots.DeleteRowItem(ots.Row([("id", number)]), ots.Condition("IGNORE")) for number in numbers.tolist()]
        for begin in range(0, len(items), 200):
            assert write_batch(self._client, self._table, items[begin : begin + 200]).is_all_succeed()

    def settle(self, kind: str) -> None:
        """Returns once all rows are in one segment of that kind, none of them dead."""
        self._make.wait_synced(self._table, self._index)
        of_table = f'{self._labels},table="{self._table}"'

        def is_settled() -> bool:
            shown = self._metrics()
            marks = [shown.get(f"lutra_index_sequence{{{self._with(mark=m)}}}") for m in ("written", "indexed")]
            segments = {k: v for k, v in shown.items() if k.startswith("lutra_index_segments{") and self._table in k}
            alone = {f"lutra_index_segments{{{self._with(kind=kind)}}}": 1.0}
            return marks[0] == marks[1] and segments == alone and not shown[f"lutra_index_dead_rows{{{of_table}}}"]

        wait_until(is_settled, SETTLED_WITHIN_S)

    def fallbacks(self) -> dict[str, float]:
        """How many segments do other than was planned, by what they do; none that do not."""
        shown = self._metrics()
        counts = {by: shown[f"lutra_index_fallback_segments{{{self._with(by=by)}}}"] for by in ("scan", "exact")}
        return {by: count for by, count in counts.items() if count}

    def recall(self, truth: Truth, queries: Vectors, numbers: npt.NDArray[np.int64]) -> tuple[float, Work]:
        """Of the ten nearest, and what a search took. ``numbers``: of the rows that the truth is of."""
        place = {number: at for at, number in enumerate(numbers.tolist())}
        before = self._metrics()
        found = [[place[number] for number in self.nearest(query, 10)[0]] for query in queries]
        after = self._metrics()
        work = [
            after[name] - before[name] for name in ("lutra_neighbour_distances_total", "lutra_neighbour_reads_total")
        ]
        return truth.recall(np.array(found), 10), Work(work[0] / len(queries), work[1] / len(queries))

    def nearest(self, query: Vectors, count: int) -> tuple[list[int], list[float]]:
        """Keys and scores."""
        knn = KnnVectorQuery("v", count, [float(element) for element in query])
        response = search(self._client, self._table, self._index, knn, limit=count, sort=BY_SCORE)
        return ids(response), scores(response)

    def _with(self, **label: str) -> str:
        labels = {"index": self._index, "instance": "test", "table": self._table} | label
        return ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))

    def _metrics(self) -> dict[str, float]:
        """By name with labels."""
        text = urllib.request.urlopen(f"{self._server.endpoint}/metrics").read().decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}


def mended(picture: Picture, rows: Vectors) -> tuple[Vectors, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Good rows in place of ``rows``, and which of them to update and which to delete."""
    if picture.spoil is not None:
        good, _ = replace(picture, spoil=None).draw(len(rows), QUERIES, DIMENSION)
        bad = np.flatnonzero((good != rows).any(axis=1))
        return good, bad[::2], bad[1::2]
    # All of it is bad.
    return normal(np.random.default_rng(5), *rows.shape), np.arange(0, len(rows)), np.arange(0)


@pytest.mark.slow
@pytest.mark.timeout(1_900)
@pytest.mark.parametrize("name", PICTURES)
def test_recall_stands_and_speed_comes_back(server: ServerProcess, name: str) -> None:
    (picture,) = (one for one in GALLERY if one.name == name)
    metric = Metric.COSINE if name in COSINE else Metric.EUCLIDEAN
    kind = "graph" if PICTURES[name] == GRAPH_ROWS else "codes"
    rows, queries = picture.draw(PICTURES[name], QUERIES, DIMENSION)
    everyone = np.arange(len(rows))
    make = TableMaker(server.client())
    hung = Hung(server, make, metric)
    hung.put(everyone, rows)
    hung.settle(kind)
    recall, dear = hung.recall(Truth.of(rows, queries, metric), queries, everyone)
    assert recall >= 0.95
    check_own(hung, rows, metric)

    good, updated, deleted = mended(picture, rows)
    left = np.setdiff1d(everyone, deleted)
    hung.put(updated, good[updated])
    hung.delete(deleted)
    hung.settle(kind)
    queries = good[left[:QUERIES]] + np.float32(0.1) * normal(np.random.default_rng(6), QUERIES, DIMENSION)
    truth = Truth.of(good[left], queries, metric)
    recall, work = hung.recall(truth, queries, left)
    fresh = Hung(server, make, metric)
    fresh.put(left, good[left])
    fresh.settle(kind)
    fresh_recall, usual = fresh.recall(truth, queries, left)
    assert min(recall, fresh_recall) >= 0.95
    assert hung.fallbacks() == fresh.fallbacks() == {}
    assert work.distances <= 1.25 * usual.distances
    assert work.reads <= 1.25 * usual.reads + 2
    if name == DEAR:
        assert dear.reads >= 3 * work.reads, "or there was nothing to come back from"
    make.clean_up()


def check_own(hung: Hung, rows: Vectors, metric: Metric) -> None:
    """Rows score exactly 1 by themselves, and none scores more; but those of zeros, which have no cosine."""
    for row in np.random.default_rng(7).choice(len(rows), OWN, replace=False).tolist():
        if metric is Metric.EUCLIDEAN or rows[row].any():
            _, found = hung.nearest(rows[row], 3)
            assert found[0] == 1.0
            assert max(found) == 1.0
