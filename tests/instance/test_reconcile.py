"""A table that becomes what somebody else says it is, from whatever it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import open_engine

from lutra.instance.engine import Engine
from lutra.instance.index_changes import WantedIndex
from lutra.instance.instance import Instance
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import Range, SearchRequest
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import (
    CapacityUnits,
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    StreamSpec,
    TableDescription,
    TableOptions,
    TableSchema,
)
from lutra.model.values import ColumnType

WAIT_S = 60.0
DAY_S = 86_400
KEY = (KeyColumn("p", ColumnType.INTEGER), KeyColumn("i", ColumnType.INTEGER))
COLUMNS = (DefinedColumn("n", ColumnType.INTEGER), DefinedColumn("s", ColumnType.STRING))
FIELDS = (FieldSchema("n", FieldType.LONG), FieldSchema("s", FieldType.KEYWORD), FieldSchema("d", FieldType.DOUBLE))
TABLE = TableDescription(TableSchema("t", KEY, COLUMNS), 77, 1, 1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "data")
    opened.create_instance("main")
    yield opened
    opened.close()


@pytest.fixture
def instance(engine: Engine) -> Instance:
    return engine.instance("main")


def any_table(rng: random.Random) -> TableSchema:
    """Whatever a table can become by the changes that clients may ask for."""
    defined = tuple(column for column in COLUMNS if rng.random() < 0.7)
    names = {column.name for column in defined}
    wanted = (
        SecondaryIndex("by_n", ("p", "n"), (), IndexKind.LOCAL),
        SecondaryIndex("by_s", ("p", "s"), rng.choice([(), ("n",)]), IndexKind.LOCAL),
    )
    indexes = tuple(index for index in wanted if {*index.key[1:], *index.columns} <= names and rng.random() < 0.7)
    options = TableOptions(max_versions=1 if indexes else rng.choice([1, 3]), allow_update=rng.random() < 0.5)
    stream = rng.choice([None, StreamSpec(24), StreamSpec(48)])
    return TableSchema("t", KEY, defined, options, CapacityUnits(rng.choice([0, 5])), stream=stream, indexes=indexes)


def any_indexes(rng: random.Random, uids: Iterator[int], before: list[WantedIndex]) -> list[WantedIndex]:
    """What the search indexes can have become meanwhile: other ones, other fields, another's place, weights."""
    made = {one.name: one for one in before}

    def schema() -> IndexSchema:
        return IndexSchema((FIELDS[0], *rng.sample(FIELDS[1:], rng.randrange(3))))

    for _ in range(rng.randrange(1, 5)):
        match rng.choice(["drop", "create", "fields", "replace", "switch", "weigh"]):
            case "drop" if made:
                name = rng.choice([one.name for one in made.values() if one.source or "y" not in made] or ["y"])
                del made[name]
            case "create" if "x" not in made:
                made["x"] = WantedIndex("x", next(uids), schema())
            case "fields" if made:
                name = rng.choice(list(made))
                made[name] = replace(made[name], schema=schema())
            case "replace" if "x" in made and "y" not in made:
                made["y"] = WantedIndex("y", next(uids), schema(), "x")
            case "switch" if "y" in made:
                x, y = made["x"], made["y"]
                made["x"] = replace(y, name="x", source=None, weight=0)
                made["y"] = replace(x, name="y", source="x", weight=0)
            case "weigh" if "y" in made:
                made["y"] = replace(made["y"], weight=rng.randrange(101))
    return list(made.values())


def stored(engine: Engine) -> list[tuple[bytes, bytes]]:
    """All definitions."""
    store = engine.partition.store
    return [*store.scan(b"d", b"e"), *store.scan(b"i", b"j")]


def shown(engine: Engine) -> list[WantedIndex]:
    found = engine.partition.indexes.of_table("main", "t")
    return [WantedIndex(one.name, one.uid, one.generations[-1].schema, one.source, one.weight) for one in found]


def in_any_order(indexes: list[WantedIndex]) -> set[object]:
    return {
        (one.name, one.uid, frozenset(field.name for field in one.schema.fields), one.source, one.weight)
        for one in indexes
    }


@pytest.mark.parametrize("seed", range(8))
def test_whatever_it_was_it_becomes_what_is_wanted_and_keeps_its_rows(seed: int, engine: Engine) -> None:
    instance, rng, uids = engine.instance("main"), random.Random(seed), iter(range(1, 1_000))
    indexes: list[WantedIndex] = []
    for rows in range(8):
        to_be, indexes = any_table(rng), any_indexes(rng, uids, indexes)
        stream_us = 0 if to_be.stream is None else rng.choice([1_234_568, 1_234_569])
        description = TableDescription(to_be, 77, 1_234_567, 1_234_567, stream_us)
        table = instance.reconcile(description, indexes)
        assert table.created_us == 1_234_567
        assert table.stream_id == description.stream_id
        assert {*table.schema.defined} == {*to_be.defined}
        assert (table.schema.options, table.schema.stream) == (to_be.options, to_be.stream)
        assert {one.name: one.columns for one in table.schema.indexes} == {
            one.name: one.columns for one in to_be.indexes
        }
        assert table.schema.reserved == to_be.reserved
        assert in_any_order(shown(engine)) == in_any_order(indexes)
        before = stored(engine)
        instance.reconcile(description, indexes)
        if not any(opened.next for opened in engine.partition.indexes.all()):  # else a generation may just be filled
            assert stored(engine) == before
        key = (("p", rng.randrange(3)), ("i", rows))
        instance.tables.write("t", RowChange(ChangeKind.PUT, key, [("n", rows, None, CellOperation.PUT)]))
        for one in indexes:
            instance.wait_updated("t", one.name, WAIT_S)
            instance.wait_searchable("t", one.name, WAIT_S)
            found = instance.search("t", one.name, SearchRequest(Range("n", 0, None), limit=100))
            assert len(found.rows) == rows + 1, one.name


def test_an_index_that_was_dropped_and_made_again_under_its_name_is_another(engine: Engine) -> None:
    instance = engine.instance("main")
    schema = IndexSchema(FIELDS[:1])
    instance.reconcile(TABLE, [WantedIndex("x", 7, schema)])
    first = engine.partition.indexes.get("main", "t", "x")
    instance.reconcile(TABLE, [WantedIndex("x", 8, schema)])
    second = engine.partition.indexes.get("main", "t", "x")
    assert (first.uid, second.uid) == (7, 8)
    assert first.created_us != second.created_us
    assert [one.created_us for one in engine.partition.indexes.deleted()] in ([first.created_us], [])


def test_which_index_it_is_outlives_a_restart_and_a_change_of_fields(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "data")
    engine.create_instance("main")
    engine.instance("main").reconcile(TABLE, [WantedIndex("x", 7, IndexSchema(FIELDS[:1]))])
    engine.instance("main").reconcile(TABLE, [WantedIndex("x", 7, IndexSchema(FIELDS[:2]))])
    engine.instance("main").wait_updated("t", "x", WAIT_S)
    engine.close()
    engine = open_engine(tmp_path / "data")
    try:
        assert engine.partition.indexes.get("main", "t", "x").uid == 7
        before = stored(engine)
        engine.instance("main").reconcile(TABLE, [WantedIndex("x", 7, IndexSchema(FIELDS[:2]))])
        assert stored(engine) == before
    finally:
        engine.close()


def test_rows_of_an_index_have_more_key_columns_than_a_table_may(instance: Instance) -> None:
    """As a global index has them, which is a table of its own in a cluster: nobody else makes such a table."""
    key = tuple(KeyColumn(f"k{number}", ColumnType.INTEGER) for number in range(6))
    wanted = TableDescription(TableSchema("rows_of_an_index", key), 78, 1, 1)
    with pytest.raises(ParameterInvalid):
        instance.create_table(wanted.schema)
    assert instance.reconcile(wanted, []).schema.key == key
