"""Rows with points, as tables have them, and indexes over them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from support.geo_model import Place, text

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema(
    (
        FieldSchema("at", FieldType.GEO_POINT),
        FieldSchema("stops", FieldType.GEO_POINT, is_array=True),
        FieldSchema("n", FieldType.LONG),
    )
)

Points = Mapping[str, Sequence[Place]]
"""Of one row: the places of each of its fields."""


def row_of(number: int, points: Points) -> Row:
    cells: list[tuple[str, str | int, int]] = [("n", number, 1)]
    if "at" in points:
        cells.append(("at", text(points["at"][0]), 1))
    if "stops" in points:
        cells.append(("stops", json.dumps([text(place) for place in points["stops"]]), 1))
    return Row((("id", number),), sorted(cells))


def rows_of(points: Mapping[int, Points]) -> list[Row]:
    return [row_of(number, own) for number, own in points.items()]
