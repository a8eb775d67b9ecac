"""The words of a text are counted where a buffer says how much memory it takes: what it is flushed by."""

from __future__ import annotations

from lutra.index.lsm.buffer import Buffer
from lutra.model.indexes import FieldSchema, FieldType, FuzzyParameters, IndexSchema, TextOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

KEY = (KeyColumn("id", ColumnType.INTEGER),)
ROWS = 1_000
TEXT = "each run of characters is a word"


def test_a_buffer_counts_the_words() -> None:
    sizes = {}
    for most in (1, 7):
        options = TextOptions("fuzzy", FuzzyParameters(1, most))
        schema = IndexSchema((FieldSchema("t", FieldType.TEXT, text=options),))
        buffer = Buffer(schema, KEY)
        rows = [Row((("id", n),), [("t", f"{TEXT} {n}", 1)]) for n in range(ROWS)]
        buffer.stage([b"%d" % n for n in range(ROWS)], rows, 0)
        buffer.publish()
        sizes[most] = buffer.size_bytes
        buffer.kill([b"%d" % n for n in range(10, ROWS)])
        assert buffer.compacted(schema, KEY).size_bytes < sizes[most] / 5
    assert sizes[7] > 4 * sizes[1]
    assert sizes[7] > 7 * len(TEXT) * ROWS
