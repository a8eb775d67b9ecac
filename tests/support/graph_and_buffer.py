"""A view of an index that has a segment with a graph and rows in memory, for tests of what searches tell of both."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from support.indexes import memory_index
from support.stored_segments import Shelf

from lutra.index.lsm.view import IndexView
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, TextOptions, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 16
ROWS = 3_000
DEAD = 100
BUFFERED = 100
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("t", FieldType.TEXT, text=TextOptions()),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),
    )
)


def vectors() -> npt.NDArray[np.float32]:
    """float32 [ROWS + BUFFERED, DIMENSION], by id; the first `DEAD` rows are deleted."""
    return np.random.default_rng(1).standard_normal((ROWS + BUFFERED, DIMENSION)).astype("<f4")


@contextmanager
def graph_and_buffer(folder: Path) -> Iterator[IndexView]:
    """Its parts are the segment of the first `ROWS` rows, and a buffer of the rest."""
    shelf = Shelf(folder)
    rows = [
        Row(
            (("id", n),), [("n", n % 100, 1), ("t", f"even {n % 7}" if n % 2 == 0 else "odd", 1), ("v", v.tobytes(), 1)]
        )
        for n, v in enumerate(vectors())
    ]
    index, buffer = memory_index(SCHEMA, KEY), memory_index(SCHEMA, KEY)
    index.apply(random.Random(1).sample(rows[:ROWS], ROWS))
    buffer.apply(rows[ROWS:])
    plans = {"v": BuildPlan(SegmentKind.GRAPH, degree=32, code_bits=4)}
    name, _ = shelf.build([index.view().parts[0]], SCHEMA, plans)
    segment = shelf.open(name, SCHEMA, dead=range(DEAD))
    yield replace(index.view(), parts=(segment, buffer.view().parts[0]))
    segment.close()
    shelf.close()
