"""Buffers of all indexes together stay within what they may take."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
from support.indexes import resources_in

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.buffers import WAITING_MAX, Buffers
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.storage import IndexStorage
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(64)),))
MIB = 1024 * 1024


def rows_of(first: int, count: int) -> list[Row]:
    vectors = np.random.default_rng(first).standard_normal((count, 64)).astype("<f4")
    return [Row((("id", first + n),), [("v", vector.tobytes(), 1)]) for n, vector in enumerate(vectors)]


def test_many_indexes_flush_sooner_and_press_back(tmp_path: Path) -> None:
    """None has a full buffer, and all together have too much."""
    policy = Policy(flush_age_s=3_600, flush_bytes=2 * MIB)
    resources = replace(resources_in(tmp_path, policy=policy), buffers=Buffers(3 * MIB // 2))
    indexes = [
        SearchIndex(SCHEMA, KEY, IndexStorage(resources.store, f"indexes/{n}-x-1/"), resources) for n in range(6)
    ]
    for index in indexes:
        index.open()
        index.apply(rows_of(0, 1_000))
    assert resources.buffers.is_full
    pressed = [index for index in indexes if index.waiting_buffers >= WAITING_MAX]
    assert pressed, "who came when all was full is written out, and takes in nothing more meanwhile"
    assert len(pressed) < len(indexes)
    for index in pressed:
        index.reached(Progress(1, True))
        index.maintain()
        assert index.waiting_buffers == 0
        assert index.rows == 1_000
    assert resources.buffers.size_bytes < 3 * MIB // 2
    for index in indexes:
        index.close()
    resources.close()


def test_what_is_gone_does_not_count(tmp_path: Path) -> None:
    resources = replace(resources_in(tmp_path), buffers=Buffers(MIB))
    index = SearchIndex(SCHEMA, KEY, IndexStorage(resources.store, "indexes/1-x-1/"), resources)
    index.apply(rows_of(0, 100))
    assert resources.buffers.size_bytes == index.buffered_bytes > 100 * 256
    del index
    gc.collect()
    assert resources.buffers.size_bytes == 0
    resources.close()
