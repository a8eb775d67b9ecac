"""Random schemas of tables and indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from support.worlds.contents import DATES, DIMENSION

from lutra.model.indexes import (
    FieldSchema,
    FieldType,
    FuzzyParameters,
    IndexSchema,
    JsonType,
    Metric,
    SplitParameters,
    TextOptions,
    VectorOptions,
)
from lutra.model.queries import FieldSort, PrimaryKeySort, Sorter
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

KEYS = [
    (KeyColumn("pk", ColumnType.INTEGER),),
    (KeyColumn("pk", ColumnType.STRING),),
    (KeyColumn("pk", ColumnType.BINARY), KeyColumn("id", ColumnType.INTEGER)),
    (KeyColumn("pk", ColumnType.STRING), KeyColumn("id", ColumnType.STRING)),
]
KEY_VALUES: dict[ColumnType, list[Any]] = {
    ColumnType.INTEGER: [*range(-9, 9), -(2**63), 2**63 - 1, 256, 512, 2**40],
    ColumnType.STRING: ["", "a", "a\0", "a\0\0", "ab", "é", *("z" * n for n in range(60, 75)), *"bcdef"],
    ColumnType.BINARY: [b"", b"\0", b"\0\0", b"\0\xff", b"\xff", b"a", b"b"],
}
ANALYZERS = [
    None,
    TextOptions("split", SplitParameters(" ")),
    TextOptions("fuzzy", FuzzyParameters(1, 3)),
    TextOptions("min_word"),
    TextOptions("max_word"),
]
NESTED_FIELDS_MAX = 4
LEVELS_MAX = 3
SCALARS = [FieldType.LONG, FieldType.DOUBLE, FieldType.BOOLEAN, FieldType.KEYWORD, FieldType.DATE]
NESTED_TYPES = [*SCALARS, FieldType.TEXT, FieldType.VECTOR, FieldType.GEO_POINT, FieldType.IP]


def leaves_of(schema: IndexSchema, space: str | None = "") -> list[FieldSchema]:
    """The fields of a document space by full path, but for those that hold objects; None: of all spaces."""
    spaces = schema.spaces.values() if space is None else [schema.spaces[space]]
    return [field for own in spaces for field in own.values() if not field.fields]


def nested_of(schema: IndexSchema, space: str) -> list[str]:
    """Paths of the nested fields of a space."""
    return [path for path, field in schema.spaces[space].items() if field.is_nested]


@st.composite
def fields(draw: st.DrawFn, type: FieldType, name: str) -> FieldSchema:
    """One of that kind."""
    match type:
        case FieldType.NESTED:
            return draw(nested_fields(name, 1))
        case FieldType.JSON:
            json_type = draw(st.sampled_from(JsonType))
            return replace(draw(nested_fields(name, 1)), type=type, json_type=json_type)
        case FieldType.FLATTENED:
            return FieldSchema(name, type)
        case FieldType.VECTOR:
            return FieldSchema(name, type, vector=VectorOptions(DIMENSION, draw(st.sampled_from(Metric))))
        case FieldType.TEXT:
            return FieldSchema(name, type, is_array=draw(st.booleans()), text=draw(st.sampled_from(ANALYZERS)))
        case FieldType.DATE:
            formats = draw(st.sampled_from(sorted(DATES)))
            return FieldSchema(name, type, is_array=draw(st.booleans()), date_formats=formats)
    return FieldSchema(name, type, is_array=draw(st.booleans()))


@st.composite
def nested_fields(draw: st.DrawFn, name: str, level: int) -> FieldSchema:
    """Of objects within objects, too."""
    chosen = draw(st.lists(st.sampled_from(NESTED_TYPES), min_size=1, max_size=NESTED_FIELDS_MAX))
    made = [draw(fields(type, f"{type.name.lower()}{chosen[:at].count(type)}")) for at, type in enumerate(chosen)]
    if level < LEVELS_MAX and draw(st.integers(0, 3)) == 0:
        made.append(draw(nested_fields("within", level + 1)))
    return FieldSchema(name, FieldType.NESTED, fields=tuple(made))


def index_sorts(schema: IndexSchema) -> st.SearchStrategy[tuple[Sorter, ...]]:
    """How rows of the index come without a sort."""
    one = st.builds(PrimaryKeySort, st.booleans())
    names = [field.name for field in schema.fields if field.type in SCALARS and not field.is_array]
    if names:
        one |= st.builds(FieldSort, st.sampled_from(names), st.booleans())
    return st.just(()) | st.lists(one, max_size=2).map(tuple)


@st.composite
def schemas(draw: st.DrawFn, types: tuple[FieldType, ...]) -> IndexSchema:
    """One to all of ``types``, some of them twice."""
    chosen = draw(st.lists(st.sampled_from(types), min_size=1, max_size=len(types) + 2))
    names = [f"{type.name.lower()}{chosen[:at].count(type)}" for at, type in enumerate(chosen)]
    made = [draw(fields(type, name)) for type, name in zip(chosen, names, strict=True)]
    schema = IndexSchema(tuple(made))
    return schema if schema.has_nested else replace(schema, sort=draw(index_sorts(schema)))
