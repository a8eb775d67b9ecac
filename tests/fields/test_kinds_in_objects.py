"""Every kind of field goes below a nested field, and below a JSON field, as it goes with a column of a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.stored_segments import Shelf

from lutra.fields.capabilities import FieldPart
from lutra.fields.hashing import Hasher
from lutra.fields.kinds import KINDS, kind_of
from lutra.index.lsm.buffer import Buffer
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.segments.part import Part
from lutra.segments.space import SpacePart
from lutra.tables.keys import KeyCodec

KEY = (KeyColumn("id", ColumnType.INTEGER),)
CODEC = KeyCodec(b"", KEY)
SAMPLES: dict[FieldType, list[Any]] = {
    FieldType.LONG: [1, -5, 2**62],
    FieldType.DOUBLE: [1.5, 0, -2.25],
    FieldType.BOOLEAN: [True, False, True],
    FieldType.KEYWORD: ["a", "é", ""],
    FieldType.TEXT: ["some words", "other words", "more"],
    FieldType.DATE: ["2024-02-29", "1999-12-31", "2024-02-29"],
    FieldType.GEO_POINT: ["1,2", "-90,180", "48.85,2.35"],
    FieldType.IP: ["10.0.0.1", "::1", "10.0.0.2"],
    FieldType.FUZZY_KEYWORD: ["/srv/one", "two", "three"],
    FieldType.FLATTENED: [{"a": 1}, {"a": {"b": "c"}}, {"d": [1, 2]}],
    FieldType.VECTOR: [[1, 2], [0.5, 0], [3, 4]],
}
"""By type: values as JSON has them."""
NO_ARRAYS = {FieldType.VECTOR}
OPTIONS: dict[FieldType, dict[str, Any]] = {
    FieldType.DATE: {"date_formats": ("yyyy-MM-dd",)},
    FieldType.VECTOR: {"vector": VectorOptions(2)},
}


def test_there_are_samples_of_all_kinds() -> None:
    assert set(SAMPLES) == {type_ for type_, kind in KINDS.items() if not kind.holds_objects}


def schema_of(type_: FieldType, is_array: bool) -> IndexSchema:
    """A column of that type, and fields of it below others."""
    field = FieldSchema("f", type_, is_array=is_array, **OPTIONS.get(type_, {}))
    return IndexSchema(
        (
            field,
            FieldSchema("items", FieldType.NESTED, fields=(field,)),
            FieldSchema("j", FieldType.JSON, json_type=JsonType.OBJECT, fields=(field,)),
        )
    )


def cells_of(value: Any) -> list[Any]:
    """Of a row: the value as each of the fields gets it."""
    is_text = isinstance(value, list | dict)
    column = json.dumps(value) if is_text else value
    return [("f", column, 1), ("items", json.dumps([{"f": value}]), 1), ("j", json.dumps({"f": value}), 1)]


def buffer_of(schema: IndexSchema, values: list[Any]) -> Buffer:
    buffer = Buffer(schema, KEY)
    rows = [Row((("id", n),), cells_of(value), 1) for n, value in enumerate(values)]
    buffer.stage([CODEC.encode(row.key) for row in rows], rows, 1)
    buffer.publish()
    return buffer


def check(part: Part) -> None:
    """The three fields have the same values of each row."""
    own = part.fields["f"]
    space = SpacePart(part, "items")
    assert space.children.parents().tolist() == list(range(part.size))
    hasher = Hasher()
    digests = []
    for field in (own, space.fields["items.f"], part.fields["j.f"]):
        assert field.exists().mask().count == part.size
        digests.append(_digests(hasher, field, part.size))
    assert np.all(digests[0] != 0)
    assert np.array_equal(digests[0], digests[1])
    assert np.array_equal(digests[0], digests[2])


def _digests(hasher: Hasher, field: FieldPart, size: int) -> Any:
    """Of values alone: as if all fields had one name."""

    class Nameless(Hasher):
        def mixed(self, hashes: Any, field: str) -> Any:
            return hasher.mixed(hashes, "")

    nameless = Nameless()
    nameless.salt, nameless._weights = hasher.salt, hasher._weights
    digests = np.zeros(size, np.uint64)
    kind_of(field.field).digest(nameless, digests, field)
    return digests


@pytest.mark.parametrize(
    ("type_", "is_array"),
    [(type_, is_array) for type_ in SAMPLES for is_array in (False, True) if not (is_array and type_ in NO_ARRAYS)],
)
def test_values_are_those_of_a_column(tmp_path: Path, type_: FieldType, is_array: bool) -> None:
    samples = SAMPLES[type_]
    values = [samples[: n + 1] for n in range(len(samples))] if is_array else samples
    schema = schema_of(type_, is_array)
    buffer = buffer_of(schema, values)
    assert not buffer.unindexed.total()
    check(buffer.view())
    shelf = Shelf(tmp_path)
    name, _ = shelf.build([buffer.view()], schema)
    with shelf.open(name, schema) as segment:
        check(segment)
    shelf.close()


@pytest.mark.parametrize("type_", SAMPLES, ids=lambda type_: type_.name)
def test_what_is_no_value_is_left_out(type_: FieldType) -> None:
    """As arrays where there is none declared, objects, and numbers that no field holds."""
    schema = schema_of(type_, False)
    wrong = [1e999, [[1]], [{"a": [[]]}], {"f": {}}, [SAMPLES[type_][0]] * 300]
    wrong = [value for value in wrong if not (type_ is FieldType.FLATTENED and isinstance(value, dict))]
    buffer = Buffer(schema, KEY)
    texts = [json.dumps([{"f": value}]).replace("Infinity", "1e999") for value in wrong]
    rows = [Row((("id", n),), [("items", text, 1)], 1) for n, text in enumerate(texts)]
    buffer.stage([CODEC.encode(row.key) for row in rows], rows, 1)
    buffer.publish()
    space = SpacePart(buffer.view(), "items")
    assert space.size == len(wrong)
    assert not space.fields["items.f"].exists().mask().count
    assert buffer.unindexed["items"] == len(wrong)
