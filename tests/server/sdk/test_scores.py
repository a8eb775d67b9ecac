"""Queries that say what rows score, through the SDK."""

from __future__ import annotations

import pytest
import tablestore as ots
from support.sdk import SdkClient, load, refused
from support.searching import BY_SCORE, field, ids, scores, search
from support.tables import TableMaker
from tablestore import FieldType, MatchAllQuery, RangeQuery, TermQuery

COUNT = 12


@pytest.fixture(scope="module")
def indexed(make_for_module: TableMaker, sync_client: ots.OTSClient) -> tuple[str, str]:
    table = make_for_module.table()
    load(
        sync_client,
        table,
        [
            ([("id", f"{n:02d}")], {"n": n, "half": n / 2, "title": "otter " * (n % 3 + 1) + "river"})
            for n in range(COUNT)
        ],
    )
    fields = [
        field("n", FieldType.LONG),
        field("half", FieldType.DOUBLE),
        field("title", FieldType.TEXT),
    ]
    return table, make_for_module.index(table, fields)


def found(client: SdkClient, indexed: tuple[str, str], query: ots.Query) -> dict[int, float]:
    response = search(client, *indexed, query, sort=BY_SCORE)
    return dict(zip(map(int, ids(response)), scores(response), strict=True))


def test_function_score(client: SdkClient, indexed: tuple[str, str]) -> None:
    query = ots.FunctionScoreQuery(RangeQuery("n", 3, 6), ots.FieldValueFactor("half"))
    assert found(client, indexed, query) == {5: 2.5, 4: 2.0, 3: 1.5}
    with refused("OTSParameterInvalid", 400, mentions="field: title type: text is invalid, allow [long, double]"):
        found(client, indexed, ots.FunctionScoreQuery(MatchAllQuery(), ots.FieldValueFactor("title")))


def test_dis_max(client: SdkClient, indexed: tuple[str, str]) -> None:
    queries = [TermQuery("n", 1, 2.0), ots.TermsQuery("n", [1, 2], 4.0)]
    assert found(client, indexed, ots.DisMaxQuery(queries)) == {1: 4.0, 2: 4.0}
    assert found(client, indexed, ots.DisMaxQuery(queries, 0.5)) == {1: 5.0, 2: 4.0}
    assert found(client, indexed, ots.DisMaxQuery(queries, 0.5, 2.0)) == {1: 10.0, 2: 8.0}
    with refused("OTSParameterInvalid", 400, mentions="tie_breaker must be in [0, 1]"):
        found(client, indexed, ots.DisMaxQuery(queries, 1.5))
