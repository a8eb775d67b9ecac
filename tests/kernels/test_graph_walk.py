"""Walks: what they return and what it costs, under masks of every kind."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray
from support.graphs import Vectors, manifold, recall, walker

from lutra.kernels.codes import Quantizer
from lutra.kernels.distance import topk
from lutra.kernels.graph import Graph, WalkEnd, Walker, build
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

ROWS = 6000
Mask = NDArray[np.bool_]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return manifold(ROWS + 50, 48)


@pytest.fixture(scope="module")
def base(vectors: Vectors) -> Vectors:
    return vectors[:ROWS]


@pytest.fixture(scope="module")
def queries(vectors: Vectors) -> Vectors:
    return vectors[ROWS:]


@pytest.fixture(scope="module")
def graph(base: Vectors) -> Graph:
    return build(base, Metric.EUCLIDEAN, degree=24)


@pytest.fixture(scope="module")
def walked(base: Vectors, graph: Graph) -> Walker:
    return walker(base, graph, Metric.EUCLIDEAN)


def test_results_are_in_order_with_bounds_around_the_distances(walked: Walker, base: Vectors, queries: Vectors) -> None:
    walks = walked.walk(queries, 80, 30)
    assert walks.rows.shape == walks.estimates.shape == (50, 30)
    assert (np.diff(walks.estimates, axis=1) >= 0).all()
    true = ((base[walks.rows] - queries[:, None, :]) ** 2).sum(axis=2)
    inside = (walks.lower_bounds <= true) & (true <= walks.upper_bounds)
    assert inside.mean() > 0.9
    assert (walks.lower_bounds <= walks.estimates).all()
    assert (walks.ends == WalkEnd.DONE).all()
    assert (walks.pass_rates == 1).all()
    assert (walks.bridges == 0).all()
    assert recall(walks.rows[:, :10], queries, base, Metric.EUCLIDEAN) >= 0.97


def test_a_wider_beam_costs_more_and_finds_more(walked: Walker, base: Vectors, queries: Vectors) -> None:
    shares, costs = [], []
    for beam in (10, 40, 160):
        walks = walked.walk(queries, beam, 10)
        shares.append(recall(walks.rows, queries, base, Metric.EUCLIDEAN))
        costs.append(walks.distances.mean())
        assert (walks.hops >= beam).all()
    assert shares == sorted(shares)
    assert costs == sorted(costs)
    assert costs[-1] < ROWS / 2


def test_threads_make_no_difference(walked: Walker, queries: Vectors) -> None:
    expected = walked.walk(queries, 50, 20, threads=1)
    several = walked.walk(queries, 50, 20, threads=4)
    assert (several.rows == expected.rows).all()
    assert (several.distances == expected.distances).all()
    found: list[bool] = []

    def run() -> None:
        found.append(bool((walked.walk(queries, 50, 20, threads=2).rows == expected.rows).all()))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def masks(base: Vectors, query: Vectors, share: float) -> dict[str, Mask]:
    """By chance; the rows nearest to the query; those nearest to a row far from it."""
    count = max(1, round(ROWS * share))
    chance = np.zeros(ROWS, dtype=np.bool_)
    chance[np.random.default_rng(7).permutation(ROWS)[:count]] = True
    result = {"by chance": chance}
    far = base[topk(query[None, :], base, ROWS, Metric.EUCLIDEAN)[0][0][-ROWS // 20]]
    for name, centre in (("correlated", query), ("anti-correlated", far)):
        result[name] = np.zeros(ROWS, dtype=np.bool_)
        result[name][topk(centre[None, :], base, count, Metric.EUCLIDEAN)[0][0]] = True
    return result


@pytest.mark.parametrize("share", [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001])
def test_recall_under_masks(walked: Walker, base: Vectors, queries: Vectors, share: float) -> None:
    shares: dict[str, list[float]] = {}
    for query in queries[:12]:
        for name, mask in masks(base, query, share).items():
            walks = walked.walk(query[None, :], 60, 20, mask=mask, least=10)
            rows = walks.rows[0][walks.rows[0] >= 0]
            assert mask[rows].all()
            assert len(rows) >= min(10, mask.sum())
            wanted = min(10, len(rows))
            shares.setdefault(name, []).append(
                recall(rows[None, :wanted], query[None, :], base, Metric.EUCLIDEAN, mask)
            )
    # Of a handful among thousands each may lie more than two hops from all others: such masks are for a scan.
    least = 0.95 if share >= 0.02 else 0.9
    assert all(float(np.mean(found)) >= least for found in shares.values()), shares


@pytest.mark.parametrize("share", [0.3, 0.05, 0.01])
def test_a_mask_costs_no_more_than_a_few_walks_without(
    walked: Walker, base: Vectors, queries: Vectors, share: float
) -> None:
    for query in queries[:5]:
        free = walked.walk(query[None, :], 60, 20)
        for mask in masks(base, query, share).values():
            walks = walked.walk(query[None, :], 60, 20, mask=mask, least=10)
            assert walks.distances[0] + walks.bridges[0] < 4 * free.distances[0]


def test_the_pass_rate_is_that_near_the_query(walked: Walker, base: Vectors, queries: Vectors) -> None:
    for query in queries[:5]:
        kinds = masks(base, query, 0.1)
        rates = {name: walked.walk(query[None, :], 60, 20, mask=mask).pass_rates[0] for name, mask in kinds.items()}
        assert 0.05 < rates["by chance"] < 0.2
        assert rates["correlated"] > 0.25
        assert rates["correlated"] > rates["anti-correlated"]


def test_all_that_count_are_found_where_they_are_few(walked: Walker, queries: Vectors) -> None:
    for count in (0, 1, 3, 9):
        mask = np.zeros(ROWS, dtype=np.bool_)
        mask[np.random.default_rng(count).permutation(ROWS)[:count]] = True
        walks = walked.walk(queries[:3], 30, 10, mask=mask, least=10)
        for rows, end in zip(walks.rows, walks.ends, strict=True):
            assert set(rows.tolist()) - {-1} == set(np.flatnonzero(mask).tolist())
            assert end == WalkEnd.EXHAUSTED
        unused = walks.rows == -1
        assert np.isposinf(walks.estimates[unused]).all()
        assert not np.isposinf(walks.estimates[~unused]).any()


def test_a_walk_gives_up_at_its_limit(walked: Walker, queries: Vectors) -> None:
    mask = np.zeros(ROWS, dtype=np.bool_)
    mask[:2] = True
    walks = walked.walk(queries[:5], 30, 10, mask=mask, least=10, effort_max=700)
    assert (walks.ends == WalkEnd.GAVE_UP).all()
    assert (walks.distances + walks.bridges < 1500).all()
    assert (walks.pass_rates < 0.05).all()
    assert (walked.walk(queries, 400, 10, effort_max=300).ends == WalkEnd.GAVE_UP).all()


def test_a_mask_of_all_rows_costs_what_none_costs(walked: Walker, queries: Vectors) -> None:
    free = walked.walk(queries, 60, 20)
    full = walked.walk(queries, 60, 20, mask=np.ones(ROWS, dtype=np.bool_), least=20)
    assert (free.rows == full.rows).mean() > 0.99
    assert full.distances.mean() < 1.1 * free.distances.mean()


def test_no_rows(queries: Vectors) -> None:
    graph = build(np.empty((0, 48), dtype=np.float32), Metric.EUCLIDEAN)
    walks = walker(np.empty((0, 48), dtype=np.float32), graph, Metric.EUCLIDEAN).walk(queries[:2], 10, 5)
    assert (walks.rows == -1).all()
    assert walks.rows.shape == (2, 5)


def test_what_makes_no_sense_is_refused(walked: Walker, graph: Graph, base: Vectors, queries: Vectors) -> None:
    for arguments in ((0, 1), (4097, 1), (10, 0), (10, 4097)):
        with pytest.raises(ValueError, match="is 1 to 4096"):
            walked.walk(queries, *arguments)
    with pytest.raises(ValueError, match="least"):
        walked.walk(queries, 10, 5, least=6)
    with pytest.raises(ValueError, match="mask"):
        walked.walk(queries, 10, 5, mask=np.ones(3, dtype=np.bool_))
    with pytest.raises(ValueError, match="dimensions"):
        walked.walk(queries[:, :5].copy(), 10, 5)
    with pytest.raises(ParameterInvalid, match="1"):
        walked.walk(np.stack([queries[0], np.full(48, np.inf, dtype=np.float32)]), 10, 5)
    quantizer = Quantizer(48, 2, Metric.EUCLIDEAN)
    records = quantizer.encode(base)
    with pytest.raises(ValueError, match="records"):
        Walker(graph.neighbours, graph.entries, records[:-1].copy(), quantizer)
    with pytest.raises(ValueError, match="bytes"):
        Walker(graph.neighbours, graph.entries, records[:, :-1].copy(), quantizer)
    with pytest.raises(ValueError, match="neighbour"):
        Walker(np.full_like(graph.neighbours, ROWS), graph.entries, records, quantizer)
    for entries in ([], [ROWS]):
        with pytest.raises(ValueError, match=r"entr"):
            Walker(graph.neighbours, np.array(entries, dtype=np.uint32), records, quantizer)
