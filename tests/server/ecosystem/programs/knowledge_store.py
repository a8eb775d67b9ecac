"""Run by the pytest of an environment that has tablestore-for-agent-memory; see ``test_agent_memory.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tablestore as ots
from awaited import Awaited
from tablestore_for_agent_memory.base.base_knowledge_store import Document
from tablestore_for_agent_memory.base.filter import Filters
from tablestore_for_agent_memory.knowledge.async_knowledge_store import AsyncKnowledgeStore
from tablestore_for_agent_memory.knowledge.knowledge_store import KnowledgeStore
from texts import DIMENSION, OTTER, TEA, TEXTS, cosine_score, vector_of
from waiting import wait_until

KINDS = ["animal", "software", "travel", "food", "software", "weather"]
COUNT = 66
Store = Any


@pytest.fixture(scope="module", params=["sync", "async"])
def make(request: pytest.FixtureRequest, where: dict[str, str]) -> Iterator[Callable[..., Store]]:
    access = (where["endpoint"], where["access_key_id"], where["access_key_secret"], where["instance_name"])
    made: list[Store] = []

    def make_store(name: str, **options: Any) -> Store:
        schema = [
            ots.FieldSchema("kind", ots.FieldType.KEYWORD),
            ots.FieldSchema("number", ots.FieldType.LONG),
            ots.FieldSchema("price", ots.FieldType.DOUBLE),
            ots.FieldSchema("is_new", ots.FieldType.BOOLEAN),
        ]
        options |= {"table_name": f"{name}_{request.param}", "search_index_schema": schema}
        if request.param == "sync":
            store = KnowledgeStore(ots.OTSClient(*access), DIMENSION, **options)
        else:
            store = Awaited(lambda: AsyncKnowledgeStore(ots.AsyncOTSClient(*access), DIMENSION, **options))
        store.init_table()
        made.append(store)
        return store

    yield make_store
    for store in made:
        store._delete_table()
        if isinstance(store, Awaited):
            store.end()


def document(number: int) -> Document:
    """Of the six texts by turns; the first six have no number in their text."""
    key = list(TEXTS)[number % len(TEXTS)]
    text = TEXTS[key] if number < len(TEXTS) else f"{TEXTS[key]} {number}"
    return Document(
        document_id=f"{key}-{number:02d}",
        tenant_id=f"tenant {number % 3}",
        text=text,
        embedding=vector_of(text),
        metadata={
            "kind": KINDS[number % len(KINDS)],
            "number": number,
            "price": number / 4,
            "is_new": number % 2 == 0,
            "raw": bytearray("中国", "utf-8"),
        },
    )


DOCUMENTS = [document(number) for number in range(COUNT)]


def filled(store: Store) -> Store:
    for number in range(COUNT):
        store.put_document(document(number))
    wait_until(lambda: len(store.search_documents(limit=1_000).hits) == COUNT)
    return store


@pytest.fixture(scope="module")
def single(make: Callable[..., Store]) -> Store:
    return filled(make("single"))


@pytest.fixture(scope="module")
def tenants(make: Callable[..., Store]) -> Store:
    return filled(make("tenants", enable_multi_tenant=True))


def numbers(hits: list[Any]) -> list[int]:
    return [hit.document.metadata["number"] for hit in hits]


def every_page(search: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    hits: list[Any] = []
    token = None
    for _ in range(COUNT):
        response = search(*arguments, next_token=token, **options)
        assert len(response.hits) <= options["limit"]
        hits += response.hits
        token = response.next_token
        if token is None:
            return hits
    raise AssertionError("there is no last page")


def test_documents(make: Callable[..., Store]) -> None:
    store = make("documents", enable_multi_tenant=True)
    one = document(0)
    store.put_document(one)
    assert store.get_document("otter-00", "tenant 0") == one
    assert list(store.get_all_documents()) == [one]
    # What an update does not name stays.
    store.update_document(Document("otter-00", "tenant 0", metadata={"kind": "动物"}))
    one.metadata["kind"] = "动物"
    assert store.get_document("otter-00", "tenant 0") == one
    store.put_document(Document("otter-00", "tenant 0", metadata={"kind": "动物"}))
    assert store.get_document("otter-00", "tenant 0").text is None
    store.delete_document("otter-00", "tenant 0")
    assert store.get_document("otter-00", "tenant 0") is None
    ids = [f"{number:03d}" for number in range(120)]
    for name in ids:
        store.put_document(Document(name, "tenant 0", text=name))
    assert [found.document_id for found in store.get_documents(ids, "tenant 0")] == ids
    assert store.get_documents(ids, "tenant 1") == [None] * len(ids)
    store.delete_all_documents()
    assert list(store.get_all_documents()) == []


def test_a_document_has_its_tenant_and_its_dimension(make: Callable[..., Store]) -> None:
    store = make("documents", enable_multi_tenant=True)
    with pytest.raises(ValueError, match="tenant_id"):
        store.put_document(Document("one"))
    with pytest.raises(ValueError, match="dimension"):
        store.put_document(Document("one", "tenant 0", embedding=[1.0]))


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (None, lambda number, kind: True),
        (Filters.all(), lambda number, kind: True),
        (Filters.eq("kind", "software"), lambda number, kind: kind == "software"),
        (Filters.not_eq("kind", "software"), lambda number, kind: kind != "software"),
        (Filters.eq("is_new", True), lambda number, kind: number % 2 == 0),
        (Filters.gt("price", 3.5), lambda number, kind: number > 14),
        (Filters.gte("number", 14), lambda number, kind: number >= 14),
        (Filters.lt("price", 3.5), lambda number, kind: number < 14),
        (Filters.lte("number", 14), lambda number, kind: number <= 14),
        (Filters.In("kind", ["food", "travel"]), lambda number, kind: kind in ("food", "travel")),
        (Filters.not_in("number", [1, 2, 3]), lambda number, kind: number not in (1, 2, 3)),
        (
            Filters.logical_and([Filters.eq("kind", "food"), Filters.gt("price", 0.5), Filters.eq("is_new", False)]),
            lambda number, kind: kind == "food" and number > 2 and number % 2 == 1,
        ),
        (
            Filters.logical_or([Filters.eq("kind", "food"), Filters.lt("number", 5)]),
            lambda number, kind: kind == "food" or number < 5,
        ),
        (
            Filters.logical_not([Filters.eq("kind", "food"), Filters.lt("number", 5)]),
            lambda number, kind: kind != "food" and number >= 5,
        ),
    ],
)
def test_filters(single: Store, wanted: Any, holds: Callable[[int, str], bool]) -> None:
    expected = [n for n in range(COUNT) if holds(n, KINDS[n % len(KINDS)])]
    response = single.search_documents(metadata_filter=wanted, limit=100)
    assert (sorted(numbers(response.hits)), response.next_token) == (expected, None)
    assert sorted(numbers(every_page(single.search_documents, metadata_filter=wanted, limit=7))) == expected


def test_what_comes_of_a_document(single: Store) -> None:
    """All that is in the index but the vector, unless it is said what."""
    [hit] = single.search_documents(metadata_filter=Filters.eq("number", 3)).hits
    assert (hit.document.document_id, hit.document.tenant_id) == ("tea-03", "__default")
    assert (hit.document.text, hit.document.embedding) == (TEA, None)
    assert hit.document.metadata == {"kind": "food", "number": 3, "price": 0.75, "is_new": False}
    names = ["embedding", "raw"]
    [hit] = single.search_documents(metadata_filter=Filters.eq("number", 3), meta_data_to_get=names).hits
    assert hit.document.embedding == vector_of(TEA)
    assert (hit.document.text, hit.document.metadata) == (None, {"raw": bytearray("中国", "utf-8")})


def test_full_text(single: Store) -> None:
    hits = every_page(single.full_text_search, "龙井茶 Longjing", limit=4)
    assert sorted(numbers(hits)) == [n for n in range(COUNT) if n % 6 == 3]
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    hits = every_page(single.full_text_search, "杭州", metadata_filter=Filters.lt("number", 20), limit=2)
    assert sorted(numbers(hits)) == [3, 9, 15]
    phrase = Filters.text_match_phrase("text", "otters swim")
    assert sorted(numbers(single.search_documents(metadata_filter=phrase).hits)) == list(range(0, COUNT, 6))


def test_vectors(single: Store) -> None:
    hits = single.vector_search(vector_of(OTTER), top_k=5).hits
    assert (len(hits), hits[0].document.document_id) == (5, "otter-00")
    for hit in hits:
        assert hit.score == pytest.approx(cosine_score(OTTER, hit.document.text), abs=1e-5)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    wanted = Filters.logical_and([Filters.eq("kind", "software"), Filters.gte("number", 6)])
    hits = every_page(single.vector_search, vector_of(OTTER), top_k=15, metadata_filter=wanted, limit=2)
    by_score = sorted(
        (one for one in DOCUMENTS if one.metadata["kind"] == "software" and one.metadata["number"] >= 6),
        key=lambda one: -cosine_score(OTTER, one.text),
    )
    assert len(hits) == 15
    for hit, expected in zip(hits, by_score, strict=False):
        assert hit.score == pytest.approx(cosine_score(OTTER, expected.text), abs=1e-5)
        assert hit.document.metadata["kind"] == "software"


def test_tenants(tenants: Store) -> None:
    of_one = list(range(1, COUNT, 3))
    assert len(tenants.search_documents(limit=100).hits) == COUNT
    assert sorted(numbers(tenants.search_documents("tenant 1").hits)) == of_one
    hits = tenants.search_documents(["tenant 1", "tenant 2"], Filters.lt("number", 9)).hits
    assert sorted(numbers(hits)) == [1, 2, 4, 5, 7, 8]
    assert sorted(numbers(every_page(tenants.search_documents, "tenant 1", Filters.all(), limit=3))) == of_one
    hits = every_page(tenants.full_text_search, "杭州", "tenant 0", limit=3)
    assert sorted(numbers(hits)) == [n for n in range(COUNT) if n % 6 == 3]
    assert tenants.full_text_search("杭州", "tenant 1").hits == []
    for tenant, numbers_of in [
        ("tenant 1", of_one),
        (["tenant 0", "tenant 1"], [n for n in range(COUNT) if n % 3 < 2]),
    ]:
        hits = every_page(tenants.vector_search, vector_of(OTTER), 60, tenant, limit=9)
        assert sorted(numbers(hits)) == numbers_of
    assert tenants.vector_search(vector_of(OTTER), tenant_id="nobody").hits == []


def test_a_tenant_goes(make: Callable[..., Store]) -> None:
    store = filled(make("going", enable_multi_tenant=True))
    store.delete_document_by_tenant("tenant 1")
    assert {one.tenant_id for one in store.get_all_documents()} == {"tenant 0", "tenant 2"}
    wait_until(lambda: store.search_documents("tenant 1").hits == [])
    assert len(store.search_documents(limit=100).hits) == COUNT * 2 // 3
