"""Run by the pytest of an environment that has langchain-community; see ``test_langchain.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tablestore as ots
from langchain_community.vectorstores import TablestoreVectorStore
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from texts import DIMENSION, INDEX, OTTER, RAIN, STORE, TEA, TEXTS, cosine_score, vector_of
from waiting import wait_until

METADATA = {
    "otter": {"kind": "动物", "year": 2019},
    "store": {"kind": "software", "year": 2026},
    "train": {"kind": "travel", "year": 2011},
    "tea": {"kind": "food", "year": 2019},
    "index": {"kind": "software", "year": 2004},
    "rain": {"kind": "weather", "year": 2026},
}
MAPPINGS = [
    ots.FieldSchema("kind", ots.FieldType.KEYWORD, index=True, enable_sort_and_agg=True),
    ots.FieldSchema("year", ots.FieldType.LONG, index=True, enable_sort_and_agg=True),
]


class Characters(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector_of(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector_of(text)


def make(where: dict[str, str], name: str, **options: object) -> TablestoreVectorStore:
    return TablestoreVectorStore(
        Characters(),
        **where,
        table_name=f"{name}_table",
        index_name=f"{name}_index",
        vector_dimension=DIMENSION,
        **options,
    )


def fill(store: TablestoreVectorStore) -> None:
    store.create_table_if_not_exist()
    store.create_search_index_if_not_exist()
    documents = [Document(id=key, page_content=text, metadata=METADATA[key]) for key, text in TEXTS.items()]
    assert store.add_documents(documents, ids=list(TEXTS)) == list(TEXTS)
    wait_until(lambda: len(store.similarity_search("", k=10)) == len(TEXTS))


@pytest.fixture(scope="module")
def store(where: dict[str, str]) -> Iterator[TablestoreVectorStore]:
    store = make(where, "langchain", metadata_mappings=MAPPINGS)
    fill(store)
    yield store
    store.delete_table_if_exists()


def ids(documents: list[Document]) -> list[str]:
    return [str(document.id) for document in documents]


def test_making_what_is_there_changes_nothing(store: TablestoreVectorStore) -> None:
    store.create_table_if_not_exist()
    store.create_search_index_if_not_exist()
    assert len(store.similarity_search("", k=10)) == len(TEXTS)


def test_the_nearest_come_first_with_all_they_have(store: TablestoreVectorStore) -> None:
    found = store.similarity_search_with_score(OTTER, k=3)
    wanted = sorted(TEXTS, key=lambda key: -cosine_score(OTTER, TEXTS[key]))[:3]
    assert ids([document for document, _ in found]) == wanted
    assert [score for _, score in found] == pytest.approx([cosine_score(OTTER, TEXTS[key]) for key in wanted], abs=1e-5)
    first = found[0][0]
    assert first.page_content == OTTER
    assert first.metadata.pop("embedding") == pytest.approx(vector_of(OTTER))
    assert first.metadata == METADATA["otter"]


def test_by_vector(store: TablestoreVectorStore) -> None:
    assert ids(store.similarity_search_by_vector(vector_of(TEA), k=1)) == ["tea"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (ots.TermQuery("kind", "动物"), {"otter"}),
        (ots.TermsQuery("kind", ["food", "travel"]), {"tea", "train"}),
        (ots.RangeQuery("year", 2019, 2026, include_lower=True, include_upper=False), {"otter", "tea"}),
        (ots.MatchQuery("content", "水獭 LONGJING"), {"otter", "tea"}),
        (ots.MatchQuery("content", "数据库 vector", operator=ots.QueryOperator.AND), {"store"}),
        (ots.MatchPhraseQuery("content", "winter rivers"), {"otter"}),
        (ots.MatchPhraseQuery("content", "rivers winter"), set()),
        (ots.WildcardQuery("kind", "*o*"), {"store", "tea", "index"}),
        (
            ots.BoolQuery(
                must_queries=[ots.RangeQuery("year", range_from=2005, include_lower=True)],
                must_not_queries=[ots.MatchQuery("content", "雨伞 高铁")],
                filter_queries=[],
                should_queries=[],
            ),
            {"otter", "store", "tea"},
        ),
    ],
)
def test_filters(store: TablestoreVectorStore, query: ots.Query, found: set[str]) -> None:
    assert set(ids(store.similarity_search("河流 river", k=10, tablestore_filter_query=query))) == found


def test_more_neighbours_than_are_returned(store: TablestoreVectorStore) -> None:
    assert ids(store.similarity_search(INDEX, k=1, knn_top_k=5)) == ["index"]


def test_rows_by_id(store: TablestoreVectorStore) -> None:
    tea, otter = store.get_by_ids(["tea", "otter"])
    assert (tea.page_content, otter.page_content) == (TEA, OTTER)
    assert tea.metadata["kind"] == "food"


def test_deletion(store: TablestoreVectorStore) -> None:
    assert store.add_texts(["雨 rain 雨"], [{"kind": "weather"}], ids=["gone"]) == ["gone"]
    weather = ots.TermQuery("kind", "weather")
    wait_until(lambda: len(store.similarity_search(RAIN, k=9, tablestore_filter_query=weather)) == 2)
    assert store.delete(["gone"])
    wait_until(lambda: ids(store.similarity_search(RAIN, k=9, tablestore_filter_query=weather)) == ["rain"])


@pytest.mark.parametrize("metric", ["euclidean", "dot_product"])
def test_other_metrics(where: dict[str, str], metric: str) -> None:
    store = make(where, f"langchain_{metric}", vector_metric_type=metric)
    fill(store)
    assert ids(store.similarity_search(STORE, k=1)) == ["store"]
    store.delete_table_if_exists()


def test_from_texts(where: dict[str, str]) -> None:
    options = {"table_name": "from_texts", "index_name": "from_texts_index", "vector_dimension": DIMENSION}
    store = TablestoreVectorStore.from_texts(list(TEXTS.values()), Characters(), **where, **options)
    wait_until(lambda: len(store.similarity_search("", k=10)) == len(TEXTS))
    assert store.similarity_search(TEA, k=1)[0].page_content == TEA
    found = store.similarity_search(TEA, k=9, tablestore_filter_query=ots.MatchQuery("content", "河流"))
    assert [document.page_content for document in found] == [OTTER]
    store.delete_table_if_exists()
