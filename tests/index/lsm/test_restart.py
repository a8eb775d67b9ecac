"""What an index that is opened again costs: memory within its budget, and few reads of segments not built yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.indexes import PREFIX, index_in, resources_in

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.manifest import Manifest, schema_identity
from lutra.index.lsm.memory import MemoryBudget
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.stored_stats import stored_stats
from lutra.kernels.blocks import BlockCache
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import KnnVector, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 64
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
UNBUILT = Policy(fan_in=1_000, build_memory_bytes=1, flush_age_s=3_600)
"""No build fits: segments stay as they were flushed, which is how a restart finds those a builder had not got to."""
SEGMENTS = 3
ROWS = 4_500
"""Of each, so that its vectors take more than a flat segment is meant to have."""
VECTOR_BYTES = SEGMENTS * ROWS * DIMENSION * 4
CACHE_BYTES = 8 * 1024 * 1024
ASKED = 10


def vectors() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((SEGMENTS * ROWS, DIMENSION)).astype("<f4")


def fill(folder: Path, policy: Policy) -> None:
    resources = resources_in(folder, policy=policy)
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    of_all = vectors()
    for begin in range(0, len(of_all), ROWS):
        rows = [Row((("id", n),), [("v", of_all[n].tobytes(), 1)]) for n in range(begin, begin + ROWS)]
        index.apply(rows)
        index.reached(Progress(begin + ROWS, True))
        index.flush()
    index.compact()
    index.close()
    resources.close()


@contextmanager
def restarted(folder: Path, resources: Resources) -> Iterator[SearchIndex]:
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    index.maintain()
    yield index
    index.close()
    resources.close()


def ask(index: SearchIndex, number: int) -> None:
    """Searches for a row's own vector."""
    nearest = KnnVector("v", vectors()[number].astype(np.float32), ASKED)
    hits = search(index.view(), SearchRequest(nearest, sort=(ScoreSort(),), limit=ASKED)).hits
    assert hits[0].key == (("id", number),)
    assert len(hits) == ASKED


def read_bytes(resources: Resources) -> int:
    """From the disk, since the cache was made."""
    counters = resources.cache.counters()
    return sum(kind.read_bytes + kind.bypass_bytes for kind in counters.kinds.values())


def test_segments_that_are_not_built_yet_are_read_once(tmp_path: Path) -> None:
    fill(tmp_path, UNBUILT)
    resources = replace(resources_in(tmp_path, policy=UNBUILT), cache=BlockCache(CACHE_BYTES))
    with restarted(tmp_path, resources) as index:
        assert [segment.kinds for segment in index.stats().segments] == [{"v": "flat"}] * SEGMENTS
        opened = read_bytes(resources)
        assert opened < VECTOR_BYTES / 4
        ask(index, 0)
        first = read_bytes(resources)
        assert VECTOR_BYTES <= first - opened < 1.1 * VECTOR_BYTES
        for number in (ROWS, 1, 2 * ROWS + 1):
            ask(index, number)
        # Keys of the rows that were found are read; of the vectors nothing.
        assert read_bytes(resources) - first < VECTOR_BYTES / 20


def test_they_find_their_way_into_a_cache_that_is_full(tmp_path: Path) -> None:
    fill(tmp_path, UNBUILT)
    other = tmp_path / "other"
    other.write_bytes(bytes(2 * CACHE_BYTES))
    resources = replace(resources_in(tmp_path, policy=UNBUILT), cache=BlockCache(CACHE_BYTES))
    with restarted(tmp_path, resources) as index:
        blocks = resources.cache.open_file(other)
        for _ in range(3):
            blocks.read(range(CACHE_BYTES // blocks.block_bytes))
        assert resources.cache.counters().used_bytes > 0.9 * CACHE_BYTES
        for number in range(4):
            ask(index, number)
        before = read_bytes(resources)
        ask(index, ROWS)
        assert read_bytes(resources) - before < VECTOR_BYTES / 10


@pytest.mark.parametrize("share", [2.0, 0.5, 0.0])
def test_codes_in_memory_stay_within_the_budget(tmp_path: Path, share: float) -> None:
    """Of all segments together, by what is in memory, not by what was thought beforehand."""
    fill(tmp_path, Policy(flush_age_s=3_600, fan_in=1_000))
    with restarted(tmp_path, resources_in(tmp_path)) as index:
        whole = sum(segment.segment.fields["v"].segment.resident_bytes for segment in index._segments.searched)
        assert {segment.kinds["v"] for segment in index.stats().segments} == {"codes"}
    budget = MemoryBudget(int(share * whole))
    resources = replace(resources_in(tmp_path), memory=budget)
    with restarted(tmp_path, resources) as index:
        resident = sum(segment.segment.fields["v"].segment.resident_bytes for segment in index._segments.searched)
        assert resident <= budget.granted_bytes <= budget.total_bytes
        assert resident == whole if share > 1 else resident <= share * whole
        ask(index, 3)
    assert budget.granted_bytes == 0


def test_what_was_left_out_is_counted_on(tmp_path: Path) -> None:
    """By what the manifest covers: what comes after it is read, and counted, again."""
    schema = IndexSchema((FieldSchema("word", FieldType.KEYWORD), FieldSchema("n", FieldType.LONG)))
    key = (KeyColumn("id", ColumnType.INTEGER),)
    resources = resources_in(tmp_path)

    def row(number: int, **columns: Any) -> Row:
        return Row((("id", number),), [(name, value, 1) for name, value in sorted(columns.items())])

    later = [row(3, n=2.5), row(4, word="x", n=1)]
    try:
        index = index_in(resources, schema, key)
        index.open()
        index.apply([row(1, word="x" * 4_097, n=1), row(2, word="é" * 2_049, n="2")])
        index.flush()
        index.apply(later)
        assert index.unindexed == index.stats().unindexed == {"word": 2, "n": 2}
        index.close()
        stored = stored_stats(IndexStorage(resources.store, PREFIX))
        assert stored is not None
        assert stored.unindexed == {"word": 2, "n": 1}

        again = index_in(resources, schema, key)
        again.open()
        assert again.unindexed == {"word": 2, "n": 1}
        again.apply(later)
        again.flush()
        assert again.unindexed == {"word": 2, "n": 2}
        again.close()

        IndexStorage(resources.store, PREFIX).begin_anew(Manifest("w", schema_identity(schema, key)))
        anew = index_in(resources, schema, key)
        anew.open()
        assert anew.unindexed == {}
        anew.close()
    finally:
        resources.close()
