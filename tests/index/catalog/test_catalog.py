"""Definitions of indexes: kept, found, refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.definitions import definition
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.storage import prefix_of
from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore
from lutra.model import limits
from lutra.model.errors import Corruption, MetaNotMatch, ObjectAlreadyExist, ParameterInvalid, QuotaExhausted
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, TextOptions, VectorOptions
from lutra.model.queries import FieldSort, PrimaryKeySort, ScoreSort, SortMode
from lutra.tables.space import TableSpace

SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG, index=False, sort_and_aggregate=True, store=False),
        FieldSchema("unsaid", FieldType.LONG),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("day", FieldType.DATE, date_formats=("yyyy-MM-dd", "epoch_millis")),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(3, Metric.DOT_PRODUCT)),
    ),
    sort=(FieldSort("n", True, SortMode.MAX, 5), PrimaryKeySort(True)),
    routing_fields=("id",),
    ttl_s=86_400,
)

NAMES = st.text(max_size=8)
FIELDS = st.builds(
    FieldSchema,
    NAMES,
    st.sampled_from(FieldType),
    st.booleans(),
    st.none() | st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | st.builds(VectorOptions, st.integers(), st.sampled_from(Metric)),
    st.none() | st.builds(TextOptions, st.none() | NAMES, highlighting=st.none() | st.booleans()),
    st.lists(NAMES, max_size=2).map(tuple),
)
MISSING = st.none() | st.integers() | st.floats(allow_nan=False) | st.booleans() | NAMES
SORTERS = (
    st.builds(ScoreSort, st.booleans())
    | st.builds(PrimaryKeySort, st.booleans())
    | st.builds(FieldSort, NAMES, st.booleans(), st.none() | st.sampled_from(SortMode), MISSING)
)
SCHEMAS = st.builds(
    IndexSchema,
    st.lists(FIELDS, max_size=3).map(tuple),
    st.lists(SORTERS, max_size=3).map(tuple),
    st.lists(NAMES, max_size=2).map(tuple),
    st.integers(),
)


DEFINITIONS = st.builds(
    IndexDefinition,
    NAMES,
    NAMES,
    st.integers(),
    NAMES,
    SCHEMAS,
    st.integers(),
    st.just(0) | st.integers(),
    NAMES,
    st.none() | st.text(min_size=1, max_size=8),
    st.just(0) | st.integers(0, 100),
)


@given(st.builds(lambda one, following: replace(one, next=following), DEFINITIONS, st.none() | DEFINITIONS))
def test_definitions_come_back_as_they_were(given_one: IndexDefinition) -> None:
    assert definition.from_json(definition.to_json(given_one)) == given_one


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"format": 2}', b'{"format": 1, "fields": 3}'])
def test_damaged_definitions(damage: bytes) -> None:
    with pytest.raises(Corruption):
        definition.from_json(damage)


def test_an_unknown_sorter_is_damage() -> None:
    good = IndexDefinition("i", "t", 1, "x", replace(SCHEMA, sort=(PrimaryKeySort(),)), 5)
    with pytest.raises(Corruption):
        definition.from_json(definition.to_json(good).replace(b'"by": "key"', b'"by": "luck"'))


def test_definitions_last(store: KeyValueStore, space: TableSpace, new_table: Any) -> None:
    catalog = IndexCatalog(store)
    table, other = new_table("t", allow_update=False), new_table("u", allow_update=False)
    made = catalog.create("default", table, "b", SCHEMA)
    catalog.create("default", table, "a", SCHEMA)
    catalog.create("default", other, "a", SCHEMA)
    assert (made.instance, made.table, made.table_id, made.name) == ("default", "t", table.table_id, "b")
    assert made.schema == SCHEMA
    assert made.created_us > 0
    for seen in (catalog, IndexCatalog(store)):
        assert [d.name for d in seen.of_table("default", "t")] == ["a", "b"]
        assert seen.get("default", "t", "b") == made
        assert len(seen.all()) == 3
        assert seen.of_table("elsewhere", "t") == []
    assert catalog.delete("default", "t", "b") == made
    for seen in (catalog, IndexCatalog(store)):
        assert [d.name for d in seen.of_table("default", "t")] == ["a"]
        with pytest.raises(MetaNotMatch, match=r"search index \[b\] does not exist"):
            seen.get("default", "t", "b")
    with pytest.raises(MetaNotMatch):
        catalog.delete("default", "t", "b")
    assert space.instance("default").names() == ["t", "u"], "the tables' own definitions are left alone"


def test_refuses(store: KeyValueStore, new_table: Any) -> None:
    catalog = IndexCatalog(store)
    table = new_table("t", allow_update=False)
    for name in ("", "1a", "a-b", "a" * 256):
        with pytest.raises(ParameterInvalid, match="name"):
            catalog.create("default", table, name, SCHEMA)
    with pytest.raises(ParameterInvalid, match="KEYWORD"):
        catalog.create("default", table, "x", IndexSchema((FieldSchema("id", FieldType.KEYWORD),)))
    for number in range(limits.INDEXES_PER_TABLE_MAX):
        catalog.create("default", table, f"x{number}", SCHEMA)
    with pytest.raises(ObjectAlreadyExist, match=r"\[x0\] already exists"):
        catalog.create("default", table, "x0", SCHEMA)
    with pytest.raises(QuotaExhausted, match="20 search indexes"):
        catalog.create("default", table, "more", SCHEMA)
    assert len(IndexCatalog(store).all()) == limits.INDEXES_PER_TABLE_MAX


def test_damage_in_the_store_shows_at_opening(store: KeyValueStore, new_table: Any) -> None:
    IndexCatalog(store).create("default", new_table("t", allow_update=False), "x", SCHEMA)
    (found,) = list(store.scan(b"i", b"j"))
    batch = WriteBatch()
    batch.put(found[0], b"nonsense")
    store.commit(batch)
    with pytest.raises(Corruption):
        IndexCatalog(store)


def test_a_deleted_index_is_noted_until_its_objects_are_gone(store: KeyValueStore, new_table: Any) -> None:
    """And no other gets its folder meanwhile, though the clock stands still."""

    class Stopped:
        def now_us(self) -> int:
            return 1_700_000_000_000_000

    table = new_table("t", allow_update=False)
    catalog = IndexCatalog(store, Stopped())
    first = catalog.create("default", table, "x", SCHEMA)
    assert catalog.deleted() == []
    catalog.delete("default", "t", "x")
    second = catalog.create("default", table, "x", SCHEMA)
    assert prefix_of(second) != prefix_of(first)
    for seen in (catalog, IndexCatalog(store)):
        assert seen.deleted() == [first]
        assert seen.all() == [second]
    catalog.forget_deleted([first])
    assert catalog.deleted() == IndexCatalog(store).deleted() == []
    assert IndexCatalog(store).all() == [second]
