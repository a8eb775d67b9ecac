"""How memory is shared out among segments, by itself and in indexes that are searched meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.indexes import index_in, resources_in

from lutra.fields import stored_vectors
from lutra.index.builds.policy import Policy
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.open_segment import OpenSegment
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.shares import Share, shares_of
from lutra.index.lsm.storage import IndexStorage
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.vectors import build_plan
from lutra.vectors.part import KnnCounters

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 16
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
ROWS = 600


@st.composite
def segments(draw: st.DrawFn) -> Share:
    least = draw(st.integers(0, 100))
    return Share(draw(st.floats(0, 1e6)), least, least + draw(st.integers(0, 400)))


@given(st.lists(segments(), max_size=12), st.integers(0, 2_000))
def test_never_more_than_there_is_and_never_more_than_is_wanted(wanted: list[Share], total: int) -> None:
    shares = shares_of(wanted, total)
    assert sum(shares) <= total
    assert all(0 <= got <= one.wanted_bytes for got, one in zip(shares, wanted, strict=True))
    if sum(one.wanted_bytes for one in wanted) <= total:
        assert shares == [one.wanted_bytes for one in wanted]


def test_all_get_their_shortest_codes_before_one_gets_all() -> None:
    assert shares_of([Share(0, 10, 100), Share(500, 10, 100)], 30) == [10, 20]
    assert shares_of([Share(0, 10, 100), Share(500, 10, 100)], 120) == [20, 100]
    assert shares_of([Share(0, 10, 100), Share(500, 10, 100)], 12) == [0, 12]


@pytest.fixture
def few_rows_have_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_plan, "FLAT_BYTES_MAX", 1_000)
    monkeypatch.setattr(build_plan, "CODES_ROWS_MAX", 100)


@pytest.fixture
def indexes(tmp_path: Path, few_rows_have_graphs: None) -> Iterator[tuple[Resources, list[SearchIndex]]]:
    resources = resources_in(tmp_path, policy=Policy(flush_age_s=3_600))
    made = [SearchIndex(SCHEMA, KEY, IndexStorage(resources.store, f"indexes/{n}-x-1/"), resources) for n in range(2)]
    for seed, index in enumerate(made):
        vectors = np.random.default_rng(seed).standard_normal((ROWS, DIMENSION)).astype("<f4")
        index.open()
        index.apply([Row((("id", n),), [("v", vector.tobytes(), 1)]) for n, vector in enumerate(vectors)])
        index.flush()
        index.compact()
    yield resources, made
    for index in made:
        index.close()
    resources.close()


def found(index: SearchIndex, seed: int) -> list[int]:
    (part,) = index.view().parts
    field: Any = part.fields["v"]
    query = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    docs, _, _ = field.topk(query, 10, num_candidates=200)
    return [int(doc) for doc in docs]


def assert_as_good(index: SearchIndex, answers: dict[int, list[int]]) -> None:
    """Other codes may miss another of the ten; they find as many."""
    for seed, docs in answers.items():
        assert len(set(docs) & set(found(index, seed))) >= 8


def segment_of(index: SearchIndex) -> OpenSegment:
    [segment] = index._segments.searched
    return segment


def resident(index: SearchIndex) -> int:
    (segment,) = index.stats().segments
    return segment.resident_bytes


def test_the_index_that_is_searched_has_the_memory(indexes: tuple[Resources, list[SearchIndex]]) -> None:
    resources, (first, second) = indexes
    memory, shared = resources.memory, resources.shared
    all_bytes = memory.granted_bytes
    memory.total_bytes = all_bytes * 2 // 3
    answers = {seed: found(second, seed) for seed in range(20)}
    assert shared.rebalance(memory) == 1, "one has all it wants, the other what is left"
    assert memory.granted_bytes <= memory.total_bytes
    assert resident(first) < resident(second)
    for seed in range(200):
        found(first, seed)
    while shared.rebalance(memory):
        assert memory.granted_bytes <= memory.total_bytes
    assert resident(first) > resident(second), "who is searched now"
    assert_as_good(second, answers)
    memory.total_bytes = all_bytes
    while shared.rebalance(memory):
        pass
    assert 0.9 * all_bytes < memory.granted_bytes <= all_bytes
    memory.total_bytes = 0
    shared.rebalance(memory)
    assert memory.granted_bytes == 0
    assert_as_good(second, answers)


def test_what_is_opened_last_has_codes_as_well(indexes: tuple[Resources, list[SearchIndex]]) -> None:
    """The first one takes all there is."""
    resources, (first, second) = indexes
    memory, least = resources.memory, [segment_of(index).segment.least_bytes for index in (first, second)]
    assert all(least)
    first.close()
    second.close()
    assert memory.granted_bytes == 0
    memory.total_bytes = sum(least)
    again = [SearchIndex(SCHEMA, KEY, IndexStorage(resources.store, f"indexes/{n}-x-1/"), resources) for n in range(2)]
    for index in again:
        index.open()
    assert [segment_of(index).granted_bytes for index in again] == least
    for index in again:
        index.close()


def test_codes_that_there_is_no_memory_for_are_read_for_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To compare all vectors would read more. Nothing of them is kept."""
    monkeypatch.setattr(build_plan, "FLAT_BYTES_MAX", 1_000)
    dimension = 96
    schema = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(dimension)),))
    vectors = np.random.default_rng(0).standard_normal((ROWS + 2, dimension)).astype("<f4")
    resources = resources_in(tmp_path, memory_bytes=0)
    index = index_in(resources, schema, KEY)
    index.open()
    index.apply([Row((("id", n),), [("v", vector.tobytes(), 1)]) for n, vector in enumerate(vectors[:ROWS])])
    index.flush()
    index.compact()
    (part,) = index.view().parts
    field: Any = part.fields["v"]

    def asked(is_swept: bool, mask: RowMask | None = None) -> list[tuple[list[int], KnnCounters]]:
        shared = field.share(10, mask, num_candidates=None, recall_target=0.97, lasting=())
        assert (shared is None) == is_swept
        return [(docs.tolist(), counters) for docs, _, counters in field.topk_many(vectors[ROWS:], 10, mask)]

    with monkeypatch.context() as patched:
        patched.setattr(stored_vectors, "SWEPT_BYTES_MAX", 0)
        exact = asked(False)
    for (docs, counters), (right, all_read) in zip(asked(True), exact, strict=True):
        assert (counters.strategy, all_read.strategy) == ("code_scan", "brute_force")
        assert counters.bytes < all_read.bytes
        assert len(set(docs) & set(right)) >= 8
    assert field.segment.residency.codes is None
    [(few, _), _] = asked(False, RowMask.of_rows(np.array([3, 5, 8]), ROWS))  # whose vectors are less
    assert sorted(few) == [3, 5, 8]
    index.close()
    resources.close()


def test_what_gets_more_is_read_some_at_a_time(indexes: tuple[Resources, list[SearchIndex]]) -> None:
    resources, both = indexes
    memory, shared = resources.memory, resources.shared
    all_bytes, memory.total_bytes = memory.granted_bytes, 0
    assert shared.rebalance(memory) == 2
    memory.total_bytes = all_bytes
    assert shared.least_bytes(memory) == sum(segment_of(index).segment.least_bytes for index in both)
    assert [shared.rebalance(memory, 1) for _ in range(3)] == [1, 1, 0]
    memory.total_bytes = 0
    shared.rebalance(memory)
    memory.total_bytes = all_bytes
    assert [shared.rebalance(memory) for _ in range(2)] == [2, 0]


def test_searches_go_on_while_memory_is_shared_out(indexes: tuple[Resources, list[SearchIndex]]) -> None:
    resources, (index, _) = indexes
    memory = resources.memory
    all_bytes = memory.granted_bytes
    answers = {seed: found(index, seed) for seed in range(10)}

    def search(rounds: int) -> None:
        for at in range(rounds):
            assert_as_good(index, {at % 10: answers[at % 10]})

    with ThreadPoolExecutor(2) as threads:
        searching = [threads.submit(search, 300) for _ in range(2)]
        while not all(one.done() for one in searching):
            for share in (0.0, 0.3, 0.6, 1.0):
                memory.total_bytes = int(share * all_bytes)
                resources.shared.rebalance(memory)
        for one in searching:
            one.result()


def test_a_segment_that_cannot_be_read_keeps_what_it_has(
    indexes: tuple[Resources, list[SearchIndex]], tmp_path: Path
) -> None:
    resources, (index, _) = indexes
    resources.memory.total_bytes = 0
    resources.shared.rebalance(resources.memory)
    for path in (tmp_path / "objects").rglob("segments/*"):
        path.write_bytes(b"")
    resources.memory.total_bytes = 1 << 30
    assert resources.shared.rebalance(resources.memory) == 0
    assert resources.memory.granted_bytes == 0
    assert index.view().rows == ROWS
