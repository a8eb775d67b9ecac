"""A search made twice: what it found of the true neighbours is what comparing all says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.graph_and_buffer import DEAD, DIMENSION, graph_and_buffer, vectors

from lutra.index.lsm.view import IndexView
from lutra.model.deadline import current_deadline
from lutra.model.queries import Bool, KnnVector, Query, Range, SearchRequest, Term
from lutra.search import search
from lutra.search.shadow import neighbours_of, shadow

QUERIES = np.random.default_rng(4).standard_normal((30, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexView]:
    with graph_and_buffer(tmp_path_factory.mktemp("shelf")) as view:
        yield view


@pytest.mark.parametrize("filter_", [None, Range("n", 0, 30)])
def test_it_counts_what_comparing_all_counts(view: IndexView, filter_: Query | None) -> None:
    numbers = np.arange(len(vectors()))
    counts = (numbers >= DEAD) & ((numbers % 100 <= 30) | (filter_ is None))
    missed = 0
    for query in QUERIES:
        request = SearchRequest(KnnVector("v", query, 10, filter_, num_candidates=10), limit=10)
        order = np.argsort(np.square(vectors() - query).sum(axis=1), kind="stable")
        true = set(order[counts[order]][:10].tolist())
        found = {dict(hit.key)["id"] for hit in search(view, request).hits}
        measured = shadow(view, request, current_deadline())
        assert measured == (10, len(true & found))
        missed += 10 - len(true & found)
    assert missed > 0 or filter_ is not None, "a search that misses nothing shows nothing"


def test_of_other_searches_there_is_nothing_to_measure(view: IndexView) -> None:
    assert shadow(view, SearchRequest(Term("n", 3)), current_deadline()) is None
    near = KnnVector("v", QUERIES[0], 5)
    assert neighbours_of(Term("n", 3)) == []
    assert neighbours_of(Bool(must=(Term("n", 3),), should=(Bool(filter=(near,)),))) == [near]
