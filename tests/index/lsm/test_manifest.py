"""Manifests come back as they were, or are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy, SegmentShape, VectorsShape
from lutra.index.lsm.manifest import BytesWritten, Manifest, SegmentEntry, schema_identity
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import PrimaryKeySort
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.tables.history import Origin
from lutra.vectors.layout import SegmentKind

COUNTS = st.integers(0, 2**62)
NAMES = st.text("0123456789abcdef", min_size=32, max_size=32)
SHAPES = st.builds(
    lambda name, rows, dead, size, scalars, vectors: SegmentShape(
        "segments/" + name, max(rows, dead), min(rows, dead), size, scalars, tuple(vectors)
    ),
    NAMES,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.lists(st.builds(VectorsShape, COUNTS, COUNTS, st.sampled_from(SegmentKind)), max_size=2),
)
ENTRIES = st.builds(SegmentEntry, SHAPES, st.none() | NAMES.map("deletions/".__add__), COUNTS)
MANIFESTS = st.builds(
    Manifest,
    NAMES,
    NAMES,
    st.builds(Progress, COUNTS, st.booleans(), st.none() | st.binary()),
    st.integers(-1, 10**9),
    st.lists(ENTRIES, max_size=3, unique_by=lambda entry: entry.shape.name).map(tuple),
    st.builds(BytesWritten, COUNTS, COUNTS, COUNTS),
    st.dictionaries(st.text(), COUNTS, max_size=2),
    st.builds(Origin, NAMES, NAMES),
    st.none() | COUNTS,
)
ENTRY = SegmentEntry(SegmentShape("segments/a", 3, 1, 400, 100, (VectorsShape(4, 3, SegmentKind.FLAT),)), "deletions/b")
GOOD = Manifest("w", "s", Progress(7, True, b"\0key"), 86_400, (ENTRY,), BytesWritten(1, 2, 3), {"n": 4})


@given(MANIFESTS)
def test_manifests_come_back_as_they_were(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"null", b"\xff", b'{"format": 2}', b'{"format": 1}'])
def test_nonsense(damage: bytes) -> None:
    with pytest.raises(Corruption):
        Manifest.from_json(damage)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("writer", 1),
        ("position", -1),
        ("position", "7"),
        ("filled", 1),
        ("filled_through", "xy"),
        ("table_ttl_s", None),
        ("written", {"other": 1}),
        ("written", []),
        ("unindexed", {"n": -1}),
        ("unindexed", 3),
        ("seen", -1),
        ("seen", "7"),
        ("segments", 3),
        ("segments", [None]),
    ],
)
def test_nonsense_in_one_place(key: str, value: Any) -> None:
    with pytest.raises(Corruption, match="manifest"):
        Manifest.from_json(json.dumps({**json.loads(GOOD.to_json()), key: value}).encode())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "elsewhere/a"),
        ("deletions", "segments/a"),
        ("rows", True),
        ("dead", 4),
        ("vectors", [[4, 3, "glass"]]),
        ("vectors", [[4, 3]]),
        ("since", -1),
        ("since", None),
        ("since", True),
    ],
)
def test_nonsense_in_a_segment(key: str, value: Any) -> None:
    stored = json.loads(GOOD.to_json())
    stored["segments"][0][key] = value
    with pytest.raises(Corruption, match="manifest"):
        Manifest.from_json(json.dumps(stored).encode())


def test_a_segment_named_twice() -> None:
    with pytest.raises(Corruption, match="twice"):
        Manifest.from_json(replace(GOOD, segments=(ENTRY, ENTRY)).to_json())


OLD = b"""{"format":1,"writer":"w","schema":"s","position":70,"filled":true,"filled_through":null,"table_ttl_s":-1,
"written":{"flushed":9000000,"built":0,"deletions":0},"segments":[
{"name":"segments/a","rows":2000,"dead":0,"bytes":4200000,"scalar_bytes":100,"vectors":[[512,2000,"codes"]],"deletions":null},
{"name":"segments/b","rows":2000,"dead":9,"bytes":4100000,"scalar_bytes":100,"vectors":[[512,2000,"flat"]],"deletions":"deletions/c"}
]}"""
"""Before segments said which changes they begin after."""


def test_a_manifest_of_the_old_form() -> None:
    old = Manifest.from_json(OLD)
    first, second = old.segments
    assert (first.since, second.since) == (0, 0)
    assert (old.unindexed, old.seen) == ({}, None)
    policy = Policy()
    assert (old.awaited_since(policy), old.indexed(policy)) == (0, 0), "b may hold any change"
    built = replace(old, segments=(first,))
    assert (built.awaited_since(policy), built.indexed(policy)) == (None, 70)


def test_who_reads_the_old_form_only_reads_the_new_one() -> None:
    """It is told by the format's number, and by the names it knows."""
    old, new = json.loads(OLD), json.loads(replace(Manifest.from_json(OLD), writer="v").to_json())
    assert new["format"] == old["format"] == 1
    assert set(old) <= set(new)
    assert all(set(old["segments"][0]) <= set(segment) for segment in new["segments"])


@given(MANIFESTS)
def test_how_far_a_manifest_is_built(manifest: Manifest) -> None:
    policy = Policy()
    indexed = manifest.indexed(policy)
    awaited = [entry.since for entry in manifest.segments if policy.is_awaited(entry.shape)]
    assert indexed <= manifest.progress.position
    assert all(indexed <= since for since in awaited)
    assert indexed == 0 or indexed in {manifest.progress.position, *awaited}
    assert manifest.progress.filled or indexed == 0


def test_names() -> None:
    other = SegmentEntry(replace(ENTRY.shape, name="segments/c"))
    assert replace(GOOD, segments=(ENTRY, other)).names == {"segments/a", "deletions/b", "segments/c"}
    assert replace(GOOD, segments=()).names == set()


def test_what_makes_segments_alike() -> None:
    key = (KeyColumn("id", ColumnType.INTEGER),)
    schema = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(4)),))
    identity = schema_identity(schema, key)
    assert schema_identity(replace(schema, ttl_s=86_400, sort=(PrimaryKeySort(),)), key) == identity
    assert schema_identity(schema, (KeyColumn("id", ColumnType.STRING),)) != identity
    longer = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(5)),))
    assert schema_identity(longer, key) != identity
