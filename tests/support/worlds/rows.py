"""Random rows of a schema: values that are missing, of several elements, and of other types."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from support.worlds.contents import DATES, DIMENSION, ELEMENTS, JSON_MISFITS, MISFITS, WORDS

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import PrimaryKey, Row

FACTORS = [(1.0,), (1.0,), (1.0, 1e20), (1e-40, 1e-23, 1.0, 1e20, 1.5e38)]
"""Of vectors: what those of one world are multiplied by. The squares of most leave float32."""


class RowMaker:
    """Makes rows that fill their fields by as much as ``filling``; one value in twenty is of another type."""

    def __init__(self, rng: random.Random, schema: IndexSchema, filling: float, factors: tuple[float, ...]) -> None:
        self._rng = rng
        self._schema = schema
        self._filling = filling
        self._factors = factors

    def row(self, key: PrimaryKey) -> Row:
        cells = []
        for field in self._schema.fields:
            if self._rng.random() < self._filling:
                misfits = self._rng.random() < 0.05
                cells.append((field.name, self._rng.choice(MISFITS) if misfits else self._value(field), 1))
        return Row(key, sorted(cells, key=lambda cell: cell[0]))

    def _value(self, field: FieldSchema) -> Any:
        """As a column of the table has it."""
        if field.fields or field.is_array or field.type in (FieldType.VECTOR, FieldType.FLATTENED):
            return json.dumps(self._part(field))
        return self._element(field)

    def _part(self, field: FieldSchema) -> Any:
        """As JSON has it."""
        if field.fields:
            objects = [self._object(field) for _ in range(self._rng.choice([0, 1, 1, 2, 3]))]
            return objects[0] if len(objects) == 1 and self._rng.random() < 0.3 else objects
        if field.type is FieldType.VECTOR:
            factor = self._rng.choice(self._factors)
            return [factor * self._rng.randint(-2, 2) for _ in range(DIMENSION)]
        if not field.is_array:
            return self._finite(field)
        elements = [self._finite(field) for _ in range(self._rng.choice([0, 1, 1, 2, 3]))]
        return elements + [None] * (self._rng.random() < 0.1)

    def _object(self, field: FieldSchema) -> dict[str, Any]:
        made = {}
        for sub in field.fields:
            if self._rng.random() < self._filling:
                misfits = self._rng.random() < 0.05
                made[sub.name] = self._rng.choice(JSON_MISFITS) if misfits else self._part(sub)
        return made

    def _finite(self, field: FieldSchema) -> Any:
        """JSON has no infinity, and no NaN."""
        element = self._element(field)
        return element if field.type is not FieldType.DOUBLE or math.isfinite(element) else 2.0

    def _element(self, field: FieldSchema) -> Any:
        if field.type is FieldType.TEXT:
            return self._rng.choice(["", " "]).join(self._rng.choices(WORDS, k=self._rng.choice([0, 1, 2, 5])))
        return self._rng.choice(DATES[field.date_formats] if field.type is FieldType.DATE else ELEMENTS[field.type])
