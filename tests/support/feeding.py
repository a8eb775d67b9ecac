"""What tests of the feeder share: a schema, and what an index and its table hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.view import IndexView, PartView
from lutra.kv.store import KeyValueStore
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.schema import TableDescription
from lutra.tables.tables import Tables

WAIT_S = 20.0
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
    )
)


def define(store: KeyValueStore, table: TableDescription, name: str = "x") -> IndexDefinition:
    return IndexCatalog(store).create("default", table, name, SCHEMA)


def content(feed: IndexFeed) -> dict[int, tuple[int | None, list[float] | None]]:
    """``n`` and ``v`` of each searchable row."""
    view = feed.view()
    (part,) = view.parts
    assert isinstance(part, PartView)
    numbers, vectors = part.fields["n"], part.fields["v"]
    n_of: dict[int, int] = {}
    docs = np.arange(len(numbers.values)) if numbers.docs is None else numbers.docs
    n_of.update(zip(docs.tolist(), numbers.values.tolist(), strict=True))
    v_of: dict[int, list[float]] = {}
    for rows, of in vectors.blocks:
        v_of.update(zip(of.tolist(), rows.tolist(), strict=True))
    keys = {doc: view.decode_key(part.keys.strings[doc]) for doc in part.live.ids().tolist()}
    return {int(key[0][1]): (n_of.get(doc), v_of.get(doc)) for doc, key in keys.items()}


def content_of(view: IndexView, field: str = "n") -> dict[int, Any]:
    """``field`` of each row, whatever parts there are."""
    return {
        int(view.decode_key(part.keys.taken(np.array([doc]))[0])[0][1]): part.fields[field].value(doc)
        for part in view.parts
        for doc in part.live.ids().tolist()
    }


def in_table(tables: Tables, store: KeyValueStore, table: TableDescription) -> dict[int, Any]:
    result = {}
    with store.snapshot() as snapshot:
        for row in tables.scan_rows(table.table_id, snapshot):
            cells = {name: value for name, value, _ in reversed(row.cells)}
            v = cells.get("v")
            vector = json.loads(v) if isinstance(v, str) else []
            result[int(row.key[0][1])] = (cells.get("n"), vector if len(vector) == 2 else None)
    return result
