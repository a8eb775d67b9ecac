"""A segment opened: what it reads for that, what it keeps, what it answers, what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap
from support.faulty_store import FaultyStore
from support.parts import part_of, schema_of
from support.segment_rows import plain_rows
from support.segments import lattice
from support.stored_segments import Shelf, check_against, nearest_keys

from lutra.kernels.blocks import BlockKind
from lutra.kernels.row_mask import RowMask
from lutra.model.errors import Corruption, ObjectMissing
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.segments.deletions import dead_of
from lutra.segments.footer import TAIL_BYTES
from lutra.segments.index_segment import IndexSegment
from lutra.segments.segment_object import WHOLE_BYTES
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

SCHEMA = schema_of(32)
ONE_VECTOR = dataclasses.replace(SCHEMA, fields=tuple(f for f in SCHEMA.fields if f.name != "w"))
PLANS = {kind: {"v": BuildPlan(kind, 4, degree=12, beam=40)} for kind in SegmentKind}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, dict[SegmentKind, str]]:
    """A segment of 1,500 rows for each kind."""
    shelf = Shelf(tmp_path_factory.mktemp("segments"))
    part = part_of(SCHEMA, plain_rows(1_500, 32))
    return shelf, {kind: shelf.build([part], SCHEMA, PLANS[kind])[0] for kind in SegmentKind}


@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize("budget_bytes", [None, 0, 30_000])
@pytest.mark.parametrize("kind", SegmentKind)
def test_it_answers_the_same_wherever_it_lies_and_whatever_is_in_memory(
    stored: tuple[Shelf, dict[SegmentKind, str]], kind: SegmentKind, budget_bytes: int | None, is_remote: bool
) -> None:
    shelf, names = stored
    store = FaultyStore(shelf.store) if is_remote else shelf.store
    rows = plain_rows(1_500, 32)
    field = SCHEMA.field("v")
    assert field is not None
    with shelf.open(names[kind], SCHEMA, store=store, memory_budget_bytes=budget_bytes) as segment:
        assert segment.kinds["v"] is kind
        hits = 0
        for query in lattice(20, 32, seed=9):
            keys, distances = nearest_keys(rows, field, query, 10)
            for effort in ({}, {"recall_target": 0.99}, {"num_candidates": 600}):
                docs, found, counters = segment.fields["v"].topk(query, 10, **effort)
                assert len(docs) == 10
                assert counters.distances > 0
                hits += int(np.count_nonzero(found <= distances[-1] * (1 + 1e-6)))
                assert kind is not SegmentKind.FLAT or segment.keys.keys(docs) == keys
        assert hits >= 0.98 * 3 * 20 * 10


@pytest.mark.parametrize("kind", SegmentKind)
def test_what_it_holds(stored: tuple[Shelf, dict[SegmentKind, str]], kind: SegmentKind) -> None:
    shelf, names = stored
    with shelf.open(names[kind], SCHEMA) as segment:
        check_against(segment, SCHEMA, plain_rows(1_500, 32))
        sizes = segment.meta.bytes_by_class
        assert sum(sizes.values()) == shelf.path(names[kind]).stat().st_size == segment.meta.size_bytes
        assert (sizes["codes"] > 0) == (kind is not SegmentKind.FLAT)
        assert (sizes["graph"] > 0) == (kind is SegmentKind.GRAPH)
        assert min(sizes[name] for name in ("metadata", "keys", "columns", "vectors")) > 0
        assert segment.resident_bytes > 4 * 1_200 + (64 * 16 + 8 if kind is not SegmentKind.FLAT else 0)


def test_masks_that_follow_one_another_say_of_each_row_what_they_say_of_its_document(
    stored: tuple[Shelf, dict[SegmentKind, str]],
) -> None:
    shelf, names = stored
    random = np.random.default_rng(3)
    live = RowMask.all(1_500)
    with shelf.open(names[SegmentKind.FLAT], SCHEMA) as segment:
        vectors = segment.fields["v"]
        has = vectors.exists().mask()
        assert 0 < has.count < 1_500, "some have no vector"
        for died in (0, 1, 30, 0, 200, 5, 400):
            live = live.minus(random.choice(live.ids(), died, replace=False))
            for query in lattice(3, 32, seed=5 + died):
                docs, _, _ = vectors.topk(query, 1_500, live, lasting=(live,))
                assert sorted(docs.tolist()) == (has & live).ids().tolist()
        every = RowMask.all(1_500)
        docs, _, _ = vectors.topk(lattice(1, 32)[0], 1_500, every, lasting=(every,))
        assert len(docs) == has.count


def test_opening_reads_the_end_once_and_what_is_to_be_in_memory(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    plans = {"v": BuildPlan(SegmentKind.GRAPH, 4, degree=64, beam=32)}
    name, meta = shelf.build([part_of(ONE_VECTOR, plain_rows_without_w(3_000))], ONE_VECTOR, plans)
    assert meta.size_bytes > WHOLE_BYTES
    store = FaultyStore(shelf.store)
    with IndexSegment.open(store, name, ONE_VECTOR, cache=shelf.cache, size_bytes=meta.size_bytes):
        # The end; documents of vectors; codes and graph in sweeps, which is one each.
        assert [operation.kind for operation in store.history] == ["read", "read", "read", "read_many"]
        sizes = meta.bytes_by_class
        assert store.requests.read_bytes <= TAIL_BYTES + 4096 + sizes["codes"] + sizes["graph"] + 2 * 4096
    store = FaultyStore(shelf.store)
    with IndexSegment.open(
        store, name, ONE_VECTOR, cache=shelf.cache, size_bytes=meta.size_bytes, memory_budget_bytes=0
    ):
        assert [operation.kind for operation in store.history] == ["read", "read_many"]
    with IndexSegment.open(store, name, ONE_VECTOR, cache=shelf.cache, memory_budget_bytes=0):
        assert [operation.kind for operation in store.history[2:]] == ["size", "read", "read_many"]
    shelf.close()


def test_memory_is_asked_for_once_and_holds_all_there_is(tmp_path: Path) -> None:
    """Finer codes and the basis they lie along, too."""
    shelf = Shelf(tmp_path)
    plans = {"v": BuildPlan(SegmentKind.GRAPH, 4, code_bytes=16, fine_bytes=40, degree=16, beam=32)}
    name, meta = shelf.build([part_of(ONE_VECTOR, plain_rows_without_w(3_000))], ONE_VECTOR, plans)
    assert {"codes", "fine", "basis", "graph"} <= set(meta.vectors[0].bytes)
    assert meta.bytes_by_class["codes"] + meta.bytes_by_class["graph"] == meta.resident_bytes
    residents = []
    for share in (1.0, 0.8, 0.3, 0.0):
        asked: list[int] = []

        def grant(wanted_bytes: int, share: float = share, asked: list[int] = asked) -> int:
            asked.append(wanted_bytes)
            return int(share * wanted_bytes)

        with IndexSegment.open(shelf.store, name, ONE_VECTOR, cache=shelf.cache, grant=grant) as segment:
            assert asked == [meta.resident_bytes]
            residents.append(segment.fields["v"].segment.resident_bytes)
            assert residents[-1] <= share * meta.resident_bytes
    assert residents == sorted(residents, reverse=True)
    assert residents[0] > 0.9 * meta.resident_bytes
    assert residents[0] > residents[1] > residents[-1] == 0
    shelf.close()


def test_a_small_one_is_opened_by_one_read(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    plans = {"v": BuildPlan(SegmentKind.GRAPH, 4, degree=64, beam=32)}
    name, meta = shelf.build([part_of(ONE_VECTOR, plain_rows_without_w(1_000))], ONE_VECTOR, plans)
    assert TAIL_BYTES < meta.size_bytes <= WHOLE_BYTES
    store = FaultyStore(shelf.store)
    with IndexSegment.open(store, name, ONE_VECTOR, cache=shelf.cache, size_bytes=meta.size_bytes) as segment:
        assert [operation.kind for operation in store.history] == ["read"]
        assert segment.keys.key(0) < segment.keys.key(999)
        assert len(store.history) > 1, "what is kept of the object is let go of"
    shelf.close()


def plain_rows_without_w(count: int) -> list[object]:
    rows = plain_rows(count, 32)
    return [dataclasses.replace(row, content={k: v for k, v in row.content.items() if k != "w"}) for row in rows]


def test_a_footer_longer_than_the_first_read_takes_one_more(shelf: Shelf) -> None:
    schema = IndexSchema(tuple(FieldSchema(f"field_{i:04d}", FieldType.KEYWORD) for i in range(400)))
    name, meta = shelf.build([part_of(schema, [])], schema)
    assert meta.footer_bytes > TAIL_BYTES
    store = FaultyStore(shelf.store)
    with IndexSegment.open(store, name, schema, cache=shelf.cache, size_bytes=meta.size_bytes) as segment:
        assert [operation.kind for operation in store.history] == ["read", "read"]
        assert segment.size == 0


def test_reads_count_by_kind_with_their_owner(stored: tuple[Shelf, dict[SegmentKind, str]]) -> None:
    shelf, names = stored
    with shelf.open(names[SegmentKind.GRAPH], SCHEMA) as segment:
        before = shelf.cache.counters().kinds
        segment.keys.find([b"key-000007"])
        segment.fields["word"].equals("word-3").mask().bools()
        segment.fields["v"].topk(np.zeros(32, np.float32), 10)
        after = shelf.cache.counters().kinds
        for kind in (BlockKind.METADATA, BlockKind.COLUMNS, BlockKind.VECTORS):
            assert after[kind].reads > before[kind].reads
        assert set(shelf.cache.counters().owners) == {"index"}
    assert shelf.cache.counters().owners["index"].held_blocks == 0  # closing gave all back


def test_deletions_are_dead_from_the_start(shelf: Shelf) -> None:
    name, _ = shelf.build([part_of(SCHEMA, plain_rows(100, 32))], SCHEMA)
    with shelf.open(name, SCHEMA, dead=[0, 3, 99]) as segment:
        assert (segment.size, segment.rows) == (100, 97)
        assert (RowMask.all(segment.size) - segment.live).ids().tolist() == [0, 3, 99]
        assert dead_of(segment.live) == BitMap([0, 3, 99])
        found = segment.fields["v"].topk(np.zeros(32, np.float32), 100, segment.live)[0]
        assert not set(found.tolist()) & {0, 3, 99}
        again = segment.fields["v"].topk(np.zeros(32, np.float32), 100, segment.live)[0]
        assert again.tolist() == found.tolist()
        assert segment.fields["v"].count(segment.live) == len(found)
    with pytest.raises(Corruption, match="deletions are those of another segment: document 100 of 100"):
        shelf.open(name, SCHEMA, dead=[100])


def test_a_mask_of_one_search_does_not_take_the_place_of_one_that_lasts(shelf: Shelf) -> None:
    name, _ = shelf.build([part_of(SCHEMA, plain_rows(50, 32))], SCHEMA)
    with shelf.open(name, SCHEMA) as segment:
        vectors, query = segment.fields["v"], np.zeros(32, np.float32)
        lasting = RowMask.all(50)
        first = vectors.topk(query, 1, lasting, lasting=(lasting,))[0][0]
        assert vectors.topk(query, 1, lasting.minus(np.array([first])))[0][0] != first
        assert vectors.topk(query, 1, lasting, lasting=(lasting,))[0][0] == first


def test_a_segment_without_an_object_or_of_another_schema_is_refused(shelf: Shelf) -> None:
    with pytest.raises(ObjectMissing, match="segments/none"):
        shelf.open("segments/none", SCHEMA)
    name, _ = shelf.build([part_of(SCHEMA, plain_rows(20, 32))], SCHEMA)
    for field, complaint in [
        (FieldSchema("other", FieldType.LONG), "has no section 'column of other'"),
        (FieldSchema("n", FieldType.DOUBLE), "column of n is not of the type"),
        (FieldSchema("n", FieldType.LONG, is_array=True), "column of n is not of the type"),
        (FieldSchema("u", FieldType.VECTOR, vector=VectorOptions(32)), "has no section 'vectors of u'"),
        (FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(31)), "vectors of v are not of the dimension"),
        (FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(32, Metric.COSINE)), "not of the dimension or metric"),
    ]:
        with pytest.raises(Corruption, match=complaint):
            shelf.open(name, IndexSchema((field,)))
    assert shelf.cache.counters().owners["index"].held_blocks == 0


def test_it_stays_readable_when_its_object_is_deleted(shelf: Shelf) -> None:
    rows = plain_rows(300, 32)
    name, _ = shelf.build([part_of(SCHEMA, rows)], SCHEMA)
    with shelf.open(name, SCHEMA) as segment:
        shelf.store.delete(name)
        check_against(segment, SCHEMA, rows)
    segment.close()
