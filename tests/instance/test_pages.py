"""Pages by every sorter while rows change, are flushed and merged: rows that stay come once, in their order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.engines import EAGER, open_engine

from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.geo import GeoDistanceSort, GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.nested import NestedFilter
from lutra.model.queries import (
    Bool,
    DocSort,
    FieldSort,
    MatchAll,
    Missing,
    PrimaryKeySort,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Sorter,
    SortMode,
    Term,
)
from lutra.model.rows import CellChange, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

COUNT = 40
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("few", FieldType.LONG),
        FieldSchema("many", FieldType.LONG, is_array=True),
        FieldSchema("word", FieldType.KEYWORD),
        FieldSchema("other", FieldType.KEYWORD),
        FieldSchema("at", FieldType.GEO_POINT),
        FieldSchema(
            "parts",
            FieldType.NESTED,
            fields=(FieldSchema("size", FieldType.LONG), FieldSchema("kind", FieldType.KEYWORD)),
        ),
    )
)
SCORED = Bool(must=(MatchAll(),), should=(Term("n", 3, 5.0), Range("n", 10, 20), Term("few", 0, 2.0)))
SORTS: dict[str, tuple[Query, tuple[Sorter, ...]]] = {
    "key": (MatchAll(), (PrimaryKeySort(True),)),
    "doc": (MatchAll(), (DocSort(),)),
    "score": (SCORED, (ScoreSort(),)),
    "score and field": (SCORED, (ScoreSort(False), FieldSort("word", True))),
    "least": (MatchAll(), (FieldSort("many", False, SortMode.MIN),)),
    "average": (MatchAll(), (FieldSort("many", True, SortMode.AVG),)),
    "first": (MatchAll(), (FieldSort("few", True, missing=Missing.FIRST),)),
    "last": (MatchAll(), (FieldSort("word", False, missing=Missing.LAST),)),
    "as a value": (MatchAll(), (FieldSort("word", True, missing="m"),)),
    "another field": (MatchAll(), (FieldSort("few", missing_fields=("n",)),)),
    "another word": (MatchAll(), (FieldSort("word", True, missing_fields=("other",), missing="m"),)),
    "place": (MatchAll(), (GeoDistanceSort("at", (GeoPoint(0.0, 0.0),)),)),
    "within": (MatchAll(), (FieldSort("parts.size", nested_filter=NestedFilter("parts", Term("parts.kind", "a"))),)),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "data", policy=replace(EAGER, flush_bytes=1 << 30, flush_age_s=3_600.0))
    opened.create_instance("main")
    yield opened
    opened.close()


def put(instance: Instance, key: int, rng: random.Random) -> None:
    columns: dict[str, Any] = {
        "n": key % 30,
        "many": json.dumps([rng.randint(0, 9) for _ in range(rng.randint(1, 3))]),
        "other": rng.choice("klmno"),
        "at": f"{rng.randint(-5, 5)},{rng.randint(-5, 5)}",
        "parts": json.dumps([{"size": rng.randint(0, 5), "kind": rng.choice("ab")} for _ in range(2)]),
    }
    if rng.random() < 0.5:
        columns |= {"few": rng.randint(0, 3), "word": rng.choice("klmno")}
    cells: list[CellChange] = [(name, value, None, 0) for name, value in columns.items()]
    instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", key),), cells))


def maintain(engine: Engine, instance: Instance, merged: bool) -> None:
    instance.wait_searchable("t", "x", 60)
    for feed in engine.partition.feeder._feeds:
        feed.index.compact() if merged else feed.index.flush()  # type: ignore[attr-defined]


def test_rows_that_stay_come_once(engine: Engine) -> None:
    instance = engine.instance("main")
    instance.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
    instance.create_search_index("t", "x", SCHEMA)
    rng = random.Random(7)
    stay = range(COUNT)
    for key in rng.sample(range(-COUNT, 2 * COUNT), 3 * COUNT):
        put(instance, key, rng)
    maintain(engine, instance, False)
    orders = {name: _ids(instance, SearchRequest(query, sort, limit=1_000))[0] for name, (query, sort) in SORTS.items()}
    expected = {name: [key for key in order if key in stay] for name, order in orders.items()}
    requests = {name: SearchRequest(query, sort, limit=11) for name, (query, sort) in SORTS.items()}
    found: dict[str, list[int]] = {name: [] for name in SORTS}
    for number in range(60):
        for name in list(requests):
            ids, token = _ids(instance, requests[name])
            found[name] += [key for key in ids if key in stay]
            requests[name] = SearchRequest(SORTS[name][0], limit=11, token=token)
            if not token:
                del requests[name]
        if not requests:
            break
        for _ in range(6):
            key = rng.choice([*range(-COUNT, 0), *range(COUNT, 3 * COUNT)])
            if rng.random() < 0.4:
                instance.tables.write("t", RowChange(ChangeKind.DELETE, (("id", key),)))
            else:
                put(instance, key, rng)
        instance.wait_searchable("t", "x", 60)
        if number % 3 == 1:
            maintain(engine, instance, merged=number % 6 == 4)
    assert not requests
    assert found == expected
    assert all(len(order) == COUNT for order in expected.values())


def _ids(instance: Instance, request: SearchRequest) -> tuple[list[int], bytes]:
    result = instance.search("t", "x", request)
    return [int(row.key[0][1]) for row in result.rows], result.next_token
