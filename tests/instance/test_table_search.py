"""Searches through the embedded API, against numpy where there is something to compute."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lutra

DIMENSION = 8
COUNT = 300


@pytest.fixture(scope="module")
def vectors() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(3).normal(size=(COUNT, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def db(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> Iterator[lutra.Database]:
    with lutra.connect() as database:
        yield database


@pytest.fixture(scope="module")
def docs(db: lutra.Database, vectors: np.ndarray[Any, np.dtype[np.float32]]) -> lutra.Table:
    """Three metrics over the same vectors."""
    table = db.create_table(
        "docs",
        key={"id": int},
        fields={
            "kind": str,
            "year": int,
            "tags": list[str],
            "at": dt.datetime,
            "text": lutra.Stored(str),
            "cosine": lutra.Vector(DIMENSION),
            "euclidean": lutra.Vector(DIMENSION, "euclidean"),
            "dot": lutra.Vector(DIMENSION, "dot_product"),
        },
    )
    table.put_many(
        {
            "id": n,
            "kind": "even" if n % 2 == 0 else "odd",
            "year": 2000 + n % 25,
            "tags": [f"t{n % 3}", f"t{n % 5}"],
            "at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=n),
            "text": "long " * n,
            **dict.fromkeys(("cosine", "euclidean", "dot"), vectors[n]),
        }
        for n in range(COUNT)
    )
    return table


def scores(metric: str, vectors: Any, query: Any) -> Any:
    vectors, query = vectors.astype(np.float64), np.asarray(query, dtype=np.float64)
    if metric == "euclidean":
        return 1 / (1 + ((vectors - query) ** 2).sum(axis=1))
    dots = vectors @ query
    if metric == "cosine":
        dots = dots / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    return (1 + dots) / 2


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_the_nearest_come_first_with_their_scores(docs: lutra.Table, vectors: Any, metric: str) -> None:
    query = vectors[7] + 0.1
    expected = scores(metric, vectors, query)
    best = np.argsort(-expected)[:10]
    results = docs.search(query, field=metric)
    assert [row["id"] for row in results] == list(best)
    np.testing.assert_allclose([row.score for row in results], expected[best], rtol=1e-4)
    np.testing.assert_array_equal(results[0][metric], vectors[best[0]])
    assert results[0][metric].dtype == np.float32


@pytest.mark.parametrize("as_query", [list, tuple, np.float64, np.float32, lambda v: np.asarray(v, dtype=">f4")])
def test_queries_are_anything_numeric(docs: lutra.Table, vectors: Any, as_query: Any) -> None:
    query = as_query(vectors[3].tolist()) if as_query in (list, tuple) else as_query(vectors[3])
    assert docs.search(query, field="euclidean", limit=1)[0]["id"] == 3


def test_a_filter_holds_before_the_nearest_are_taken(docs: lutra.Table, vectors: Any) -> None:
    where = (lutra.col("kind") == "odd") & lutra.col("year").between(2003, 2006) & (lutra.col("tags") == "t1")
    passing = [n for n in range(COUNT) if n % 2 and 3 <= n % 25 <= 6 and 1 in (n % 3, n % 5)]
    expected = scores("cosine", vectors, vectors[0])
    best = sorted(passing, key=lambda n: -expected[n])[:5]
    assert len(best) == 5
    assert [row["id"] for row in docs.search(vectors[0], field="cosine", where=where, limit=5)] == best


def test_fewer_than_asked_where_fewer_pass(docs: lutra.Table, vectors: Any) -> None:
    assert [row["id"] for row in docs.search(vectors[0], field="cosine", where=lutra.col("id") == 5)] == [5]
    assert list(docs.search(vectors[0], field="cosine", where=lutra.col("id") < 0)) == []


@pytest.mark.parametrize("limit", [1, 99, 100, 101, 250, 300, 1_000])
def test_limits_beyond_a_page(docs: lutra.Table, vectors: Any, limit: int) -> None:
    results = docs.search(vectors[0], field="euclidean", limit=limit, columns=[])
    assert [row["id"] for row in results] == list(np.argsort(-scores("euclidean", vectors, vectors[0]))[:limit])
    assert [row["id"] for row in docs.search(limit=limit, columns=[])] == list(range(min(limit, COUNT)))


def test_offsets_skip(docs: lutra.Table, vectors: Any) -> None:
    everything = [row["id"] for row in docs.search(vectors[0], field="cosine", limit=300)]
    assert [row["id"] for row in docs.search(vectors[0], field="cosine", limit=150, offset=120)] == everything[120:270]
    assert [row["id"] for row in docs.search(limit=5, offset=7)] == [7, 8, 9, 10, 11]


def test_min_score_cuts(docs: lutra.Table, vectors: Any) -> None:
    expected = scores("cosine", vectors, vectors[0])
    found = docs.search(vectors[0], field="cosine", limit=300, min_score=0.7)
    assert len(found) == int((expected >= 0.7).sum()) > 0


def test_without_a_vector_rows_come_by_key_or_as_ordered(docs: lutra.Table) -> None:
    found = docs.search(where=lutra.col("kind") == "odd", limit=3)
    assert [(row["id"], row.score) for row in found] == [(1, None), (3, None), (5, None)]
    by_year = docs.search(order_by=[lutra.col("year").desc(), lutra.col("id").desc()], limit=2)
    assert [row["id"] for row in by_year] == [299, 274]
    assert [row["year"] for row in docs.search(order_by=lutra.col("year"), limit=12)] == [2000] * 12
    named = docs.search(order_by=["year", lutra.col("id").desc()])
    assert [row.key for row in named] == [
        row.key for row in docs.search(order_by=[lutra.col("year"), lutra.col("id").desc()])
    ]
    latest = docs.search(where=lutra.col("at") >= dt.datetime(2020, 1, 13, tzinfo=dt.UTC), order_by=lutra.col("at"))
    assert latest[0]["at"] == dt.datetime(2020, 1, 13, tzinfo=dt.UTC)


def test_columns_are_what_comes_back(docs: lutra.Table, vectors: Any) -> None:
    row = docs.search(vectors[4], field="cosine", limit=1, columns=["text", "id"])[0]
    assert dict(row) == {"id": 4, "text": "long " * 4}
    assert set(docs.search(limit=1)[0]) == {"id", *docs.fields}
    assert set(docs.search(limit=1, columns=[])[0]) == {"id"}


def test_counts(docs: lutra.Table) -> None:
    assert docs.count() == COUNT
    assert docs.count(lutra.col("kind") == "odd") == COUNT // 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"vector": [1.0] * DIMENSION}, "several vector fields: say field=, one of cosine, euclidean, dot"),
        ({"vector": [1.0] * DIMENSION, "field": "kind"}, "no vector field 'kind'"),
        ({"vector": [1.0], "field": "dot"}, "vector of 8 numbers"),
        ({"vector": [float("nan")] * DIMENSION, "field": "dot"}, "NaN"),
        ({"vector": "text", "field": "dot"}, "to look for words, write text='text'"),
        ({"vector": b"text", "field": "dot"}, "vector of 8 numbers"),
        ({"vector": [1.0] * DIMENSION, "field": "dot", "order_by": lutra.col("year")}, "order_by does not go with"),
        ({"vector": [1.0] * DIMENSION, "field": "dot", "limit": 100_001}, "100,000th row, not 100,001"),
        ({"vector": [1.0] * DIMENSION, "field": "dot", "limit": 100_000, "offset": 1}, "not 100,001"),
        ({"field": "dot"}, "go with a vector"),
        ({"min_score": 0.5}, "go with a vector"),
        ({"vector": [1.0] * DIMENSION, "field": "dot", "min_score": "a"}, "min_score: expected float, got str 'a'"),
        ({"vector": [1.0] * DIMENSION, "field": "dot", "min_score": float("nan")}, "min_score: the value is NaN"),
        ({"limit": 0}, "limit is an int of at least 1"),
        ({"limit": True}, "limit is an int"),
        ({"offset": -1}, "offset of at least 0"),
        ({"offset": 99_991}, "100,000th row at most, not to 99,991 and on: ask for rows from the first on"),
        ({"order_by": 3}, "order_by takes columns"),
        ({"order_by": ["year", 3]}, "order_by takes columns"),
        ({"order_by": "year desc"}, "no column 'year desc'"),
        ({"order_by": lutra.col("text")}, "'text' is not indexed"),
        ({"order_by": lutra.col("dot")}, "sorting does not apply"),
        ({"columns": ["nope"]}, "no column 'nope'"),
        ({"where": lutra.col("nope") == 1}, "no column 'nope'"),
    ],
)
def test_bad_searches_are_refused(docs: lutra.Table, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        docs.search(**arguments)


def test_tables_without_an_index_or_a_vector(db: lutra.Database) -> None:
    plain = db.create_table("plain", {"id": int}, {"text": lutra.Stored(str)})
    with pytest.raises(lutra.ParameterInvalid, match="'plain' has no indexed field"):
        plain.search(where=lutra.col("text") == "x")
    words = db.create_table("words", {"id": int}, {"word": str})
    with pytest.raises(lutra.ParameterInvalid, match="'words' has no vector field"):
        words.search([1.0])


def test_a_search_sees_what_was_written_before_it(db: lutra.Database) -> None:
    table = db.create_table("fresh", {"id": int}, {"n": int, "v": lutra.Vector(2, "euclidean")})
    for n in range(50):
        table.put({"id": n, "n": n, "v": [n, 0]})
        assert table.search([n, 0], limit=1)[0]["id"] == n
        table.update(n, set={"n": -n})
        assert [row["id"] for row in table.search(where=lutra.col("n") == -n)] == [n]
    table.delete(49)
    assert table.search([49, 0], limit=1)[0]["id"] == 48


def test_rows_without_a_vector_are_found_by_filters_only(db: lutra.Database) -> None:
    table = db.create_table("gaps", {"id": int}, {"n": int, "v": lutra.Vector(2)})
    table.put_many([{"id": 1, "n": 1, "v": [1, 0]}, {"id": 2, "n": 1}, {"id": 3}])
    assert [row["id"] for row in table.search([1, 0])] == [1]
    assert [row["id"] for row in table.search(where=lutra.col("n") == 1)] == [1, 2]
    assert [row["id"] for row in table.search(where=lutra.col("v").is_missing())] == [2, 3]


def test_threads_share_a_table(db: lutra.Database) -> None:
    table = db.create_table("shared", {"id": int}, {"v": lutra.Vector(2, "euclidean")})
    failures: list[BaseException] = []

    def write_and_find(worker: int) -> None:
        try:
            for n in range(20):
                key = worker * 1_000 + n
                table.put({"id": key, "v": [key, 0]})
                assert table.search([key, 0], limit=1)[0]["id"] == key
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write_and_find, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert table.count() == 160


def test_explanations(docs: lutra.Table, vectors: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    assert docs.search(vectors[0], field="dot").explanation is None
    told = docs.search(vectors[0], field="dot", where=lutra.col("kind") == "odd", limit=120, explain=True).explanation
    assert told is not None
    assert sum(part["query"]["filter"]["rows"] for part in told["parts"] if part["rows"]) == COUNT // 2
    counted = docs.search(where=lutra.col("year") < 2003, explain=True).explanation
    assert counted is not None
    assert sum(part["query"]["rows"] for part in counted["parts"] if part["rows"]) == COUNT // 25 * 3


@pytest.mark.parametrize("field", ["cosine", "euclidean", "dot"])
@pytest.mark.parametrize("where", [None, lutra.col("kind") == "odd", lutra.col("id") < 0])
def test_many_searches_find_what_each_finds(
    docs: lutra.Table, vectors: Any, field: str, where: lutra.Expression | None
) -> None:
    queries = np.concatenate([vectors[:20] + 0.1, vectors[:1] + 0.1])
    found = docs.search_many(queries, field=field, where=where, limit=7, columns=["year"])
    assert len(found) == len(queries)
    for query, results in zip(queries, found, strict=True):
        alone = docs.search(query, field=field, where=where, limit=7, columns=["year"])
        assert [(dict(row), row.score) for row in results] == [(dict(row), row.score) for row in alone]
        assert results.stats.distances == alone.stats.distances or results is found[-1]


def test_many_searches_list_a_filter_once(docs: lutra.Table, vectors: Any) -> None:
    found = docs.search_many(vectors[:10], field="dot", where=lutra.col("kind") == "odd")
    conditions = [sum(part.conditions for part in results.stats.parts) for results in found]
    alone = docs.search(vectors[0], field="dot", where=lutra.col("kind") == "odd")
    assert sum(conditions) < 2 * sum(part.conditions for part in alone.stats.parts) + len(found)


def test_many_searches_of_a_bad_vector_are_refused(docs: lutra.Table, vectors: Any) -> None:
    assert docs.search_many([], field="dot") == []
    with pytest.raises(lutra.ParameterInvalid, match=r"vector 1: .*vector of 8 numbers"):
        docs.search_many([vectors[0], [1.0]], field="dot")
    with pytest.raises(lutra.ParameterInvalid, match="limit is an int of at least 1"):
        docs.search_many(vectors[:2], field="dot", limit=0)


def test_more_than_a_thousand_neighbours_come_at_once(db: lutra.Database) -> None:
    table = db.create_table("many", {"id": int}, {"v": lutra.Vector(2, "euclidean")})
    table.put_many({"id": n, "v": [n, 0.0]} for n in range(2_500))
    found = table.search([0.0, 0.0], limit=2_400, offset=5)
    assert [row["id"] for row in found] == list(range(5, 2_405))
    assert len(table.search_many([[0.0, 0.0], [9.0, 9.0]], limit=2_000)[1]) == 2_000
