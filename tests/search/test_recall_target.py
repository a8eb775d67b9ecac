"""What share of the nearest is to be found: as a search says it, else as its index does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.graph_and_buffer import DEAD, DIMENSION, graph_and_buffer, vectors

from lutra.index.lsm.view import IndexView
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import KnnVector, Range, SearchRequest
from lutra.search import search

QUERIES = np.random.default_rng(3).standard_normal((40, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexView]:
    with graph_and_buffer(tmp_path_factory.mktemp("shelf")) as view:
        yield view


def found(view: IndexView, target: float | None = None, **more: object) -> tuple[float, int]:
    """The share of the true neighbours that is found, and the distances that took."""
    hits = distances = 0
    for query in QUERIES:
        request = SearchRequest(KnnVector("v", query, 10, **more), limit=10, recall_target=target)  # type: ignore[arg-type]
        result = search(view, request)
        distances += result.stats.distances
        true = np.argsort(np.square(vectors()[DEAD:] - query).sum(axis=1))[:10] + DEAD
        hits += len({dict(hit.key)["id"] for hit in result.hits} & set(true.tolist()))
    return hits / (10 * len(QUERIES)), distances


def test_more_is_found_by_more_distances_where_more_is_wanted(view: IndexView) -> None:
    (few, low), (usual, middle), (many, high) = found(view, 0.5), found(view), found(view, 1.0)
    assert low <= middle < high
    assert few <= usual <= many
    assert many > 0.99


def test_an_index_says_it_where_a_search_does_not(view: IndexView) -> None:
    thorough = replace(view, schema=replace(view.schema, recall_target=1.0))
    assert found(thorough) == found(view, 1.0)
    assert found(thorough, 0.5) == found(view, 0.5)


def test_candidates_that_are_named_say_it_in_its_place(view: IndexView) -> None:
    assert found(view, 1.0, num_candidates=20) == found(view, 0.5, num_candidates=20)


def test_it_is_explained(view: IndexView) -> None:
    request = SearchRequest(KnnVector("v", QUERIES[0], 10), limit=10, recall_target=0.99, explain=True)
    assert '"recall_target": 0.99' in str(search(view, request).stats.explanation).replace("'", '"')


@pytest.mark.parametrize("target", [0.49, 1.01, -1.0, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(view: IndexView, target: float) -> None:
    request = SearchRequest(KnnVector("v", QUERIES[0], 10, Range("n", 0, 50)), recall_target=target)
    with pytest.raises(ParameterInvalid, match=r"\[recall_target\] must be in \[0.5, 1\]"):
        search(view, request)
