"""Builds to be done: of a segment as a flush leaves it."""

from __future__ import annotations

import numpy as np
from support.indexes import PREFIX, index_in

from lutra.feed.progress import Progress
from lutra.index.builds.job import BuildInput, BuildJob
from lutra.index.lsm.resources import Resources
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema((FieldSchema("n", FieldType.LONG), FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(64))))
MIB = 1024 * 1024


def rows_of(numbers: range, version: int = 1) -> list[Row]:
    """Rows with vectors, always the same."""
    vectors = np.random.default_rng(1).standard_normal((len(numbers), 64)).astype("<f4")
    return [
        Row((("id", number),), [("n", number, version), ("v", vector.tobytes(), version)])
        for number, vector in zip(numbers, vectors, strict=True)
    ]


def flat_segment(resources: Resources, rows: int) -> str:
    """The name of a segment as a flush leaves it."""
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    index.apply(rows_of(range(rows)))
    index.reached(Progress(1, True))
    index.flush()
    (name,) = [segment.name for segment in index.stats().segments if segment.rows - segment.dead == rows]
    index.close()
    return PREFIX + name


def job_of(resources: Resources, rows: int, output: str = "built", memory_bytes: int = 420 * MIB) -> BuildJob:
    """Makes a segment with codes of such a one, where there are rows enough."""
    inputs = (BuildInput(flat_segment(resources, rows)),)
    return BuildJob(resources.address, inputs, output, SCHEMA, str(resources.scratch), memory_bytes)
