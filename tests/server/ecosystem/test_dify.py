"""Dify's calls, in their order, with the SDK that it uses.

Dify itself is a service with a database, a queue and models. What it asks of Tablestore stands in one class of it,
``TableStoreVector`` (``api/providers/vdb/vdb-tablestore`` 0.0.1, commit 6c59e3da); these are its calls and options.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import tablestore as ots
from support.server import ServerProcess
from support.waiting import wait_until

pytestmark = pytest.mark.slow

CONTENT, VECTOR, METADATA, TAGS = "page_content", "vector", "metadata", "metadata_tags"
COLLECTION = "Vector_index_6b2f_Node"
DIMENSION = 8
FRESH_WITHIN_S = 60
DOCUMENTS = {
    "otter": ("水獭在冬天的河流里游泳。Otters swim in winter rivers.", {"document_id": "nature", "作者": "李白"}),
    "store": ("这个数据库支持向量检索。A database with vector search.", {"document_id": "software", "page": 3}),
    "index": ("全文索引把句子切成单词。An index keeps a posting for every term.", {"document_id": "software"}),
    "tea": ("杭州的龙井茶很有名。Longjing tea from Hangzhou.", {"document_id": "china", "作者": "杜甫"}),
}
VECTORS = {key: [1.0 if n == at else 0.1 for n in range(DIMENSION)] for at, key in enumerate(DOCUMENTS)}


class Collection:
    """What Dify does with one of its collections."""

    def __init__(self, client: ots.OTSClient, name: str) -> None:
        self._client, self._table, self._index = client, name, f"{name}_idx"

    def create(self) -> None:
        if self._table not in self._client.list_table():
            meta = ots.TableMeta(self._table, [("id", "STRING")])
            self._client.create_table(meta, ots.TableOptions(), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
        if self._index in [index for _, index in self._client.list_search_index(table_name=self._table)]:
            return
        vector = ots.VectorOptions(
            data_type=ots.VectorDataType.VD_FLOAT_32, dimension=DIMENSION, metric_type=ots.VectorMetricType.VM_COSINE
        )
        keyword, text = ots.FieldType.KEYWORD, ots.FieldType.TEXT
        max_word = ots.AnalyzerType.MAXWORD
        fields = [
            ots.FieldSchema(CONTENT, text, analyzer=max_word, index=True, enable_sort_and_agg=False, store=False),
            ots.FieldSchema(VECTOR, ots.FieldType.VECTOR, vector_options=vector),
            ots.FieldSchema(METADATA, keyword, index=True, store=False),
            ots.FieldSchema(TAGS, keyword, index=True, store=False, is_array=True),
        ]
        self._client.create_search_index(self._table, self._index, ots.SearchIndexMeta(fields))

    def add(self, key: str, content: str, vector: list[float], metadata: dict[str, Any]) -> None:
        columns = [
            (CONTENT, content),
            (VECTOR, json.dumps(vector)),
            (METADATA, json.dumps(metadata)),
            (TAGS, json.dumps([f"{name}={value}" for name, value in metadata.items()])),
        ]
        self._client.put_row(self._table, ots.Row([("id", key)], columns))

    def rows(self, keys: list[str]) -> list[tuple[str, dict[str, Any]]]:
        request = ots.BatchGetRowRequest()
        keys_of = [[("id", key)] for key in keys]
        request.add(ots.TableInBatchGetRowItem(self._table, keys_of, [METADATA, CONTENT], None, 1))
        items = self._client.batch_get_row(request).get_result_by_table(self._table)
        found = [{name: value for name, value, _ in item.row.attribute_columns} for item in items if item.row]
        assert all(item.is_ok for item in items)
        return [(columns[CONTENT], json.loads(columns[METADATA])) for columns in found]

    def exists(self, key: str) -> bool:
        answer = self._client.get_row(table_name=self._table, primary_key=[("id", key)], columns_to_get=["id"])
        return answer[1] is not None

    def remove(self, keys: list[str]) -> None:
        for key in keys:
            self._client.delete_row(self._table, ots.Row([("id", key)]), None)

    def keys_by_metadata(self, name: str, value: str) -> list[str]:
        query = ots.SearchQuery(ots.TermQuery(TAGS, f"{name}={value}"), limit=1_000, get_total_count=False)
        columns = ots.ColumnsToGet(column_names=["id"], return_type=ots.ColumnReturnType.SPECIFIED)
        keys: list[str] = []
        while True:
            answer = self._search(query, columns)
            keys += [row[0][0][1] for row in answer.rows]
            if answer.next_token == b"":
                return keys
            query.next_token = answer.next_token

    def by_vector(self, vector: list[float], k: int, documents: list[str] | None = None) -> list[ots.SearchHit]:
        nearest = ots.KnnVectorQuery(field_name=VECTOR, top_k=k, float32_query_vector=vector)
        if documents:
            nearest.filter = ots.TermsQuery(TAGS, [f"document_id={document}" for document in documents])
        return self._hits(ots.SearchQuery(nearest, limit=k, get_total_count=False, sort=_by_score()))

    def by_text(self, text: str, k: int, documents: list[str] | None = None) -> list[ots.SearchHit]:
        query = ots.BoolQuery(must_queries=[], filter_queries=[], should_queries=[], must_not_queries=[])
        query.must_queries.append(ots.MatchQuery(text=text, field_name=CONTENT))
        if documents:
            query.filter_queries.append(ots.TermsQuery(TAGS, [f"document_id={document}" for document in documents]))
        return self._hits(ots.SearchQuery(query=query, sort=_by_score(), limit=k))

    def count(self) -> int:
        query = ots.SearchQuery(query=ots.MatchAllQuery(), get_total_count=True, limit=0)
        return int(self._search(query, ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL_FROM_INDEX)).total_count)

    def delete(self) -> None:
        for table, index in self._client.list_search_index(table_name=self._table):
            self._client.delete_search_index(table, index)
        self._client.delete_table(self._table)

    def _hits(self, query: ots.SearchQuery) -> list[ots.SearchHit]:
        columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL_FROM_INDEX)
        return list(self._search(query, columns).search_hits)

    def _search(self, query: ots.SearchQuery, columns: ots.ColumnsToGet) -> ots.SearchResponse:
        return self._client.search(
            table_name=self._table, index_name=self._index, search_query=query, columns_to_get=columns
        )


def _by_score() -> ots.Sort:
    return ots.Sort(sorters=[ots.ScoreSort(sort_order=ots.SortOrder.DESC)])


def keys(hits: list[ots.SearchHit]) -> list[str]:
    return [hit.row[0][0][1] for hit in hits]


def columns(hit: ots.SearchHit) -> dict[str, Any]:
    return {column[0]: column[1] for column in hit.row[1]}


@pytest.fixture
def collection(server: ServerProcess) -> Iterator[Collection]:
    """With the documents in it."""
    collection = Collection(server.client(), COLLECTION)
    collection.create()
    collection.create()  # it is there
    for key, (content, metadata) in DOCUMENTS.items():
        collection.add(key, content, VECTORS[key], metadata)
    wait_until(lambda: collection.count() == len(DOCUMENTS), FRESH_WITHIN_S)
    yield collection
    collection.delete()


def test_rows_by_key(collection: Collection) -> None:
    assert collection.rows(["tea", "nobody"]) == [DOCUMENTS["tea"]]
    assert collection.exists("tea")
    assert not collection.exists("nobody")


def test_neighbours_come_with_every_column_as_it_was_written(collection: Collection) -> None:
    """``store=False`` or not: Dify takes text, vector and metadata from the index's answer."""
    first, *rest = collection.by_vector(VECTORS["otter"], 4)
    assert first.score == pytest.approx(1)
    assert len(rest) == 3
    content, metadata = DOCUMENTS["otter"]
    assert columns(first) == {
        CONTENT: content,
        VECTOR: json.dumps(VECTORS["otter"]),
        METADATA: json.dumps(metadata),
        TAGS: json.dumps([f"{name}={value}" for name, value in metadata.items()]),
    }


def test_neighbours_in_some_documents(collection: Collection) -> None:
    assert keys(collection.by_vector(VECTORS["store"], 4, ["software", "china"])) == ["store", "index", "tea"]
    assert collection.by_vector(VECTORS["store"], 4, ["nowhere"]) == []


@pytest.mark.parametrize(
    ("text", "documents", "found"),
    [
        ("水獭", None, ["otter"]),
        ("vector 数据库", None, ["store"]),
        ("LONGJING", ["china"], ["tea"]),
        ("索引 database", ["software"], ["index", "store"]),
        ("水獭", ["software"], []),
    ],
)
def test_full_text(collection: Collection, text: str, documents: list[str] | None, found: list[str]) -> None:
    hits = collection.by_text(text, 4, documents)
    assert sorted(keys(hits)) == sorted(found)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert columns(hit)[CONTENT] == DOCUMENTS[hit.row[0][0][1]][0]


def test_keys_by_metadata(collection: Collection) -> None:
    """The tags are JSON in which Chinese is escaped; more of them than one page holds."""
    assert collection.keys_by_metadata("作者", "李白") == ["otter"]
    assert collection.keys_by_metadata("page", "3") == ["store"]
    many = {f"page-{number:04d}" for number in range(1_050)}
    for key in many:
        collection.add(key, "一页 a page", VECTORS["tea"], {"document_id": "book"})
    wait_until(lambda: collection.count() == len(DOCUMENTS) + len(many), FRESH_WITHIN_S)
    found = collection.keys_by_metadata("document_id", "book")
    assert len(found) == len(many)
    assert set(found) == many


def test_metadata_longer_than_a_keyword_may_be(collection: Collection) -> None:
    """It is not indexed, and not lost: the row is found by all else."""
    metadata = {"document_id": "long"} | {f"note {number}": "长" * 20 for number in range(100)}
    assert len(json.dumps(metadata)) > 4_096
    collection.add("long", "很长的摘要 a long summary", VECTORS["tea"], metadata)
    wait_until(lambda: collection.keys_by_metadata("document_id", "long") == ["long"], FRESH_WITHIN_S)
    [hit] = collection.by_text("摘要 summary", 4, ["long"])
    assert json.loads(columns(hit)[METADATA]) == metadata


def test_deletion(collection: Collection) -> None:
    collection.remove(collection.keys_by_metadata("document_id", "software"))
    wait_until(lambda: collection.count() == 2, FRESH_WITHIN_S)
    assert set(keys(collection.by_vector(VECTORS["store"], 4))) == {"otter", "tea"}
    assert collection.by_text("数据库", 4) == []


def test_scores_are_what_dify_normalises(server: ServerProcess) -> None:
    """Dify's own integration test, which runs against Tablestore, has 0.1214 within 0.001 for this text."""
    collection = Collection(server.client(), "Vector_index_scores_Node")
    collection.create()
    collection.add("one", "test_text", VECTORS["tea"], {"document_id": "one"})
    wait_until(lambda: collection.count() == 1, FRESH_WITHIN_S)
    [hit] = collection.by_text("test_text", 4, ["one"])
    assert 1 - math.exp(-0.15 * hit.score) == pytest.approx(0.1214, abs=1e-3)
    collection.delete()
