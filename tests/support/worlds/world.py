"""An index, and what should be in it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import strategies as st
from support.indexes import memory_index
from support.reference.documents import documents_of
from support.reference.space import Space
from support.worlds.rows import FACTORS, RowMaker
from support.worlds.schemas import KEY_VALUES, KEYS, SCALARS, schemas

from lutra.index.lsm.index import SearchIndex
from lutra.model.indexes import FieldType, IndexSchema
from lutra.model.rows import PrimaryKey, Row

ALL_TYPES = (
    *SCALARS,
    FieldType.TEXT,
    FieldType.VECTOR,
    FieldType.GEO_POINT,
    FieldType.IP,
    FieldType.FUZZY_KEYWORD,
    FieldType.NESTED,
    FieldType.NESTED,
    FieldType.JSON,
    FieldType.FLATTENED,
)


@dataclass
class World:
    """``index`` has in its buffer what ``written`` says, and more that was overwritten or deleted since."""

    index: SearchIndex
    written: dict[PrimaryKey, Row]

    @property
    def schema(self) -> IndexSchema:
        return self.index.schema

    @property
    def space(self) -> Space:
        """The rows as the reference sees them."""
        rows = documents_of(self.schema, self.written)
        return Space(self.schema, rows, rows)


@st.composite
def worlds(draw: st.DrawFn, types: tuple[FieldType, ...] = ALL_TYPES) -> World:
    """Of fields of ``types``; most are full of rows."""
    schema = draw(schemas(types))
    columns = draw(st.sampled_from(KEYS))
    rng = random.Random(draw(st.integers(0, 2**32)))
    index = memory_index(schema, columns)
    written: dict[PrimaryKey, Row] = {}
    maker = RowMaker(rng, schema, draw(st.sampled_from([0.9, 0.5, 1.0])), draw(st.sampled_from(FACTORS)))
    for _ in range(draw(st.sampled_from([40, 60, 20, 30, 3, 0]))):
        key = tuple((column.name, rng.choice(KEY_VALUES[column.type])) for column in columns)
        written.pop(key, None)
        if rng.random() < 0.2:
            index.apply([], [key])
            continue
        written[key] = maker.row(key)
        index.apply([written[key]])
    return World(index, written)
