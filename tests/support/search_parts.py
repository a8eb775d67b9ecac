"""An index's rows shared out to several parts."""

from __future__ import annotations

import random
from dataclasses import replace

from support.indexes import memory_index

from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.view import IndexView
from lutra.model.rows import Row

PARTS_MAX = 6


def shared_out(index: SearchIndex, rows: list[Row], rng: random.Random) -> IndexView:
    """``rows`` in 1 to 6 parts in random order, with dead documents between them."""
    count = rng.randint(1, PARTS_MAX)
    homes = [(row, rng.randrange(count)) for row in rng.sample(rows, len(rows))]
    parts = []
    for number in range(count):
        part = memory_index(index.schema, index.key_columns)
        strangers = {row.key for row, home in homes if home != number and rng.random() < 0.2}
        part.apply([row for row, home in homes if home == number or row.key in strangers])
        part.apply([], list(strangers))
        parts.append(part)
    return replace(index.view(), parts=tuple(part.view().parts[0] for part in parts))
