"""KnnVectorQuery: three metrics, both stored forms, filters, scores and limits."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load, put
from support.searching import ALL, BY_SCORE, columns_of, every_page, field, ids, packed, scores, search, vector_field
from support.tables import TableMaker
from tablestore import BoolQuery, FieldType, KnnVectorQuery, RangeQuery, TermQuery, VectorMetricType

COUNT, DIMENSION = 300, 8
METRICS = {
    "l2": VectorMetricType.VM_EUCLIDEAN,
    "cosine": VectorMetricType.VM_COSINE,
    "dot": VectorMetricType.VM_DOT_PRODUCT,
}
VECTORS = np.random.default_rng(1).standard_normal((COUNT, DIMENSION)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
QUERIES = np.random.default_rng(2).standard_normal((3, DIMENSION)).astype(np.float32)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)


@dataclass(frozen=True)
class Indexed:
    table: str
    index: str

    def nearest(self, client: SdkClient, name: str, query: Sequence[float], top_k: int, **options: Any) -> Any:
        limit = options.pop("limit", top_k)
        knn = KnnVectorQuery(name, top_k, list(map(float, query)), **options)
        return search(client, self.table, self.index, knn, limit=limit, sort=BY_SCORE)


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    """Rows 0 to 299 with one vector each, under every metric; even rows hold it as binary, odd ones as JSON."""
    table = make_for_module.table()
    for_each = []
    for n, vector in enumerate(VECTORS):
        stored: Any = packed(vector.tolist()) if n % 2 == 0 else json.dumps(vector.tolist())
        for_each.append(([("id", f"{n:03d}")], {"n": n, "even": n % 2 == 0, **dict.fromkeys(METRICS, stored)}))
    load(sync_client, table, for_each)
    fields = [vector_field(name, DIMENSION, metric) for name, metric in METRICS.items()]
    index = make_for_module.index(table, [*fields, field("n", FieldType.LONG), field("even", FieldType.BOOLEAN)])
    return Indexed(table, index)


def _scores(name: str, query: np.ndarray) -> np.ndarray:
    """What each row scores, by the formulas the server documents."""
    dots = VECTORS.astype(np.float64) @ query.astype(np.float64)
    if name == "l2":
        return 1.0 / (1.0 + ((VECTORS.astype(np.float64) - query) ** 2).sum(axis=1))
    return (1.0 + dots) / 2.0


def _expected(name: str, query: np.ndarray, among: Any = None) -> list[str]:
    order = np.argsort(-_scores(name, query), kind="stable")
    return [f"{n:03d}" for n in order if among is None or among(n)]


@pytest.mark.parametrize("name", METRICS)
def test_the_nearest_by_each_metric(client: SdkClient, rows: Indexed, name: str) -> None:
    for query in QUERIES:
        response = rows.nearest(client, name, query, 10)
        assert ids(response) == _expected(name, query)[:10]
        expected = np.sort(_scores(name, query))[::-1][:10]
        assert scores(response) == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_a_row_is_nearest_to_its_own_vector(client: SdkClient, rows: Indexed, name: str) -> None:
    for n in (0, 1, 298, 299):
        response = rows.nearest(client, name, VECTORS[n], 1)
        assert ids(response) == [f"{n:03d}"]
        assert scores(response) == pytest.approx([1.0], abs=1e-5)


@pytest.mark.parametrize(
    ("query_filter", "among"),
    [
        (TermQuery("even", True), lambda n: n % 2 == 0),
        (RangeQuery("n", 100, 104), lambda n: 100 <= n < 104),
        (
            BoolQuery(must_queries=[RangeQuery("n", 50)], must_not_queries=[TermQuery("even", True)]),
            lambda n: n >= 50 and n % 2,
        ),
        (TermQuery("n", -1), lambda n: False),
    ],
    ids=["half", "four", "bool", "none"],
)
def test_the_nearest_among_those_a_filter_lets_pass(
    client: SdkClient, rows: Indexed, query_filter: Any, among: Any
) -> None:
    """As many as asked for, where that many qualify; their scores are as without the filter."""
    query = QUERIES[0]
    response = rows.nearest(client, "l2", query, 10, filter=query_filter)
    assert ids(response) == _expected("l2", query, among)[:10]
    by_row = _scores("l2", query)
    assert scores(response) == pytest.approx([by_row[int(name)] for name in ids(response)], rel=1e-5)


def test_weight(client: SdkClient, rows: Indexed) -> None:
    plain = rows.nearest(client, "cosine", QUERIES[0], 5)
    heavy = rows.nearest(client, "cosine", QUERIES[0], 5, weight=2.5)
    assert ids(heavy) == ids(plain)
    assert scores(heavy) == pytest.approx([2.5 * score for score in scores(plain)])


def test_min_score(client: SdkClient, rows: Indexed) -> None:
    plain = rows.nearest(client, "cosine", QUERIES[0], 10)
    bound = (scores(plain)[3] + scores(plain)[4]) / 2
    assert ids(rows.nearest(client, "cosine", QUERIES[0], 10, min_score=bound)) == ids(plain)[:4]
    assert ids(rows.nearest(client, "cosine", QUERIES[0], 10, min_score=10.0)) == []
    assert ids(rows.nearest(client, "cosine", QUERIES[0], 10, min_score=0.0)) == ids(plain)


def test_num_candidates(client: SdkClient, rows: Indexed) -> None:
    response = rows.nearest(client, "l2", QUERIES[0], 10, num_candidates=100)
    assert ids(response) == _expected("l2", QUERIES[0])[:10]


def test_the_limit_where_it_is_larger_than_top_k(client: SdkClient, rows: Indexed) -> None:
    """An official test: ten of a thousand asked for, a page of a hundred gives a hundred and a token."""
    response = rows.nearest(client, "l2", QUERIES[0], 10, limit=100)
    assert ids(response) == _expected("l2", QUERIES[0])[:100]
    assert response.next_token
    assert response.total_count == -1


def test_the_limit_where_it_is_smaller_than_top_k(client: SdkClient, rows: Indexed) -> None:
    knn = KnnVectorQuery("l2", 25, QUERIES[0].tolist())
    pages = every_page(client, rows.table, rows.index, knn, limit=10, sort=BY_SCORE)
    found = [name for page in pages for name in page]
    assert found == _expected("l2", QUERIES[0])[: len(found)]
    assert len(found) >= 25


def test_the_largest_top_k(client: SdkClient, rows: Indexed) -> None:
    response = rows.nearest(client, "l2", QUERIES[0], 1_000)
    assert ids(response) == _expected("l2", QUERIES[0])


def test_without_a_sort_rows_come_by_key_and_have_no_score(client: SdkClient, rows: Indexed) -> None:
    response = search(client, rows.table, rows.index, KnnVectorQuery("l2", 10, QUERIES[0].tolist()), limit=10)
    assert ids(response) == sorted(_expected("l2", QUERIES[0])[:10])
    assert all(math.isnan(score) for score in scores(response))


def test_in_a_bool_scores_add(client: SdkClient, rows: Indexed) -> None:
    """Hybrid search: two vectors and a keyword, each may bring a row in."""
    first, second = QUERIES[0], QUERIES[1]
    query = BoolQuery(
        should_queries=[
            KnnVectorQuery("l2", 5, first.tolist()),
            KnnVectorQuery("cosine", 5, second.tolist(), weight=2.0),
            TermQuery("n", 123, weight=100.0),
        ]
    )
    response = search(client, rows.table, rows.index, query, sort=BY_SCORE)
    near_first, near_second = set(_expected("l2", first)[:5]), set(_expected("cosine", second)[:5])
    assert set(ids(response)) == near_first | near_second | {"123"}
    assert ids(response)[0] == "123"
    by_first, by_second = _scores("l2", first), _scores("cosine", second)
    for name, score in zip(ids(response), scores(response), strict=True):
        if name != "123":
            parts = (name in near_first) * by_first[int(name)] + (name in near_second) * 2 * by_second[int(name)]
            assert score == pytest.approx(parts, rel=1e-5)


def test_in_a_must_beside_a_filter(client: SdkClient, rows: Indexed) -> None:
    query = BoolQuery(
        must_queries=[KnnVectorQuery("l2", 20, QUERIES[0].tolist())], filter_queries=[TermQuery("even", True)]
    )
    response = search(client, rows.table, rows.index, query, sort=BY_SCORE)
    assert ids(response) == [name for name in _expected("l2", QUERIES[0])[:20] if int(name) % 2 == 0]


def test_vectors_come_back_as_they_were_written(client: SdkClient, rows: Indexed) -> None:
    query = ots.TermsQuery("n", [4, 5])
    binary, text = search(client, rows.table, rows.index, query, columns=ALL).rows
    assert columns_of(binary)["l2"] == packed(VECTORS[4].tolist())
    assert columns_of(text)["l2"] == json.dumps(VECTORS[5].tolist())


@pytest.mark.parametrize(
    "knn",
    [
        pytest.param(KnnVectorQuery("l2", 10, [0.0] * (DIMENSION - 1)), id="too short"),
        pytest.param(KnnVectorQuery("l2", 10, [0.0] * (DIMENSION + 1)), id="too long"),
        pytest.param(KnnVectorQuery("l2", 10, []), id="empty"),
        pytest.param(KnnVectorQuery("l2", 10, [math.nan] * DIMENSION), id="nan"),
        pytest.param(KnnVectorQuery("l2", 10, [math.inf] * DIMENSION), id="infinite"),
        pytest.param(KnnVectorQuery("l2", 0, [0.0] * DIMENSION), id="top_k 0"),
        pytest.param(KnnVectorQuery("l2", 1_001, [0.0] * DIMENSION), id="top_k 1001"),
        pytest.param(KnnVectorQuery("l2", 10, [0.0] * DIMENSION, num_candidates=9), id="fewer candidates than top_k"),
        pytest.param(KnnVectorQuery("l2", 10, [0.0] * DIMENSION, min_score=-0.1), id="negative score"),
        pytest.param(KnnVectorQuery("l2", 10, [0.0] * DIMENSION, weight=-1.0), id="negative weight"),
        pytest.param(KnnVectorQuery("n", 10, [0.0] * DIMENSION), id="no vector field"),
        pytest.param(KnnVectorQuery("absent", 10, [0.0] * DIMENSION), id="no field"),
        pytest.param(KnnVectorQuery("l2", 10, [0.0] * DIMENSION, TermQuery("absent", 1)), id="bad filter"),
        pytest.param(
            KnnVectorQuery("l2", 10, [0.0] * DIMENSION, KnnVectorQuery("l2", 10, [0.0] * DIMENSION)), id="knn in knn"
        ),
    ],
)
def test_queries_that_are_none(client: SdkClient, rows: Indexed, knn: KnnVectorQuery) -> None:
    with invalid():
        search(client, rows.table, rows.index, knn)


BAD_VECTORS = {
    "short": packed([1.0]),
    "long": packed([1.0, 0.0, 0.0]),
    "odd bytes": bytearray(b"1234567"),
    "nan": packed([math.nan, 0.0]),
    "infinite": packed([math.inf, 0.0]),
    "json short": "[1.0]",
    "json nan": "[NaN, 0.0]",
    "json text": '["a", "b"]',
    "json nested": "[[1.0, 0.0]]",
    "no json": "[1.0, ",
    "number": 1,
    "empty": "",
}


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_vectors_that_do_not_fit_leave_their_row_findable(
    client: SdkClient, make: TableMaker, table: str, name: str
) -> None:
    index = make.index(table, [vector_field("v", 2, VectorMetricType.VM_EUCLIDEAN), field("n", FieldType.LONG)])
    put(client, table, [("id", "bad")], n=1, v=BAD_VECTORS[name])
    put(client, table, [("id", "good")], n=2, v="[1, 0]")
    make.wait_synced(table, index)
    assert ids(search(client, table, index, KnnVectorQuery("v", 10, [0.0, 0.0]))) == ["good"]
    assert ids(search(client, table, index, ots.ExistsQuery("v"))) == ["good"]
    assert ids(search(client, table, index, ots.MatchAllQuery())) == ["bad", "good"]


def test_a_vector_follows_its_row(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [vector_field("v", 2, VectorMetricType.VM_EUCLIDEAN)])
    put(client, table, [("id", "a")], v=packed([0.0, 0.0]))
    put(client, table, [("id", "b")], v=packed([1.0, 0.0]))

    def nearest() -> list[Any]:
        make.wait_synced(table, index)
        return ids(search(client, table, index, KnnVectorQuery("v", 2, [0.0, 0.0]), sort=BY_SCORE))

    assert nearest() == ["a", "b"]
    client.update_row(table, ots.Row([("id", "a")], {"PUT": [("v", "[5.0, 0.0]")]}), None)
    assert nearest() == ["b", "a"]
    client.update_row(table, ots.Row([("id", "b")], {"DELETE_ALL": ["v"]}), None)
    assert nearest() == ["a"]
    client.delete_row(table, [("id", "a")])
    assert nearest() == []


def test_a_zero_vector_under_cosine(client: SdkClient, make: TableMaker, table: str) -> None:
    """It has no direction; it must neither fail the search nor score as a number that is none."""
    index = make.index(table, [vector_field("v", 2, VectorMetricType.VM_COSINE)])
    put(client, table, [("id", "zero")], v=packed([0.0, 0.0]))
    put(client, table, [("id", "one")], v=packed([1.0, 0.0]))
    make.wait_synced(table, index)
    for query in ([1.0, 0.0], [0.0, 0.0]):
        response = search(client, table, index, KnnVectorQuery("v", 2, query), sort=BY_SCORE)
        assert all(0 <= score <= 1 for score in scores(response))
