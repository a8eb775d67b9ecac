"""The rows of an index in a buffer and in segments, however they are shared out to them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from support.indexes import memory_index
from support.stored_segments import Shelf

from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.view import IndexView
from lutra.model.rows import Row
from lutra.segments.part import Part
from lutra.vectors.build_plan import BuildPlan


def buffer_of(index: SearchIndex, rows: list[Row]) -> Part:
    buffer = memory_index(index.schema, index.key_columns)
    buffer.apply(rows)
    return buffer.view().parts[0]


def segment_of(
    index: SearchIndex,
    rows: list[Row],
    dead: list[Row],
    rng: random.Random,
    shelf: Shelf,
    plans: dict[str, BuildPlan] | None = None,
) -> Part:
    """A segment of ``rows`` and ``dead``, made of two buffers, opened with ``dead`` deleted."""
    together = rng.sample(rows + dead, len(rows) + len(dead))
    half = rng.randint(0, len(together))
    name, _ = shelf.build([buffer_of(index, some) for some in (together[:half], together[half:])], index.schema, plans)
    whole = shelf.open(name, index.schema)
    dead_keys = {row.key for row in dead}
    keys = map(index.view().decode_key, whole.keys.taken(np.arange(whole.size)))
    docs = [doc for doc, key in enumerate(keys) if key in dead_keys]
    whole.close()
    return shelf.open(name, index.schema, dead=docs)


def shared_out(
    index: SearchIndex, rows: list[Row], rng: random.Random, shelf: Shelf, plans: dict[str, BuildPlan] | None = None
) -> IndexView:
    """``rows`` in a buffer and up to three segments, which have had other rows too."""
    count = rng.randint(1, 3)
    homes = [(row, rng.randint(0, count)) for row in rows]
    parts = [buffer_of(index, [row for row, home in homes if home == 0])]
    for number in range(1, count + 1):
        own = [row for row, home in homes if home == number]
        dead = [row for row, home in homes if home != number and rng.random() < 0.2]
        parts.append(segment_of(index, own, dead, rng, shelf, plans))
    return replace(index.view(), parts=tuple(rng.sample(parts, len(parts))))
