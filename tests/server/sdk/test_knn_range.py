"""KNN over vectors of any length that float32 holds, through the SDK: right scores, in order, each row once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tablestore as ots
from support.sdk import SdkClient, load
from support.searching import BY_SCORE, NONE, ids, packed, scores, search, vector_field
from support.tables import TableMaker
from tablestore import BoolQuery, KnnVectorQuery, VectorMetricType

COUNT, DIMENSION, FAR, LAST = 120, 8, 17, 119
METRICS = {
    "l2": VectorMetricType.VM_EUCLIDEAN,
    "cosine": VectorMetricType.VM_COSINE,
    "dot": VectorMetricType.VM_DOT_PRODUCT,
}
VECTORS = np.random.default_rng(1).standard_normal((COUNT, DIMENSION)).astype(np.float32)
VECTORS[FAR] *= np.float32(1e20)
VECTORS[40:60] = VECTORS[40]  # twenty rows tie
VECTORS[60] = 0
VECTORS[61] *= np.float32(1e-40)
VECTORS[LAST] = np.float32(3.4e38)


@pytest.fixture(scope="module")
def index(make_for_module: TableMaker, sync_client: ots.OTSClient) -> tuple[str, str]:
    table = make_for_module.table()
    rows = [([("id", f"{n:03d}")], dict.fromkeys(METRICS, packed(vector.tolist()))) for n, vector in enumerate(VECTORS)]
    load(sync_client, table, rows)
    fields = [vector_field(name, DIMENSION, metric) for name, metric in METRICS.items()]
    return table, make_for_module.index(table, fields)


def nearest(
    client: SdkClient, index: tuple[str, str], name: str, query: Any, top_k: int = COUNT, **options: Any
) -> Any:
    knn = KnnVectorQuery(name, top_k, [float(element) for element in query], **options)
    return search(client, *index, knn, limit=min(top_k, 100), sort=BY_SCORE)


def true_scores(name: str, query: np.ndarray) -> np.ndarray:
    """By row, in extended precision."""
    q, v = query.astype(np.longdouble), VECTORS.astype(np.longdouble)
    products = (v * q).sum(axis=1)
    if name == "l2":
        result = 1 / (1 + ((v - q) ** 2).sum(axis=1))
    elif name == "dot":
        result = (1 + products) / 2
    else:
        lengths = np.sqrt((v * v).sum(axis=1) * (q * q).sum())
        result = (1 + np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)) / 2
    return result.astype(np.float64)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("factor", [1.0, 1e20, 1e-23, 1e-38, 1e38])
def test_any_length_of_query(client: SdkClient, index: tuple[str, str], name: str, factor: float) -> None:
    query = (VECTORS[5].astype(np.float64) * factor).astype(np.float32)
    expected = true_scores(name, query)
    response = nearest(client, index, name, query)
    found = dict(zip(map(int, ids(response)), scores(response), strict=True))
    assert all(map(math.isfinite, found.values()))
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert list(found.values()) == pytest.approx(np.sort(expected)[::-1][:100].tolist(), rel=1e-5)
    for row, score in found.items():
        assert score == pytest.approx(expected[row], rel=1e-5, abs=1e-6 if name == "cosine" else 0)


def test_a_cosine_does_not_ask_for_lengths(client: SdkClient, index: tuple[str, str]) -> None:
    """The row of 1e20 is as near as its direction is; a query of any length finds the same rows in the same order."""
    plain = nearest(client, index, "cosine", VECTORS[5])
    for factor in (1e20, 1e-23, 1e-37):
        other = nearest(client, index, "cosine", (VECTORS[5].astype(np.float64) * factor).astype(np.float32))
        assert ids(other) == ids(plain)
        assert scores(other) == pytest.approx(scores(plain), abs=1e-6)
    direction = VECTORS[FAR] / np.float32(1e20)
    response = nearest(client, index, "cosine", direction, 1)
    assert (ids(response), scores(response)) == ([f"{FAR:03d}"], pytest.approx([1.0], abs=1e-6))


@pytest.mark.parametrize("name", ["l2", "cosine"])
def test_a_rows_own_score_is_one(client: SdkClient, index: tuple[str, str], name: str) -> None:
    for row in (0, 5, FAR, 61, LAST):
        response = nearest(client, index, name, VECTORS[row])
        by_row = dict(zip(ids(response), scores(response), strict=True))
        assert by_row[f"{row:03d}"] == 1.0
        assert max(by_row.values()) == 1.0


def test_sums_of_opposites_and_weights_of_zero_are_numbers(client: SdkClient, index: tuple[str, str]) -> None:
    """Products of about 1e77 and their opposites, in one Bool; in pages of seven, each row comes once."""
    one = [3.4e38] * DIMENSION
    other = [-3.4e38] * DIMENSION
    for weights in ((1.0, 1.0), (0.0, 0.0), (3e38, 3e38), (0.0, 3e38)):
        clauses = [
            KnnVectorQuery("dot", COUNT, vector, weight=weight)
            for vector, weight in zip((one, other), weights, strict=True)
        ]
        query = BoolQuery(should_queries=clauses)
        seen: list[str] = []
        found: list[float] = []
        token = None
        for _ in range(COUNT):
            page = ots.SearchQuery(query, sort=None if token else BY_SCORE, limit=7, next_token=token)
            response = client.search(*index, page, NONE)
            seen += ids(response)
            found += scores(response)
            token = response.next_token
            if not token:
                break
        assert sorted(seen) == [f"{n:03d}" for n in range(COUNT)]
        assert all(map(math.isfinite, found))
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("name", METRICS)
def test_paging_through_ties_loses_no_row(client: SdkClient, index: tuple[str, str], name: str) -> None:
    """Twenty equal rows, and those whose squares leave float32."""
    for query in (VECTORS[40], VECTORS[LAST], np.zeros(DIMENSION, np.float32)):
        knn = KnnVectorQuery(name, COUNT, [float(element) for element in query])
        seen: list[str] = []
        token = None
        for _ in range(COUNT):
            page = ots.SearchQuery(knn, sort=None if token else BY_SCORE, limit=9, next_token=token)
            response = client.search(*index, page, NONE)
            seen += ids(response)
            token = response.next_token
            if not token:
                break
        assert len(seen) == COUNT
        assert set(seen) == {f"{n:03d}" for n in range(COUNT)}


@pytest.mark.parametrize("name", METRICS)
def test_min_score_is_not_included(client: SdkClient, index: tuple[str, str], name: str) -> None:
    """A score handed back leaves out every row that has it, however often float32 rounded it on the way."""
    query = VECTORS[40]
    plain = nearest(client, index, name, query)
    for place in (0, 19, 20, 50, 90):
        bound = scores(plain)[place]
        if not 0 <= bound < 3e38:
            continue
        kept = [
            row for row, score in zip(ids(plain), scores(plain), strict=True) if np.float32(score) > np.float32(bound)
        ]
        assert ids(nearest(client, index, name, query, min_score=bound)) == kept
    assert len(ids(nearest(client, index, name, query, min_score=0.0))) <= len(ids(plain))
    assert min(scores(nearest(client, index, name, query, min_score=0.0))) > 0


@pytest.mark.parametrize("weight", [0.3, 1.0, 7.0])
def test_min_score_goes_by_the_score_with_its_weight(client: SdkClient, index: tuple[str, str], weight: float) -> None:
    """Twenty equal rows score just as much as the bound, and none of them is kept; with a little less, all are."""
    plain = nearest(client, index, "cosine", VECTORS[5], weight=weight)
    by_row = dict(zip(ids(plain), scores(plain), strict=True))
    bound = by_row["040"]
    ties = {row for row, score in by_row.items() if score == bound}
    assert len(ties) >= 20
    kept = ids(nearest(client, index, "cosine", VECTORS[5], weight=weight, min_score=bound))
    assert set(kept) == {row for row, score in by_row.items() if score > bound}
    less = float(np.nextafter(np.float32(bound), np.float32(0)))
    assert ties <= set(ids(nearest(client, index, "cosine", VECTORS[5], weight=weight, min_score=less)))


def test_a_weight_of_zero_scores_nothing(client: SdkClient, index: tuple[str, str]) -> None:
    """All score 0, be they infinitely near or far, and come by key; a min_score of 0 leaves none."""
    for name in METRICS:
        plain = nearest(client, index, name, VECTORS[LAST], weight=0.0)
        assert scores(plain) == [0.0] * 100
        assert ids(plain) == sorted(ids(plain))
        assert ids(nearest(client, index, name, VECTORS[LAST], weight=0.0, min_score=0.0)) == []
