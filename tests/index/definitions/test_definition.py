"""A definition comes back from the store as it was put there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.index.definitions.definition import IndexDefinition, from_json, to_json
from lutra.model.errors import Corruption
from lutra.model.indexes import (
    FieldSchema,
    FieldType,
    FuzzyParameters,
    IndexSchema,
    JsonType,
    Metric,
    SingleWordParameters,
    SplitParameters,
    TextOptions,
    TextSimilarity,
    VectorOptions,
)
from lutra.model.queries import FieldSort, PrimaryKeySort, SortMode

_flags = st.none() | st.booleans()
_counts = st.none() | st.integers(1, 9)
_parameters = (
    st.none()
    | st.builds(SingleWordParameters, _flags, _flags)
    | st.builds(SplitParameters, st.none() | st.text(max_size=3), _flags)
    | st.builds(FuzzyParameters, _counts, _counts, _flags)
)
_texts = st.builds(
    TextOptions, st.none() | st.sampled_from(["split", "max_word"]), _parameters, st.none() | st.just(1), _flags
).map(lambda text: replace(text, similarity=None if text.similarity is None else TextSimilarity.BM25))


def defined(*fields: FieldSchema) -> IndexDefinition:
    schema = IndexSchema(fields, (FieldSort("l", mode=SortMode.MAX), PrimaryKeySort(True)), ("pk",), 86_400, 5)
    return IndexDefinition("instance", "table", 7, "index", schema, 5)


@given(st.none() | _texts, st.booleans(), _flags, _flags, _flags)
def test_a_definition_comes_back(
    text: TextOptions | None, is_array: bool, index: bool | None, sortable: bool | None, store: bool | None
) -> None:
    definition = defined(
        FieldSchema("l", FieldType.LONG, index, sortable, store),
        FieldSchema("i", FieldType.IP, is_virtual=True, sources=("t",)),
        FieldSchema("f", FieldType.FLATTENED, is_virtual=False),
        FieldSchema("d", FieldType.DATE, date_formats=("yyyy",)),
        FieldSchema("t", FieldType.TEXT, is_array=is_array, text=text),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(3, Metric.COSINE)),
        FieldSchema("n", FieldType.NESTED, fields=(FieldSchema("t", FieldType.TEXT, text=text),)),
        FieldSchema(
            "j",
            FieldType.JSON,
            json_type=JsonType.OBJECT,
            fields=(FieldSchema("in", FieldType.NESTED, fields=(FieldSchema("k", FieldType.KEYWORD),)),),
        ),
    )
    assert from_json(to_json(definition)) == definition


def test_one_of_before_there_were_texts() -> None:
    definition = defined(FieldSchema("l", FieldType.LONG))
    stored = json.loads(to_json(definition))
    assert set(stored["fields"][0]) == {
        "name",
        "type",
        "index",
        "sort_and_aggregate",
        "store",
        "is_array",
        "vector",
        "date_formats",
    }
    assert from_json(json.dumps(stored).encode()) == definition
    del stored["routing_partition_size"]
    older = from_json(json.dumps(stored).encode())
    assert older.schema == replace(definition.schema, routing_partition_size=None)


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"format": 1}'])
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Corruption, match="definition"):
        from_json(data)
