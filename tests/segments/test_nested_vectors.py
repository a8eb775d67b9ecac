"""Vectors of documents within rows: built, merged, held in memory and searched as those of rows are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.damaged_segments import with_footer
from support.segments import lattice
from support.stored_segments import Shelf

from lutra.fields.capabilities import nearest
from lutra.index.builds.build import flat_plans, shape_of
from lutra.index.lsm.buffer import Buffer
from lutra.kernels.distance import topk
from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.segments.space import SpacePart
from lutra.tables.keys import KeyCodec
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

DIMENSION = 16
ROWS = 120
KEY = (KeyColumn("id", ColumnType.INTEGER),)
SCHEMA = IndexSchema(
    (
        FieldSchema(
            "items", FieldType.NESTED, fields=(FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),)
        ),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),
    )
)
PLANS = {path: BuildPlan(SegmentKind.GRAPH, 4, degree=12, beam=60) for path in ("v", "items.v")}
VECTORS = lattice(ROWS * 8, DIMENSION)


def items_of(number: int) -> list[dict[str, Any]]:
    """Up to 7 with a vector, and one without."""
    return [{"v": VECTORS[8 * number + n].tolist()} for n in range(number % 8)] + [{}]


def buffer_of(numbers: range) -> Buffer:
    codec, buffer = KeyCodec(b"", KEY), Buffer(SCHEMA, KEY)
    rows = [
        Row(
            (("id", number),),
            [("items", json.dumps(items_of(number)), 1), ("v", json.dumps(VECTORS[8 * number + 7].tolist()), 1)],
        )
        for number in numbers
    ]
    buffer.stage([codec.encode(row.key) for row in rows], rows, 1)
    buffer.publish()
    return buffer


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shelf, str]]:
    """A segment merged of two, of which one has a graph."""
    shelf = Shelf(tmp_path_factory.mktemp("nested"))
    first, _ = shelf.build([buffer_of(range(ROWS // 2)).view()], SCHEMA, PLANS)
    with shelf.open(first, SCHEMA) as segment:
        name, _ = shelf.build([segment, buffer_of(range(ROWS // 2, ROWS)).view()], SCHEMA, PLANS)
    yield shelf, name
    shelf.close()


def vectors_of(dead: set[int]) -> list[tuple[int, np.ndarray[Any, Any]]]:
    """The document of each vector of a living row, and the vector."""
    found, document = [], 0
    for number in range(ROWS):
        for item in items_of(number):
            if "v" in item and number not in dead:
                found.append((document, np.array(item["v"], np.float32)))
            document += 1
    return found


@pytest.mark.parametrize("budget_bytes", [None, 0, 20_000])
def test_neighbours_are_documents(stored: tuple[Shelf, str], budget_bytes: int | None) -> None:
    shelf, name = stored
    dead = {3, 7, 50, 119}
    with shelf.open(name, SCHEMA, memory_budget_bytes=budget_bytes, dead=sorted(dead)) as segment:
        assert segment.kinds == {"v": SegmentKind.GRAPH, "items.v": SegmentKind.GRAPH}
        assert set(segment.checked) == {"v", "items.v"}
        space = SpacePart(segment, "items")
        living = vectors_of(dead)
        assert space.rows == sum(len(items_of(number)) for number in range(ROWS) if number not in dead)
        matrix = np.array([vector for _, vector in living])
        for query in VECTORS[::97] + np.float32(0.01):
            _, expected = topk(query[None], matrix, 10, Metric.EUCLIDEAN)
            docs, distances, _ = nearest(space, "items.v").topk(query, 10, space.live)
            assert np.allclose(distances, expected[0], rtol=1e-5)
            assert set(docs.tolist()) <= {document for document, _ in living}


def test_what_a_budget_gives_is_shared_by_all_spaces(stored: tuple[Shelf, str]) -> None:
    """By what each would need: of enough all have all, of half as much none has."""
    shelf, name = stored
    with shelf.open(name, SCHEMA, memory_budget_bytes=0) as segment:
        need_bytes = segment.meta.resident_bytes
    held = []
    for budget_bytes in (0, need_bytes // 2, need_bytes, None):
        with shelf.open(name, SCHEMA, memory_budget_bytes=budget_bytes) as segment:
            held.append([field.resident_bytes for field in (segment.fields["v"], segment.fields["items"])])
    none, half, enough, most = held
    assert enough == most
    assert all(one <= two < three for one, two, three in zip(none, half, most, strict=True))
    assert need_bytes / 2 < sum(most) - sum(none) <= need_bytes  # of whole pages


def test_what_is_kept_of_documents_is_told(stored: tuple[Shelf, str]) -> None:
    shelf, name = stored
    with shelf.open(name, SCHEMA, memory_budget_bytes=0) as segment:
        before = segment.resident_bytes
        space = SpacePart(segment, "items")
        space.children.parents()
        assert segment.resident_bytes == before + 4 * space.size


def test_the_mask_of_living_documents_is_made_once(stored: tuple[Shelf, str]) -> None:
    shelf, name = stored
    with shelf.open(name, SCHEMA, dead=[1, 2]) as segment:
        first = SpacePart(segment, "items").live
        assert SpacePart(segment, "items").live is first
        assert first.count < first.rows
    with shelf.open(name, SCHEMA) as segment:
        assert SpacePart(segment, "items").live == RowMask.all(SpacePart(segment, "items").size)


def test_builds_know_vectors_of_documents(stored: tuple[Shelf, str]) -> None:
    shelf, name = stored
    with shelf.open(name, SCHEMA) as segment:
        shape = shape_of(name, segment.meta)
        documents = sum(len(items_of(number)) for number in range(ROWS))
        assert sorted(vectors.rows for vectors in shape.vectors) == [ROWS, len(vectors_of(set()))]
        assert shape.scalar_bytes == segment.meta.scalar_bytes + 8 * documents
    assert set(flat_plans(SCHEMA)) == {"v", "items.v"}


def test_more_vectors_than_documents_make_no_sense(stored: tuple[Shelf, str], tmp_path: Path) -> None:
    shelf, name = stored
    documents = sum(len(items_of(number)) for number in range(ROWS))
    whole = with_footer(shelf.store.get(name), (b'["items",%d,' % documents, b'["items",%d,' % ROWS))
    shelf.store.put("segments/wrong", whole)
    with pytest.raises(Corruption, match="more vectors than documents"):
        shelf.open("segments/wrong", SCHEMA)


def test_documents_of_another_schema_are_not_opened(stored: tuple[Shelf, str]) -> None:
    shelf, name = stored
    other = IndexSchema((FieldSchema("other", FieldType.NESTED, fields=SCHEMA.fields[0].fields),))
    with pytest.raises(Corruption, match="has no documents of other: it is not of this index's schema"):
        shelf.open(name, other)
