"""What is built of rows that are searched is in the block cache before searches come to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.indexes import index_in, resources_in
from support.waiting import wait_until

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.resources import Resources
from lutra.kernels.blocks import BlockCache, BlockCounters
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import KnnVector, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION, ROWS, SEARCHES = 64, 4_500, 20
CACHE_BYTES = 32 * 1024 * 1024
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
POLICY = Policy(fan_in=2, flush_age_s=3_600)


def read(resources: Resources) -> BlockCounters:
    return sum(resources.cache.counters().kinds.values(), BlockCounters())


@pytest.mark.parametrize("is_searched", [True, False])
def test_vectors_of_what_was_built(tmp_path: Path, is_searched: bool) -> None:
    vectors = np.random.default_rng(7).standard_normal((ROWS, DIMENSION)).astype("<f4")
    resources = replace(resources_in(tmp_path, policy=POLICY), cache=BlockCache(CACHE_BYTES))
    index = index_in(resources, SCHEMA, KEY)
    index.open()

    def ask(number: int) -> None:
        nearest = KnnVector("v", vectors[number], 10)
        [hit, *_] = search(index.view(), SearchRequest(nearest, sort=(ScoreSort(),), limit=10)).hits
        assert hit.key == (("id", number),)

    index.apply([Row((("id", n),), [("v", vectors[n].tobytes(), 1)]) for n in range(ROWS)])
    index.reached(Progress(ROWS, True))
    if is_searched:
        ask(0)
    index.flush()
    index.compact()
    if is_searched:
        wait_until(lambda: (now := read(resources)).prefetches > 0 and now.held_blocks >= now.prefetches)
    before = read(resources)
    assert (before.prefetches > 0) == is_searched
    for number in range(SEARCHES):
        ask(number)
    misses = read(resources).misses - before.misses
    assert misses < SEARCHES if is_searched else misses > 5 * SEARCHES
    index.close()
    resources.close()
