"""Shows of each row that was found the words that were looked for."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lutra.fields.objects import values_below
from lutra.model.deadline import current_deadline
from lutra.model.indexes import IndexSchema, TextOptions
from lutra.model.queries import Fragments, Highlight, Query
from lutra.model.rows import Row
from lutra.model.values import Value
from lutra.text.analyzers import analyzer_of
from lutra.text.highlight import highlighted
from lutra.text.values import texts_of
from lutra.text.wanted import wanted_of


class Highlighter:
    """Of one search that was checked. Texts are taken from the table's rows: the index keeps none."""

    def __init__(self, schema: IndexSchema, query: Query, highlight: Highlight) -> None:
        self._encoder = highlight.encoder
        self._fields = []
        for style in highlight.fields:
            field = schema.field(style.field)
            assert field is not None
            analyzer = analyzer_of(field.text or TextOptions())
            wanted = wanted_of(query, field.name, analyzer)
            if wanted:
                self._fields.append((style, field, schema.source(field.name), analyzer, wanted))

    def fragments(self, row: Row) -> Fragments:
        """Of a whole row, by field; a field without any is absent. Raises RequestTimeout."""
        found: Fragments = {}
        for style, field, source, analyzer, wanted in self._fields:
            current_deadline().check()
            value = _value(row, *source)
            texts = None if value is None else texts_of(field, value)
            shown = highlighted(texts, analyzer, wanted, style, self._encoder) if texts else []
            if shown:
                found[field.name] = shown
        return found


def _value(row: Row, column: str, keys: Sequence[str]) -> Value | None:
    """What the field that is fed from ``column`` is fed; ``keys``: where in the objects that this holds."""
    value = _newest(row, column)
    return json.dumps(values_below(value, keys)) if keys and value is not None else value


def _newest(row: Row, name: str) -> Value | None:
    """The value of a column: its newest version comes first."""
    values = (cell[1] for cell in row.cells if cell[0] == name)
    keys = (value for own, value in row.key if own == name)
    return next(values, next(keys, None))
