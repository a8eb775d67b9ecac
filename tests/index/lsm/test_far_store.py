"""An index over a store far away is open before codes and graph are in memory, and reads them once it is searched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.far_store import FarStore
from support.indexes import index_in, resources_in
from support.stalling_store import StallingStore

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.kernels.blocks import BlockCache
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import KnnVector, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.request_counters import RequestCounters
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION, LARGE, ROWS, K = 16, 21_000, 24_000, 10
"""``LARGE``: more rows than have no graph. The others are a segment of their own."""
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
POLICY = Policy(fan_in=2, flush_age_s=3_600)
CODES_AND_GRAPH_BYTES = LARGE * 4 * 32
OPENING_ROUNDS = 7
"""List, manifest, the segments' ends, what else is kept of them, their lists, the own manifest, another list."""
SEARCH_ROUNDS = 3
"""Codes of the nearest lists, vectors, keys."""
VECTORS = np.random.default_rng(7).standard_normal((ROWS, DIMENSION)).astype("<f4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an index of two segments."""
    path = tmp_path_factory.mktemp("far")
    index = index_in(resources_in(path, policy=POLICY), SCHEMA, KEY)
    index.open()
    for begin, end in ((0, LARGE), (LARGE, ROWS)):
        index.apply([Row((("id", n),), [("v", VECTORS[n].tobytes(), 1)]) for n in range(begin, end)])
        index.reached(Progress(end, True))
        index.flush()
        if end == LARGE:
            index.compact()
    index.close()
    return path


def found(index: SearchIndex, number: int) -> set[int]:
    nearest = KnnVector("v", VECTORS[number], K)
    hits = search(index.view(), SearchRequest(nearest, sort=(ScoreSort(),), limit=K)).hits
    assert hits[0].key == (("id", number),)
    return {int(str(hit.key[0][1])) for hit in hits}


def is_coming(index: SearchIndex) -> bool:
    return any(segment.segment.is_coming for segment in index._segments.searched)


def requests(resources: Resources) -> RequestCounters:
    return resources.store.requests


def true_neighbours(number: int) -> set[int]:
    return set(np.argsort(((VECTORS - VECTORS[number]) ** 2).sum(axis=1))[:K].tolist())


def test_a_first_search_takes_three_rounds(folder: Path) -> None:
    local = resources_in(folder, policy=POLICY)
    with FarStore(local.store) as store:
        index = index_in(replace(local, store=store, cache=BlockCache(32 << 20)), SCHEMA, KEY)
        index.open()
        assert len(store.take()) <= OPENING_ROUNDS
        assert len(index._segments.searched) == 2
        for number in (1, ROWS - 1):
            hits = found(index, number)
            assert len(store.take()) <= SEARCH_ROUNDS
            assert len(hits & true_neighbours(number)) >= K // 2
        # What is in a buffer says how near rows have to be.
        index.apply([Row((("id", ROWS + n),), [("v", VECTORS[n].tobytes(), 1)]) for n in range(2, 2 + 2 * K)])
        store.take()
        found(index, ROWS // 2)
        assert len(store.take()) <= SEARCH_ROUNDS
        store.is_far = False
        index.close()


def test_codes_and_graph_are_read_after_the_first_search(folder: Path) -> None:
    local = resources_in(folder, policy=POLICY)
    with StallingStore(local.store) as store:
        resources = replace(local, store=store, cache=BlockCache(32 << 20))
        index = index_in(resources, SCHEMA, KEY)
        before = requests(resources)
        index.open()
        assert is_coming(index)
        assert (requests(resources) - before).read_bytes < CODES_AND_GRAPH_BYTES / 2

        def look() -> int:
            return resources.shared.rebalance(resources.memory)

        before = requests(resources)
        assert [look(), look()] == [0, 0]  # nobody searched
        assert requests(resources) == before
        assert is_coming(index)

        for number in range(20):
            assert len(found(index, number) & true_neighbours(number)) >= K // 2
        before = requests(resources)
        assert look() == 0  # the next look knows that these have their answers
        assert requests(resources) == before
        assert look() == 1
        assert not is_coming(index)
        assert (requests(resources) - before).read_bytes > CODES_AND_GRAPH_BYTES
        found(index, 21)
        before = requests(resources)
        assert [look(), look()] == [0, 0]
        assert requests(resources) == before
        index.close()
