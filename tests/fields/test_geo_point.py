"""Points of rows in a buffer, a segment and a merged one: what is left out, digests, and how fsck compares."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from support.geo_model import FIELD, arc_m, random_documents, text
from support.geo_rows import KEY, SCHEMA, row_of
from support.indexes import memory_index
from support.shared_out import buffer_of, segment_of
from support.stored_segments import Shelf

from lutra.fields.capabilities import located, nested
from lutra.fields.hashing import Hasher
from lutra.fields.kinds import kind_of
from lutra.index.lsm.buffer import Buffer
from lutra.kernels.geo import GeoShape
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType
from lutra.model.rows import Row
from lutra.model.values import ColumnType
from lutra.segments.part import Part

NAMES = ("at", "stops")


def digests_of(hasher: Hasher, part: Part, name: str) -> dict[bytes, int]:
    """By key."""
    digests = np.zeros(part.size, np.uint64)
    field = part.fields[name]
    kind_of(field.field).digest(hasher, digests, field)
    keys = part.keys.taken(np.arange(part.size))
    live = part.live.bools()
    return {key: int(digests[doc]) for doc, key in enumerate(keys) if live[doc]}


def test_parts_agree(shelf: Shelf) -> None:
    rng = random.Random(1)
    documents = random_documents(np.random.default_rng(2), 400)
    rows = [row_of(n, {"at": own[:1], "stops": own} if own else {}) for n, own in enumerate(documents)]
    index = memory_index(SCHEMA, KEY)
    buffer = buffer_of(index, rows)
    first = segment_of(index, rows[:150], rows[150:200], rng, shelf)
    second = segment_of(index, rows[150:], rows[:30], rng, shelf)
    name, _ = shelf.build([first, second], SCHEMA)
    merged = shelf.open(name, SCHEMA)
    straight = shelf.open(shelf.build([buffer], SCHEMA)[0], SCHEMA)
    assert [s.size_bytes for s in merged.meta.sections if s.field in NAMES] == [
        s.size_bytes for s in straight.meta.sections if s.field in NAMES
    ]
    assert merged.meta.bytes_by_class["geo"] > 0
    assert merged.verify() == []
    hasher = Hasher()
    for field in NAMES:
        expected = digests_of(hasher, buffer, field)
        assert len(expected) == len(rows)
        assert digests_of(hasher, merged, field) == expected
        assert digests_of(hasher, first, field) | digests_of(hasher, second, field) == expected
    keys = {key: doc for doc, key in enumerate(merged.keys.taken(np.arange(merged.size)))}
    for doc, key in enumerate(buffer.keys.taken(np.arange(buffer.size))):
        for field in NAMES:
            part, other = buffer.fields[field], merged.fields[field]
            assert kind_of(part.field).is_same(part, doc, other, keys[key])


def test_digests_tell_points_apart() -> None:
    index = memory_index(SCHEMA, KEY)
    places = [[(1.0, 2.0)], [(2.0, 1.0)], [(1.0, 2.0), (1.0, 2.0)], [(1.0, 2.0), (2.0, 1.0)], [(1.0, 1.0)], []]
    part = buffer_of(index, [row_of(n, {"stops": own}) for n, own in enumerate(places)])
    digests = digests_of(Hasher(), part, "stops")
    assert len(set(digests.values())) == len(places)
    stops = part.fields["stops"]
    same = kind_of(stops.field).is_same
    assert [[same(stops, a, stops, b) for a in range(6)] for b in range(6)] == [
        [a == b for a in range(6)] for b in range(6)
    ]
    turned = buffer_of(index, [row_of(0, {"stops": [(2.0, 1.0), (1.0, 2.0)]})])
    assert same(stops, 3, turned.fields["stops"], 0), "their order means nothing"
    assert kind_of(stops.field).is_same(stops, 5, stops, 5)


def test_what_is_no_point_is_left_out_and_counted() -> None:
    values: list[str | int | float] = ["1,2", "91,0", "x", 5, "3 , 4", "", 1.5]
    buffer = Buffer(SCHEMA, KEY)
    rows = [Row((("id", n),), [("at", value, 1)]) for n, value in enumerate(values)]
    rows.append(Row((("id", 99),), [("stops", json.dumps(["1,2", "nowhere"]), 1)]))
    buffer.stage([b"%d" % n for n in range(len(rows))], rows, 0)
    buffer.publish()
    view = buffer.view()
    assert buffer.unindexed == {"at": 5, "stops": 1, "n": 0}
    assert located(view, "at").exists().mask().ids().tolist() == [0, 4]
    assert located(view, "at").value(4) == [(3.0, 4.0)]
    assert located(view, "stops").exists().mask().count == 0


def test_a_buffer_counts_the_points() -> None:
    sizes = []
    for count in (1, 200):
        buffer = Buffer(SCHEMA, KEY)
        rows = [row_of(n, {"stops": [(1.0, 2.0)] * count}) for n in range(100)]
        buffer.stage([b"%d" % n for n in range(100)], rows, 0)
        buffer.publish()
        sizes.append(buffer.size_bytes)
    assert 16 * 199 * 100 <= sizes[1] - sizes[0] <= 20 * 200 * 100


def test_columns_that_go_with_it() -> None:
    kind = kind_of(FIELD)
    kind.check_column(FIELD, ColumnType.STRING)
    for column in (ColumnType.INTEGER, ColumnType.DOUBLE, ColumnType.BINARY):
        with pytest.raises(ParameterInvalid, match="does not go with a column of type"):
            kind.check_column(replace(FIELD, is_array=False), column)
    with pytest.raises(ParameterInvalid, match="date formats go with DATE only"):
        kind.check(FieldSchema("at", FieldType.GEO_POINT, date_formats=("epoch_millis",)))


def test_a_section_of_another_schema_is_refused(shelf: Shelf) -> None:
    part = buffer_of(memory_index(SCHEMA, KEY), [row_of(1, {"at": [(1.0, 2.0)]})])
    name, _ = shelf.build([part], SCHEMA)
    other = IndexSchema(
        tuple(replace(field, is_array=True) if field.name == "at" else field for field in SCHEMA.fields)
    )
    with pytest.raises(Corruption, match="geo of at is not of the type"):
        shelf.open(name, other)
    keyword = IndexSchema((FieldSchema("at", FieldType.KEYWORD),))
    with pytest.raises(Corruption):
        shelf.open(name, keyword)


def test_text_is_read_back_as_it_was_written() -> None:
    place = (0.1 + 0.2, -179.99999999999997)
    part = buffer_of(memory_index(SCHEMA, KEY), [row_of(1, {"at": [place]})])
    assert located(part, "at").value(0) == [place]
    assert text(place) == "0.30000000000000004,-179.99999999999997"


def test_points_within_objects(shelf: Shelf) -> None:
    """Of a nested field the points are those of its children; of an object, of its row."""
    at = FieldSchema("at", FieldType.GEO_POINT)
    schema = IndexSchema(
        (
            FieldSchema("items", FieldType.NESTED, fields=(at,)),
            FieldSchema("doc", FieldType.JSON, json_type=JsonType.OBJECT, fields=(at,)),
        )
    )
    documents = random_documents(np.random.default_rng(6), 60)
    rows = [
        Row(
            (("id", n),),
            [
                ("doc", json.dumps([{"at": text(place)} for place in own]), 1),
                ("items", json.dumps([{"at": text(place)} for place in own]), 1),
            ],
        )
        for n, own in enumerate(documents)
    ]
    buffer = buffer_of(memory_index(schema, KEY), rows)
    segment = shelf.open(shelf.build([buffer], schema)[0], schema)
    assert segment.verify() == []
    shape = GeoShape.circle(30.0, 120.0, 500_000.0)
    inside = [n for n, own in enumerate(documents) if any(arc_m((30.0, 120.0), place) <= 500_000 for place in own)]
    assert 0 < len(inside) < 60
    hasher = Hasher()
    for name in ("items", "doc"):
        assert digests_of(hasher, buffer, name) == digests_of(hasher, segment, name)
    for part in (buffer, segment):
        keys = part.keys.taken(np.arange(part.size))
        order = [int.from_bytes(key[-8:], "big") - 2**63 for key in keys]
        found = located(part, "doc.at").within(shape).mask().ids().tolist()
        assert sorted(order[doc] for doc in found) == inside
        children = nested(part, "items").children
        below = located(children, "items.at")
        assert below.size == sum(map(len, documents))
        mask = below.within(shape).mask()
        rows_found = children.parents_of(mask).ids().tolist()
        assert sorted(order[doc] for doc in rows_found) == inside
