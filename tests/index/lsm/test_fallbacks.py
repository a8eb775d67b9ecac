"""A segment whose searches miss too much as planned: all are told, answers are right, and it ends with its rows."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.indexes import PREFIX, index_in, resources_in

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.stored_stats import stored_stats
from lutra.kernels.distance import topk
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import KnnVector, PartStats, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.vectors import trial
from lutra.vectors.calibration import Compared

KEY = (KeyColumn("id", ColumnType.INTEGER),)
ROWS, DIMENSION = 3_000, 128
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
WARNED = "searches compare all rows"


def put(index: SearchIndex, vectors: npt.NDArray[np.float32]) -> None:
    index.apply([Row((("id", n),), [("v", vector.tobytes(), 1)]) for n, vector in enumerate(vectors)])
    index.reached(Progress(index.progress.position + 1, True))
    index.flush()
    index.compact()


def found(index: SearchIndex, query: npt.NDArray[np.float32]) -> tuple[list[object], list[PartStats]]:
    answer = search(index.view(), SearchRequest(KnnVector("v", query, 10), (ScoreSort(),), limit=10))
    return [hit.key[0][1] for hit in answer.hits], answer.stats.parts


def test_all_are_told_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    vectors = np.random.default_rng(4).standard_normal((ROWS, DIMENSION)).astype(np.float32)
    resources = resources_in(tmp_path, policy=Policy(segments_max=1, dead_share=0.0))
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    with monkeypatch.context() as missing:
        missing.setattr(trial, "check", lambda *_: (0.5, Compared(20.0, 20.0)))
        put(index, vectors)
    assert caplog.text.count(WARNED) == 1
    for stats in (index.stats(), stored_stats(IndexStorage(resources.store, PREFIX))):
        assert stats is not None
        (segment,) = stats.segments
        assert (segment.kind, segment.recalls, segment.fallbacks) == ("codes", {"v": 1.0}, {"v": "exact"})
        assert stats.fallbacks == {"scan": 0, "exact": 1}
    query = vectors[7] + np.float32(0.1)
    keys, (part,) = found(index, query)
    assert keys == topk(query[None], vectors, 10, Metric.EUCLIDEAN)[0][0].tolist()
    assert (part.strategy, part.recall, part.fallback) == ("brute_force", 1.0, "exact")
    found(index, query)
    assert caplog.text.count(WARNED) == 1, "not at each search"

    put(index, vectors[::-1].copy())
    assert index.stats().fallbacks == {"scan": 0, "exact": 0}
    _, (after,) = found(index, query)
    assert (after.strategy, after.fallback) == ("code_scan", "")
    assert after.recall is not None
    assert after.recall >= 0.92
    assert after.reads < part.reads
    assert caplog.text.count(WARNED) == 1
    index.close()
    resources.close()
