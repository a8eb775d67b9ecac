"""What a table and its search indexes show to the official client, and what is left on the store: for crash tests."""

from __future__ import annotations

import json
import random
from functools import lru_cache
from typing import Any, Final

import numpy as np
import tablestore as ots
from support.crash_writer import CrashWriter
from support.engines import unnamed
from support.sdk import NO_THROUGHPUT

from lutra.index.lsm.storage import ROOT
from lutra.model.errors import ObjectMissing
from lutra.objects.store import ObjectStore

TABLE: Final = "crash"
DIMENSION: Final = 256
"""So that a thousand rows are searched by codes, and have a builder."""
_PAGE_ROWS: Final = 100
_NEAREST: Final = 20
_KNN_QUERIES: Final = 5
_RECALL_MIN: Final = 0.9
_TAGS: Final = 7
_VERSIONS_ASKED: Final = 5


@lru_cache(maxsize=20_000)
def vector_of(key: str, version: int) -> bytes:
    seed = [version, *key.encode()]
    return np.random.default_rng(seed).standard_normal(DIMENSION).astype("<f4").tobytes()


def columns_of(key: str, version: int) -> list[tuple[str, Any]]:
    """Columns that say the same number: a row that mixes two versions is torn."""
    tag = tag_of(version)
    items = [{"n": version, "tag": tag}, {"n": -version, "tag": "all"}]
    return [
        ("number", version),
        ("tag", tag),
        ("text", f"{version} " * 20),
        ("items", json.dumps(items)),
        ("json", json.dumps({"a": {"n": [version, -version]}})),
        ("place", place_of(version)),
        ("vector", bytearray(vector_of(key, version))),
    ]


def tag_of(version: int) -> str:
    return f"t{version % _TAGS}"


def place_of(version: int) -> str:
    """Each tag's own, a degree apart from the next."""
    return f"{version % _TAGS},10"


def create_table(client: ots.OTSClient) -> None:
    client.create_table(ots.TableMeta(TABLE, [("id", "STRING")]), ots.TableOptions(), NO_THROUGHPUT)


def create_index(client: ots.OTSClient, name: str) -> None:
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, DIMENSION)
    kinds = ots.FieldType
    number = ots.FieldSchema("n", kinds.LONG, index=True, enable_sort_and_agg=True)
    inner = ots.FieldSchema("a", kinds.JSON, json_type=ots.JsonType.OBJECT_JSON, sub_field_schemas=[number])
    fields = [
        ots.FieldSchema("number", kinds.LONG, index=True, enable_sort_and_agg=True),
        ots.FieldSchema("tag", kinds.KEYWORD, index=True, enable_sort_and_agg=True),
        ots.FieldSchema("text", kinds.TEXT, index=True),
        ots.FieldSchema("digits", kinds.KEYWORD, index=True, is_virtual_field=True, source_fields=["number"]),
        ots.FieldSchema("items", kinds.NESTED, sub_field_schemas=[number, ots.FieldSchema("tag", kinds.KEYWORD)]),
        ots.FieldSchema("json", kinds.JSON, json_type=ots.JsonType.OBJECT_JSON, sub_field_schemas=[inner]),
        ots.FieldSchema("place", kinds.GEOPOINT, index=True),
        ots.FieldSchema("vector", kinds.VECTOR, vector_options=options),
    ]
    client.create_search_index(TABLE, name, ots.SearchIndexMeta(fields))


def writers(client: ots.OTSClient, known: dict[str, int | None], *, seed: int, keys: int) -> list[CrashWriter]:
    """Three, each with ``keys`` keys of its own; they leave builders a share of the processor."""
    return [
        CrashWriter(
            client,
            TABLE,
            [f"w{n}-{number:04d}" for number in range(keys)],
            columns_of,
            known,
            seed=3 * seed + n,
            batch_rows=40,
            pause_s=0.005,
        )
        for n in range(3)
    ]


def table_state(client: ots.OTSClient) -> dict[str, int]:
    """Every row's number, by GetRange; fails on a torn row."""
    state: dict[str, int] = {}
    start: Any = [("id", ots.INF_MIN)]
    while start:
        _, start, rows, _ = client.get_range(TABLE, "FORWARD", start, [("id", ots.INF_MAX)], max_version=1)
        for row in rows:
            columns = {name: value for name, value, _ in row.attribute_columns}
            key = row.primary_key[0][1]
            assert columns == dict(columns_of(key, columns["number"])), f"torn row {key}"
            state[key] = columns["number"]
    return state


def index_order(client: ots.OTSClient, index: str) -> list[str]:
    """Every key that the index finds, ordered by its number there, then by key."""
    by_number = [ots.FieldSort("number", ots.SortOrder.ASC), ots.PrimaryKeySort(ots.SortOrder.ASC)]
    return _found(client, index, ots.MatchAllQuery(), by_number)


def expected_order(state: dict[str, int]) -> list[str]:
    return sorted(state, key=lambda key: (state[key], key))


def check_nearest(client: ots.OTSClient, index: str, state: dict[str, int], seed: int) -> None:
    """Distances are those of the rows as they are in the table, and nearly all that are nearest are found."""
    if not state:
        return
    keys = list(state)
    vectors = np.stack([np.frombuffer(vector_of(key, state[key]), "<f4") for key in keys])
    k = min(_NEAREST, len(keys))
    right = 0
    for query in np.random.default_rng(seed).standard_normal((_KNN_QUERIES, DIMENSION)).astype("<f4"):
        distances = dict(zip(keys, ((vectors - query) ** 2).sum(axis=1).tolist(), strict=True))
        knn = ots.KnnVectorQuery("vector", k, query.tolist())
        asked = ots.SearchQuery(knn, sort=ots.Sort([ots.ScoreSort()]), limit=k)
        answer = client.search(TABLE, index, asked, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
        found = {hit.row[0][0][1]: hit.score for hit in answer.search_hits}
        assert len(found) == k
        np.testing.assert_allclose(list(found.values()), [1 / (1 + distances[key]) for key in found], rtol=1e-3)
        right += len(set(found) & set(sorted(keys, key=lambda key: distances[key])[:k]))
    assert right >= _RECALL_MIN * k * _KNN_QUERIES


def check_kinds(client: ots.OTSClient, index: str, state: dict[str, int], seed: int) -> None:
    """What each kind of field finds is what it should, and groups sum to what is in the table."""
    versions = set(state.values())
    for version in random.Random(seed).sample(sorted(versions), min(_VERSIONS_ASKED, len(versions))):
        same = sorted(key for key, own in state.items() if own == version)
        items = ots.BoolQuery([ots.TermQuery("items.n", version), ots.TermQuery("items.tag", tag_of(version))])
        crossed = ots.BoolQuery([ots.TermQuery("items.n", -version), ots.TermQuery("items.tag", tag_of(version))])
        for query in (
            ots.TermQuery("number", version),
            ots.TermQuery("digits", str(version)),
            ots.MatchQuery("text", str(version)),
            ots.NestedQuery("items", items),
            ots.TermQuery("json.a.n", -version),
        ):
            assert _found(client, index, query) == same, (query, version)
        assert _found(client, index, ots.NestedQuery("items", crossed)) == []
        alike = sorted(key for key, own in state.items() if tag_of(own) == tag_of(version))
        near = ots.GeoDistanceQuery("place", place_of(version), 1_000)
        assert _found(client, index, near) == alike
    total = ots.Sum("number", name="numbers")
    groups = ots.GroupByField("tag", size=_TAGS, sub_aggs=[total], name="tags")
    asked = ots.SearchQuery(ots.MatchAllQuery(), limit=0, aggs=[total], group_bys=[groups])
    answer = client.search(TABLE, index, asked, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
    by_tag: dict[str, list[int]] = {}
    for version in state.values():
        by_tag.setdefault(tag_of(version), []).append(version)
    found = {one.key: (one.row_count, one.sub_aggs[0].value) for one in answer.group_by_results[0].items}
    assert found == {tag: (len(own), sum(own)) for tag, own in by_tag.items()}
    assert answer.agg_results[0].value == sum(state.values())


def _found(client: ots.OTSClient, index: str, query: Any, sorters: Any = None) -> list[str]:
    """The keys of all rows that a query finds, by key where nothing else is said."""
    sorters = sorters or [ots.PrimaryKeySort(ots.SortOrder.ASC)]
    found: list[str] = []
    token = None
    while token != b"":
        sort = None if token else ots.Sort(sorters)
        asked = ots.SearchQuery(query, sort=sort, limit=_PAGE_ROWS, next_token=token or None)
        answer = client.search(TABLE, index, asked, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
        found += [key[0][1] for key, _ in answer.rows]
        token = answer.next_token
    return found


def is_tidy(store: ObjectStore) -> bool:
    """Whether nothing is there that no manifest names, though somebody may be about to delete it."""
    try:
        return not unnamed(store)
    except ObjectMissing:  # a manifest went between listing and reading it
        return False


def prefixes_of(store: ObjectStore) -> set[str]:
    """The names of the indexes that have objects."""
    return {name.split("/")[1].split("-")[1] for name in store.list(ROOT)}
