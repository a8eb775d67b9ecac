"""Run by the pytest of an environment that has the package; see ``test_llama_index.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tablestore as ots
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.vector_stores.tablestore import TablestoreVectorStore
from texts import DIMENSION, OTTER, STORE, TEA, TEXTS, cosine_score, vector_of
from waiting import wait_until

METADATA = {
    "otter": {"kind": "动物", "time": 3, "price": 1.5, "tags": '["河流", "winter"]', "title": "The Otter 水獭"},
    "store": {"kind": "software", "time": 7, "price": 0.0, "tags": '["数据库"]', "title": "A table store"},
    "train": {"kind": "travel", "time": 5, "price": 553.5, "tags": '["北京", "上海"]', "title": "高铁 by night"},
    "tea": {"kind": "food", "time": 9, "price": 88.0, "tags": '["杭州", "food"]', "title": "茶 tea"},
    "index": {"kind": "software", "time": 8, "price": 0.25, "tags": "[]", "title": "An index of words"},
    "rain": {"kind": "天气 weather", "title": "雨"},
}
SOURCES = {
    "otter": "nature",
    "store": "software",
    "train": "china",
    "tea": "china",
    "index": "software",
    "rain": "nature",
}
KEYWORD, LONG, DOUBLE, TEXT = (ots.FieldType.KEYWORD, ots.FieldType.LONG, ots.FieldType.DOUBLE, ots.FieldType.TEXT)
MAPPINGS = [
    ots.FieldSchema("kind", KEYWORD, index=True, enable_sort_and_agg=True),
    ots.FieldSchema("time", LONG, index=True, enable_sort_and_agg=True),
    ots.FieldSchema("price", DOUBLE, index=True, enable_sort_and_agg=True),
    ots.FieldSchema("tags", KEYWORD, index=True, is_array=True),
    ots.FieldSchema("title", TEXT, index=True, analyzer=ots.AnalyzerType.SINGLEWORD),
]
ALL = set(TEXTS)
NEVER = MetadataFilter(key="time", value=-1, operator=FilterOperator.LT)


def nodes() -> list[TextNode]:
    return [
        TextNode(
            id_=key,
            text=text,
            embedding=vector_of(text),
            metadata=METADATA[key] | {"ref_doc_id": SOURCES[key]},
        )
        for key, text in TEXTS.items()
    ]


def make(where: dict[str, str], name: str, **options: object) -> TablestoreVectorStore:
    store = TablestoreVectorStore(
        **where,
        table_name=f"{name}_table",
        index_name=f"{name}_index",
        vector_dimension=DIMENSION,
        metadata_mappings=MAPPINGS,
        **options,
    )
    store.create_table_if_not_exist()
    store.create_search_index_if_not_exist()
    return store


def fill(store: TablestoreVectorStore) -> None:
    assert store.add(nodes()) == list(TEXTS)
    wait_until(lambda: nearest(store, OTTER) == ALL)


def nearest(store: TablestoreVectorStore, text: str, k: int = 10) -> set[str]:
    return set(store.query(VectorStoreQuery(query_embedding=vector_of(text), similarity_top_k=k)).ids)


@pytest.fixture(scope="module")
def store(where: dict[str, str]) -> Iterator[TablestoreVectorStore]:
    """Read only."""
    store = make(where, "llama")
    fill(store)
    yield store
    store.delete_table_if_exists()


@pytest.fixture
def own(where: dict[str, str]) -> Iterator[TablestoreVectorStore]:
    """To be changed."""
    store = make(where, "own")
    fill(store)
    yield store
    store.delete_table_if_exists()


def only(*filters: MetadataFilter | MetadataFilters, condition: str = "and") -> MetadataFilters:
    return MetadataFilters(filters=list(filters), condition=FilterCondition(condition))


def test_the_nearest_come_first_with_all_they_have(store: TablestoreVectorStore) -> None:
    found = store.query(VectorStoreQuery(query_embedding=vector_of(OTTER), similarity_top_k=3))
    wanted = sorted(TEXTS, key=lambda key: -cosine_score(OTTER, TEXTS[key]))[:3]
    assert found.ids == wanted
    assert found.similarities == pytest.approx([cosine_score(OTTER, TEXTS[key]) for key in wanted], abs=1e-5)
    assert found.nodes[0].text == OTTER
    assert found.nodes[0].embedding == pytest.approx(vector_of(OTTER))
    assert found.nodes[0].metadata == METADATA["otter"] | {"ref_doc_id": "nature"}


@pytest.mark.parametrize(
    ("operator", "key", "value", "found"),
    [
        ("==", "kind", "动物", {"otter"}),
        ("==", "time", 7, {"store"}),
        ("==", "price", 0.25, {"index"}),
        ("==", "tags", "上海", {"train"}),
        ("!=", "kind", "software", ALL - {"store", "index"}),
        ("!=", "time", 7, ALL - {"store"}),
        (">", "time", 7, {"tea", "index"}),
        (">=", "time", 7, {"store", "tea", "index"}),
        ("<", "price", 1.5, {"store", "index"}),
        ("<=", "price", 1.5, {"otter", "store", "index"}),
        ("in", "kind", ["travel", "food", "nothing"], {"train", "tea"}),
        ("in", "time", [3, 8], {"otter", "index"}),
        ("nin", "kind", ["software", "动物"], {"train", "tea", "rain"}),
        ("any", "tags", ["北京", "winter"], {"train", "otter"}),
        ("all", "tags", ["北京", "上海"], {"train"}),
        ("all", "tags", ["北京", "winter"], set()),
        ("text_match", "content", "水獭 LONGJING", {"otter", "tea"}),
        ("text_match", "content", "没有", set()),
        ("text_match", "title", "otter TEA", {"otter", "tea"}),
        ("text_match", "title", "茶", {"tea"}),
        ("contains", "kind", "wa", {"store", "index"}),
        ("contains", "kind", "天", {"rain"}),
        ("contains", "tags", "京", {"train"}),
    ],
)
def test_operators(store: TablestoreVectorStore, operator: str, key: str, value: object, found: set[str]) -> None:
    """As what is looked up, as what neighbours are among, and as what a text must have besides."""
    filters = only(MetadataFilter(key=key, value=value, operator=FilterOperator(operator)))
    assert {node.node_id for node in store.get_nodes(filters=filters)} == found
    query = VectorStoreQuery(query_embedding=vector_of(STORE), similarity_top_k=10, filters=filters)
    assert set(store.query(query).ids) == found
    query.mode, query.query_str = VectorStoreQueryMode.TEXT_SEARCH, "水獭 高铁 龙井 数据库 索引 雨伞"
    assert set(store.query(query).ids) == found


def test_every_operator_that_the_package_has_is_tried() -> None:
    [mark] = test_operators.pytestmark
    refused = {FilterOperator.TEXT_MATCH_INSENSITIVE, FilterOperator.IS_EMPTY}
    assert {FilterOperator(case[0]) for case in mark.args[1]} | refused == set(FilterOperator)
    for operator in refused:
        with pytest.raises(ValueError, match="Unsupported filter operator"):
            TablestoreVectorStore._parse_filter(MetadataFilter(key="kind", value="a", operator=operator))


def test_conditions_within_conditions(store: TablestoreVectorStore) -> None:
    cheap = MetadataFilter(key="price", value=1.0, operator=FilterOperator.LT)
    china = MetadataFilter(key="tags", value=["北京", "杭州"], operator=FilterOperator.ANY)
    late = MetadataFilter(key="time", value=7, operator=FilterOperator.GT)
    said = MetadataFilter(key="content", value="rain vector", operator=FilterOperator.TEXT_MATCH)
    either = only(cheap, china, condition="or")
    for filters, found in [
        (either, {"store", "index", "train", "tea"}),
        (only(either, late), {"index", "tea"}),
        (only(only(cheap, late), only(china, late), said, condition="or"), {"index", "tea", "rain", "store"}),
        (only(NEVER, condition="or"), set()),
    ]:
        assert {node.node_id for node in store.get_nodes(filters=filters)} == found
        query = VectorStoreQuery(query_embedding=vector_of(TEA), similarity_top_k=10, filters=filters)
        assert set(store.query(query).ids) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("水獭", ["otter"]),
        ("WINTER rivers", ["otter"]),
        ("向量检索 vector search", ["store"]),
        ("杭州的茶", ["tea"]),
        ("posting 单词", ["index"]),
        ("nothing of it", []),
    ],
)
def test_text_search(store: TablestoreVectorStore, words: str, found: list[str]) -> None:
    """The best comes first; what shares only a word such as 的 comes behind it."""
    query = VectorStoreQuery(
        query_embedding=vector_of(words), query_str=words, mode=VectorStoreQueryMode.TEXT_SEARCH, similarity_top_k=10
    )
    answer = store.query(query)
    assert answer.ids[: len(found) or None] == found
    assert answer.similarities == sorted(answer.similarities, reverse=True)


def test_hybrid(store: TablestoreVectorStore) -> None:
    """Neighbours or texts that match; the scores of a row that is both add."""
    near = store.query(VectorStoreQuery(query_embedding=vector_of(TEA), similarity_top_k=2))
    query = VectorStoreQuery(query_embedding=vector_of(TEA), query_str="Longjing 水獭", similarity_top_k=10)
    query.mode = VectorStoreQueryMode.TEXT_SEARCH
    said = store.query(query)
    assert set(said.ids) == {"tea", "otter"}
    query.mode = VectorStoreQueryMode.HYBRID
    both = store.query(query, knn_top_k=2)
    wanted = dict(zip(near.ids, near.similarities, strict=True))
    for key, score in zip(said.ids, said.similarities, strict=True):
        wanted[key] = wanted.get(key, 0.0) + score
    assert dict(zip(both.ids, both.similarities, strict=True)) == pytest.approx(wanted, abs=1e-4)
    assert both.ids[0] == "tea"
    assert both.similarities == sorted(both.similarities, reverse=True)


def test_hybrid_under_a_filter(store: TablestoreVectorStore) -> None:
    query = VectorStoreQuery(
        query_embedding=vector_of(STORE),
        query_str="水獭 vector",
        mode=VectorStoreQueryMode.HYBRID,
        similarity_top_k=10,
        filters=only(MetadataFilter(key="kind", value="software")),
    )
    assert store.query(query).ids == ["store", "index"]


def test_nodes_by_id(store: TablestoreVectorStore) -> None:
    tea, missing, otter = store.get_nodes(["tea", "nobody", "otter"])
    assert (tea.text, missing, otter.text) == (TEA, None, OTTER)
    assert tea.embedding == pytest.approx(vector_of(TEA))


def test_deletion(own: TablestoreVectorStore) -> None:
    own.delete("software")  # by the document they are of
    wait_until(lambda: nearest(own, STORE) == ALL - {"store", "index"})
    own.delete_nodes(["train"])
    wait_until(lambda: nearest(own, STORE) == {"otter", "tea", "rain"})
    own.delete_nodes(filters=only(MetadataFilter(key="content", value="河流", operator=FilterOperator.TEXT_MATCH)))
    wait_until(lambda: nearest(own, STORE) == {"tea", "rain"})
    own.clear()
    wait_until(lambda: nearest(own, STORE) == set())
    assert own.get_nodes(["tea"]) == [None]


def test_a_node_that_is_replaced(own: TablestoreVectorStore) -> None:
    own.add([TextNode(id_="tea", text="咖啡 coffee", embedding=vector_of("咖啡 coffee"), metadata={})])
    said = only(MetadataFilter(key="content", value="咖啡", operator=FilterOperator.TEXT_MATCH))
    wait_until(lambda: [node.node_id for node in own.get_nodes(filters=said)] == ["tea"])
    before = only(MetadataFilter(key="content", value="杭州", operator=FilterOperator.TEXT_MATCH))
    assert own.get_nodes(filters=before) == []


@pytest.mark.parametrize("metric", [ots.VectorMetricType.VM_EUCLIDEAN, ots.VectorMetricType.VM_DOT_PRODUCT])
def test_other_metrics(where: dict[str, str], metric: ots.VectorMetricType) -> None:
    store = make(where, f"llama_{int(metric)}", vector_metric_type=metric)
    fill(store)
    assert nearest(store, TEA, k=1) == {"tea"}
    store.delete_table_if_exists()
