"""Rows replaced over and over: what is found stays as good as in an index built at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.indexes import PREFIX, index_in, resources_in

from lutra.feed.progress import Progress
from lutra.index.builds.builder import ProcessBuilder
from lutra.index.builds.policy import Policy
from lutra.index.check.fsck import IndexCheck
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.kernels.distance import topk
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import KnnVector, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.vectors.layout import NO_ROW

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 24
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
ROWS = 24_000
Matrix = npt.NDArray[np.float32]


def put(index: SearchIndex, ids: npt.NDArray[np.int64], vectors: Matrix) -> None:
    for begin in range(0, len(ids), 500):
        some = ids[begin : begin + 500].tolist()
        index.apply([Row((("id", n),), [("v", vectors[n].tobytes(), 1)]) for n in some])
    index.reached(Progress(index.progress.position + 1, True))


def recall(index: SearchIndex, vectors: Matrix, queries: Matrix) -> float:
    truth, _ = topk(queries, vectors, 10, Metric.EUCLIDEAN)
    view = index.view()
    found = 0
    for query, expected in zip(queries, truth.tolist(), strict=True):
        hits = search(view, SearchRequest(KnnVector("v", query, 10), sort=(ScoreSort(),), limit=10)).hits
        found += len({hit.key[0][1] for hit in hits} & set(expected))
    return found / (10 * len(queries))


def degree(index: SearchIndex) -> float:
    """Neighbours a row of the largest segment."""
    (largest, *_) = sorted(index._segments.named.values(), key=lambda s: -s.rows)
    graph = largest.segment.fields["v"].file.load_graph()
    return float((graph != NO_ROW).sum(axis=1).mean())


def faults(resources: Resources) -> list[str]:
    with IndexCheck(IndexStorage(resources.store, PREFIX), SCHEMA, KEY) as check:
        check.check_objects()
        return [str(fault) for fault in check.faults]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_recall_after_ten_turnovers(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    queries = rng.standard_normal((200, DIMENSION)).astype(np.float32)
    resources = resources_in(tmp_path / "old", policy=Policy(segments_max=1))  # one graph, built on again and again
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    for _ in range(11):
        vectors = rng.standard_normal((ROWS, DIMENSION)).astype(np.float32)
        order = rng.permutation(ROWS)
        for part in np.array_split(order, 2):
            put(index, part, vectors)
            index.flush()
        index.compact()
        assert index.rows == ROWS
    assert faults(resources) == [], "every row of every graph is reachable, among other things"
    stats = index.stats()
    assert stats.dead <= 0.25 * stats.rows
    fresh_resources = resources_in(tmp_path / "fresh")
    fresh = index_in(fresh_resources, SCHEMA, KEY)
    fresh.open()
    put(fresh, np.arange(ROWS), vectors)
    fresh.flush()
    fresh.compact()
    assert recall(index, vectors, queries) >= max(0.95, recall(fresh, vectors, queries) - 0.01)
    assert degree(index) >= 0.9 * degree(fresh)
    for one in (index, fresh):
        one.close()


def test_builders_that_are_killed(tmp_path: Path) -> None:
    """Whatever a build was at: the index goes on, and what it answers is right."""
    vectors = np.random.default_rng(3).standard_normal((6_000, DIMENSION)).astype(np.float32)
    policy = Policy(flush_bytes=128 * 1024, inline_bytes=0)
    with contextlib.closing(ProcessBuilder()) as builder:
        resources = resources_in(tmp_path, policy=policy, builder=builder)
        index = index_in(resources, SCHEMA, KEY)
        index.open()
        ended = threading.Event()

        def kill() -> None:
            for wait_s in (0.1, 0.3, 0.5, 0.2, 0.4):
                ended.wait(wait_s)
                for pid in builder.pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        for begin in range(0, 6_000, 1_000):
            put(index, np.arange(begin, begin + 1_000), vectors)
            index.maintain()
            assert index.rows == begin + 1_000
            time.sleep(0.1)
        killer.join()
        index.flush()
        index.compact()
        assert index.waiting_buffers == 0
        assert index.rows == 6_000
        assert recall(index, vectors, vectors[:20] + 0.01) >= 0.95
        index.close()
    assert faults(resources) == []
