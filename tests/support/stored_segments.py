"""Segments in a local store for tests, and what is in them, told by a plain model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap
from support.parts import TestRow

from lutra.kernels.blocks import BlockCache
from lutra.kernels.distance import topk
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.objects.local import LocalStore
from lutra.objects.store import ObjectStore
from lutra.scalars.values import ScalarReader
from lutra.segments.build import build_segment
from lutra.segments.footer import SegmentMeta
from lutra.segments.index_segment import IndexSegment
from lutra.segments.part import Part
from lutra.vectors.build_plan import BuildPlan

CACHE_BYTES = 4 * 1024 * 1024


class Shelf:
    """A store in a folder, a cache, and the segments put there and opened."""

    def __init__(self, folder: Path, cache_bytes: int = CACHE_BYTES) -> None:
        self.folder = folder
        self.store = LocalStore(folder / "objects")
        self.cache = BlockCache(cache_bytes)
        self._number = 0

    def build(
        self, inputs: Sequence[Part], schema: IndexSchema, plans: Mapping[str, BuildPlan] | None = None
    ) -> tuple[str, SegmentMeta]:
        """Name and meta of a new segment."""
        self._number += 1
        name = f"segments/{self._number:032x}"
        target = self.folder / "target"
        meta = build_segment(target, inputs, schema, plans=plans)
        self.store.put_file(name, target)
        return name, meta

    def open(
        self,
        name: str,
        schema: IndexSchema,
        *,
        store: ObjectStore | None = None,
        memory_budget_bytes: int | None = None,
        dead: Sequence[int] = (),
    ) -> IndexSegment:
        return IndexSegment.open(
            store or self.store,
            name,
            schema,
            cache=self.cache,
            memory_budget_bytes=memory_budget_bytes,
            deletions=BitMap(dead) if dead else None,
            owner="index",
        )

    def path(self, name: str) -> Path:
        path = self.store.local_path(name)
        assert path is not None
        return path

    def close(self) -> None:
        self.cache.close()


def elements_of(field: FieldSchema, row: TestRow) -> list[Any]:
    """What the field holds of a row: no element where it has none."""
    if field.name not in row.content:
        return []
    read = ScalarReader(field).read(row.content[field.name])
    assert read is not None
    return read


def vector_of(row: TestRow, field: str) -> npt.NDArray[np.float32] | None:
    data = row.content.get(field)
    return None if data is None else np.frombuffer(data, "<f4")


def nearest_keys(
    rows: Sequence[TestRow], field: FieldSchema, query: npt.NDArray[np.float32], k: int
) -> tuple[list[bytes], list[float]]:
    """The exact answer, by brute force: keys and distances, nearest first and equals by key."""
    assert field.vector is not None
    having = sorted((row for row in rows if field.name in row.content), key=lambda row: row.key)
    if not having:
        return [], []
    matrix = np.array([vector_of(row, field.name) for row in having], np.float32)
    ids, distances = topk(query[None, :], matrix, k, field.vector.metric)
    return [having[i].key for i in ids[0].tolist()], distances[0].tolist()


def check_against(segment: Part, schema: IndexSchema, rows: Sequence[TestRow], *, knows_oldest: bool = True) -> None:
    """``segment`` has the documents of ``rows`` in the order of their keys, with all that is theirs."""
    ordered = sorted(rows, key=lambda row: row.key)
    assert segment.size == len(ordered)
    assert segment.keys.taken(np.arange(segment.size)) == [row.key for row in ordered]
    assert segment.newest_ms().tolist() == [row.newest_ms for row in ordered]
    if knows_oldest:
        expected_ms = [row.newest_ms if row.oldest_ms is None else row.oldest_ms for row in ordered]
        assert segment.oldest_ms().tolist() == expected_ms
    for field in schema.fields:
        if field.vector is not None:
            vectors = segment.fields[field.name]
            has = [field.name in row.content for row in ordered]
            assert vectors.exists().mask().bools().tolist() == has
            assert vectors.count(None) == sum(has)
            rows_of = [row for block in vectors.row_blocks() for row in block]
            for doc, vector in zip(vectors.docs().tolist(), rows_of, strict=True):
                assert np.array_equal(vector, vector_of(ordered[doc], field.name))
        else:
            column = segment.fields[field.name]
            expected = [elements_of(field, row) for row in ordered]
            assert column.exists().mask().bools().tolist() == [bool(elements) for elements in expected]
            for value in {element for elements in expected for element in elements}:
                assert column.equals(value).mask().bools().tolist() == [value in elements for elements in expected]
