"""Kinds of strings in segments that were merged of segments: as if all rows had come at once, and without faults."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from support.indexes import memory_index
from support.kinds import KEY, found, rows_of
from support.stored_segments import Shelf

from lutra.fields.hashing import Hasher
from lutra.fields.kinds import kind_of
from lutra.index.lsm.view import IndexView
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import Exists, FieldSort, MatchAll, Prefix, Query, Suffix, Term, Terms, Wildcard
from lutra.segments.part import Part

SCHEMA = IndexSchema(
    (
        FieldSchema("ip", FieldType.IP, is_array=True),
        FieldSchema("fuzzy", FieldType.FUZZY_KEYWORD),
        FieldSchema("flat", FieldType.FLATTENED),
        FieldSchema("number", FieldType.LONG, is_virtual=True, sources=("fuzzy",)),
    )
)
QUERIES: list[Query] = [
    Term("ip", "10.0.0.0/30"),
    Terms("ip", ("10.0.0.9", "2001:db8::/64")),
    Exists("ip"),
    Wildcard("fuzzy", "*7*"),
    Wildcard("fuzzy", "?1*3"),
    Suffix("fuzzy", "11"),
    Prefix("fuzzy", "2"),
    Term("flat.a.b", 3),
    Term("flat", "x5"),
    Prefix("flat.c", "x"),
    Suffix("flat.c", "1"),
    Exists("flat.a"),
    Term("number", 117),
]
SORTS = [
    FieldSort("ip"),
    FieldSort("ip", True),
    FieldSort("flat.c"),
    FieldSort("flat.a.b", True, missing="20"),
    FieldSort("number"),
]


def content(number: int) -> dict[str, Any]:
    flat = {"a": {"b": number % 7}, "c": [f"x{number % 11}", f"y{number}"][: number % 3]}
    addresses = [f"10.0.0.{number % 13}", f"2001:db8::{number:x}"][: number % 3]
    return {
        "ip": json.dumps(addresses) if number % 4 else None,
        "fuzzy": str(number * 13) if number % 5 else None,
        "flat": json.dumps(flat) if number % 6 else None,
    }


def view_of(*parts: Part) -> IndexView:
    index = memory_index(SCHEMA, KEY)
    return IndexView(SCHEMA, KEY, parts, index.view().codec)


def buffer_of(numbers: list[int]) -> Part:
    rows = rows_of([content(number) for number in range(200)])
    buffer = memory_index(SCHEMA, KEY)
    buffer.apply([rows[number] for number in numbers])
    return buffer.view().parts[0]


@pytest.mark.parametrize("seed", range(3))
def test_merging(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    numbers = random.Random(seed).sample(range(200), 200)
    homes = [sorted(numbers[begin : begin + 50]) for begin in range(0, 200, 50)]
    dead = homes[1][10:20]

    def built(*inputs: Part, dead: list[int] | None = None) -> Part:
        name, _ = shelf.build(inputs, SCHEMA)
        return shelf.open(name, SCHEMA, dead=dead or [])

    first, second = built(buffer_of(homes[0])), built(buffer_of(homes[1]), dead=[*range(10, 20)])
    merged = built(built(first, second), buffer_of(homes[2] + homes[3]))
    living = [number for number in range(200) if number not in dead]
    plain = view_of(buffer_of(living))
    for query in QUERIES:
        assert found(view_of(merged), query) == found(plain, query), query
        assert found(plain, query), query
    for sort in SORTS:
        assert found(view_of(merged), MatchAll(), sort) == found(plain, MatchAll(), sort), sort
    once = built(buffer_of(living))
    hasher = Hasher()
    for name, field in merged.fields.items():
        kind = kind_of(field.field)
        assert [*kind.faults(field)] == []
        one, two = np.zeros(merged.size, np.uint64), np.zeros(once.size, np.uint64)
        kind.digest(hasher, one, field)
        kind.digest(hasher, two, once.fields[name])
        assert sorted(one.tolist()) == sorted(two.tolist()), name
        assert all(kind.is_same(once.fields[name], doc, once.fields[name], doc) for doc in range(once.size))
        others = [doc for doc in range(1, once.size) if two[doc] != two[0]]
        assert not any(kind.is_same(once.fields[name], 0, once.fields[name], doc) for doc in others)
