"""Rows with nested and JSON columns, what is to be found of them, and what a part of an index has: plain structures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from lutra.fields.capabilities import Fields
from lutra.index.lsm.buffer import Buffer
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.tables.keys import KeyCodec

KEY: Final = (KeyColumn("id", ColumnType.INTEGER),)
CODEC: Final = KeyCodec(b"", KEY)
DIMENSION: Final = 2


def _object(name: str, json_type: JsonType, *fields: FieldSchema) -> FieldSchema:
    return FieldSchema(name, FieldType.JSON, json_type=json_type, fields=fields)


_K: Final = FieldSchema("k", FieldType.KEYWORD)
_X: Final = FieldSchema("x", FieldType.DOUBLE)
_TAGS: Final = FieldSchema("tags", FieldType.KEYWORD, is_array=True)
_V: Final = FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION))
_DEEPEST: Final = FieldSchema("deepest", FieldType.NESTED, fields=(FieldSchema("ok", FieldType.BOOLEAN),))
_ITEMS: Final = (
    FieldSchema("price", FieldType.LONG),
    FieldSchema("words", FieldType.TEXT),
    _TAGS,
    _V,
    FieldSchema("parts", FieldType.NESTED, fields=(_X, _K, _DEEPEST)),
    _object("o", JsonType.OBJECT, _K),
)
_J: Final = (
    FieldSchema("n", FieldType.LONG),
    _TAGS,
    _V,
    _object("in", JsonType.OBJECT, _X),
    _object("docs", JsonType.NESTED, _K),
)
SCHEMA: Final = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("items", FieldType.NESTED, fields=_ITEMS),
        _object("j", JsonType.OBJECT, *_J),
    )
)

Document = dict[str, Any]

_PLAIN: Final = st.sampled_from([None, True, False, 0, 1, -3, 2**63, 1.5, -0.0, "", "a", "b", "word and word"])
_VECTORS: Final = st.lists(st.sampled_from([0, 1.5, -2]), min_size=DIMENSION, max_size=DIMENSION)
_VALUES: Final = _PLAIN | st.lists(_PLAIN, max_size=3) | _VECTORS


def _objects(depth: int) -> st.SearchStrategy[Any]:
    """Objects with any of the fields' names, some with values that fit and some that do not."""
    names = ("price", "tags", "words", "v", "x", "k", "ok", "n", "other")
    fields: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(names, _VALUES)
    if depth:
        below = _arrays(depth - 1)
        fields |= dict.fromkeys(("parts", "deepest", "o", "in", "docs"), below)
    return st.fixed_dictionaries({}, optional=fields)


def _arrays(depth: int) -> st.SearchStrategy[Any]:
    one = _objects(depth)
    return st.lists(one | st.none(), max_size=3) | one | _PLAIN


COLUMNS: Final = st.fixed_dictionaries(
    {}, optional={"n": st.integers(0, 5), "items": _arrays(2).map(json.dumps), "j": _arrays(2).map(json.dumps)}
)
"""Cells of a row, by column."""


def buffer_of(rows: Sequence[tuple[int, Document]], dead: Sequence[int] = ()) -> Buffer:
    """A buffer of ``rows``, by key, of which ``dead`` are killed."""
    buffer = Buffer(SCHEMA, KEY)
    put(buffer, rows)
    buffer.kill([CODEC.encode((("id", number),)) for number in dead])
    return buffer


def put(buffer: Buffer, rows: Sequence[tuple[int, Document]]) -> None:
    """Adds rows, in place of those of the same keys."""
    stored = [row_of(number, cells) for number, cells in rows]
    buffer.stage([CODEC.encode(row.key) for row in stored], stored, 1)
    buffer.publish()


def row_of(number: int, cells: Document) -> Row:
    return Row((("id", number),), [(name, cells[name], 1) for name in sorted(cells)], 1)


def expected(cells: Document) -> Document:
    """What the index is to have of a row, by full path; without what does not fit its field."""
    return _document("", SCHEMA.fields, {name: _cell(name, value) for name, value in cells.items()})


def _cell(name: str, value: Any) -> Any:
    field = SCHEMA.field(name)
    assert field is not None
    return json.loads(value) if field.fields else value


def _document(prefix: str, fields: Sequence[FieldSchema], one: Document) -> Document:
    found: Document = {}
    for field in fields:
        path, value = prefix + field.name, one.get(field.name)
        if value is None:
            continue
        if field.fields:
            found |= _holding(path, field, _objects_of(value))
        else:
            found |= _given(path, _fitting(field, value, field.is_array))
    return found


def _holding(path: str, field: FieldSchema, objects: list[Document] | None) -> Document:
    if objects is None:
        return {}
    if field.is_nested:
        return _given(path, [_document(f"{path}.", field.fields, one) for one in objects])
    found: Document = {}
    for sub in field.fields:
        values = [one[sub.name] for one in objects if one.get(sub.name) is not None]
        own = f"{path}.{sub.name}"
        if not values:
            continue
        if sub.fields:
            flat = [element for value in values for element in (value if isinstance(value, list) else [value])]
            found |= _holding(own, sub, _objects_of(flat))
        elif sub.vector is not None:
            found |= _given(own, _fitting(sub, values[0], False) if len(values) == 1 else None)
        else:
            flat = [element for value in values for element in (value if isinstance(value, list) else [value])]
            found |= _given(own, _fitting(sub, flat, True))
    return found


def _given(path: str, value: Any) -> Document:
    return {} if value is None or value == [] else {path: value}


def _objects_of(value: Any) -> list[Document] | None:
    objects = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
    return objects if all(isinstance(one, dict) for one in objects) and len(objects) <= 256 else None


def _fitting(field: FieldSchema, value: Any, is_array: bool) -> Any:
    if is_array:
        if not isinstance(value, list):
            return None
        elements = [_fitting(field, element, False) for element in value if element is not None]
        return None if None in elements else elements
    match field.type:
        case FieldType.LONG:
            return value if type(value) is int and abs(value) < 2**63 else None
        case FieldType.DOUBLE:
            is_number = type(value) in (int, float) and math.isfinite(value) and abs(value) < 2**63
            return float(value) if is_number else None
        case FieldType.BOOLEAN:
            return value if type(value) is bool else None
        case FieldType.KEYWORD:
            return value if type(value) is str else None
        case FieldType.TEXT:
            return "some" if type(value) is str else None
        case FieldType.VECTOR:
            is_vector = isinstance(value, list) and len(value) == DIMENSION
            is_vector = is_vector and all(type(number) in (int, float) and abs(number) < 2**64 for number in value)
            return [float(number) for number in value] if is_vector else None
    raise AssertionError(field)


def found(fields: Fields, doc: int, space: str = "") -> Document:
    """What the ``fields`` of a part have of a document, by full path; ``space``: the nested field it is of."""
    document: Document = {}
    for path in SCHEMA.spaces[space]:
        part: Any = fields[path]
        field = part.field
        if field.is_nested:
            children = part.children
            begin, end = np.searchsorted(children.parents(), [doc, doc + 1]).tolist()
            document |= _given(path, [found(children.fields, child, path) for child in range(begin, end)])
        elif field.vector is not None:
            rows = np.flatnonzero(part.docs() == doc).tolist()
            vectors = [vector.tolist() for block in part.row_blocks() for vector in block]
            document |= _given(path, vectors[rows[0]] if rows else None)
        elif field.type is FieldType.TEXT:
            document |= _given(path, "some" if part.exists().mask().has(np.array([doc]))[0] else None)
        elif not field.fields:
            document |= _given(path, part.value(doc))
    return document
