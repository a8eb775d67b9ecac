"""Samples of an index's vectors: by chance, the same again, of rows that live and match, with what belongs to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.graph_and_buffer import BUFFERED, DEAD, DIMENSION, KEY, ROWS, graph_and_buffer, vectors
from support.indexes import memory_index
from support.stored_segments import Shelf

from lutra.index.lsm.view import IndexView
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.queries import KnnVector, Range, Term
from lutra.model.rows import Row
from lutra.search import sample
from lutra.search.sample import ROWS_MAX, SampleRequest, VectorSample, sample_of
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.plane import plane_of

LIVE = ROWS - DEAD + BUFFERED


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexView]:
    with graph_and_buffer(tmp_path_factory.mktemp("shelf")) as view:
        yield view


def ids(taken: VectorSample) -> list[int]:
    return [dict(key)["id"] for key in taken.keys]  # type: ignore[misc]


def test_each_row_comes_with_its_vector_and_values(view: IndexView) -> None:
    stored = vectors()
    taken = sample_of(view, SampleRequest("v", 500, values=("n",)))
    assert len(set(ids(taken))) == 500
    assert min(ids(taken)) >= DEAD
    assert taken.of_rows == LIVE
    assert taken.segments == (view.parts[0].name,)
    assert np.array_equal(taken.vectors, stored[ids(taken)])
    assert taken.values == {"n": [n % 100 for n in ids(taken)]}
    assert sum(n >= ROWS for n in ids(taken)) == pytest.approx(500 * BUFFERED / LIVE, abs=1)


def test_where_there_are_no_more_all_come(view: IndexView) -> None:
    taken = sample_of(view, SampleRequest("v", 20_000))
    assert sorted(ids(taken)) == list(range(DEAD, ROWS + BUFFERED))
    assert np.array_equal(taken.vectors, vectors()[ids(taken)])


def test_a_filter_leaves_out_rows(view: IndexView) -> None:
    taken = sample_of(view, SampleRequest("v", 300, Range("n", 10, 19)))
    assert taken.of_rows == LIVE // 10
    assert {n % 100 for n in ids(taken)} == set(range(10, 20))
    assert len(ids(taken)) == 300
    nothing = sample_of(view, SampleRequest("v", 300, Term("n", 777), values=("n",)))
    assert (nothing.keys, nothing.vectors.shape, nothing.values, nothing.of_rows) == ([], (0, DIMENSION), {"n": []}, 0)


def test_it_is_by_chance_and_the_same_again(view: IndexView) -> None:
    first, again = (ids(sample_of(view, SampleRequest("v", 400))) for _ in range(2))
    assert first == again
    in_segment = np.array([n for n in first if n < ROWS])
    counts = np.histogram(in_segment, bins=10, range=(DEAD, ROWS))[0]
    expected = len(in_segment) / 10
    assert np.square(counts - expected).sum() / expected < 27.9, "chi-squared of 9 degrees: 1 in 1,000"
    fewer = sample_of(view, SampleRequest("v", 200))
    assert set(ids(fewer)) <= set(first)


def test_a_large_part_is_looked_at_piece_by_piece(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    for request in (SampleRequest("v", 150), SampleRequest("v", 250, Range("n", 10, 19)), SampleRequest("v", 5_000)):
        whole = ids(sample_of(view, request))
        with monkeypatch.context() as patched:
            patched.setattr(sample, "_MIXED_AT_ONCE", 77)
            assert ids(sample_of(view, request)) == whole


def test_rows_that_die_are_all_that_changes(view: IndexView) -> None:
    before = set(ids(sample_of(view, SampleRequest("v", 400))))
    gone = sorted(before)[:20]
    part = view.parts[0]
    docs = [(part, int(doc)) for doc in np.flatnonzero(np.isin(np.arange(ROWS), gone))]
    after = set(ids(sample_of(view.without(docs), SampleRequest("v", 400))))
    assert not after & set(gone)
    assert len(before - after) <= len(gone) + 2


def test_long_vectors_are_fewer(view: IndexView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "BYTES_MAX", 100 * 4 * DIMENSION)
    assert len(sample_of(view, SampleRequest("v", 400)).keys) == 100


def test_values_of_every_kind_that_can_be_shown() -> None:
    schema = IndexSchema(
        (
            FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
            FieldSchema("word", FieldType.KEYWORD),
            FieldSchema("tags", FieldType.KEYWORD, is_array=True),
            FieldSchema("x", FieldType.DOUBLE),
            FieldSchema("ok", FieldType.BOOLEAN),
            FieldSchema("when", FieldType.DATE, date_formats=("yyyy-MM-dd",)),
        )
    )
    index = memory_index(schema, KEY)
    vector = np.ones(2, "<f4").tobytes()
    filled: list[Any] = [("word", "水", 1), ("tags", '["b", "a"]', 1), ("x", 0.5, 1), ("ok", False, 1)]
    index.apply(
        [
            Row((("id", 1),), [("v", vector, 1), *filled, ("when", "1970-01-02", 1)]),
            Row((("id", 2),), [("v", vector, 1)]),
            Row((("id", 3),), [("word", "no vector", 1)]),
        ]
    )
    names = ("word", "tags", "x", "ok", "when")
    taken = sample_of(index.view(), SampleRequest("v", 10, values=names))
    assert ids(taken) == [1, 2]
    first = {name: values[0] for name, values in taken.values.items()}
    assert first == {"word": "水", "tags": "b", "x": 0.5, "ok": False, "when": 86_400_000_000}
    assert {values[1] for values in taken.values.values()} == {None}
    assert taken.basis.shape == (0, 2)


@pytest.mark.parametrize(
    "request_",
    [
        SampleRequest("n", 10),
        SampleRequest("absent", 10),
        SampleRequest("v", 0),
        SampleRequest("v", ROWS_MAX + 1),
        SampleRequest("v", 10, values=("t",)),
        SampleRequest("v", 10, values=("absent",)),
        SampleRequest("v", 10, KnnVector("v", np.zeros(DIMENSION, np.float32), 3)),
        SampleRequest("v", 10, Term("absent", 1)),
        SampleRequest("v", 10, timeout_ms=0),
    ],
)
def test_what_makes_no_sense_is_refused(view: IndexView, request_: SampleRequest) -> None:
    with pytest.raises(ParameterInvalid):
        sample_of(view, request_)


def test_a_sample_of_a_narrowed_part_is_of_what_is_left(view: IndexView) -> None:
    buffer = replace(view, parts=(view.parts[1],))
    left = buffer.without([(view.parts[1], doc) for doc in range(BUFFERED - 3)])
    assert sorted(ids(sample_of(left, SampleRequest("v", 10)))) == list(range(ROWS + BUFFERED - 3, ROWS + BUFFERED))


def test_a_segments_own_basis_comes_along(tmp_path: Path) -> None:
    """Which leads to the same plane as all dimensions do."""
    rows, dimension = 300, 256
    rng = np.random.default_rng(0)
    stored = (rng.standard_normal((rows, dimension)) * 0.93 ** np.arange(dimension)).astype("<f4")
    schema = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(dimension, Metric.EUCLIDEAN)),))
    index, shelf = memory_index(schema, KEY), Shelf(tmp_path)
    index.apply([Row((("id", n),), [("v", v.tobytes(), 1)]) for n, v in enumerate(stored)])
    plan = BuildPlan(SegmentKind.GRAPH, code_bits=4, code_bytes=40, fine_bytes=0)
    name, _ = shelf.build([index.view().parts[0]], schema, {"v": plan})
    with shelf.open(name, schema) as segment:
        taken = sample_of(replace(index.view(), parts=(segment, index.view().parts[0])), SampleRequest("v", 2_000))
        assert 64 <= len(taken.basis) < dimension
        assert len(taken.keys) == 2 * rows
        within, free = (plane_of(taken.vectors, Metric.EUCLIDEAN, of) for of in (taken.basis, None))
        assert np.abs(np.sum(within.directions * free.directions, axis=1)) == pytest.approx([1, 1], abs=0.02)
        assert within.explained == pytest.approx(free.explained, rel=0.01)
    shelf.close()
