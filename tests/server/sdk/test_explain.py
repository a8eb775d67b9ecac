"""A header asks a search what it did, a header answers; signatures are as without them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tablestore as ots
from support.sdk import IGNORE
from support.searching import BY_SCORE, field, ids, packed, search, vector_field
from support.tables import TableMaker

DIMENSION = 4


def filled(client: ots.OTSClient, make: TableMaker) -> tuple[str, str]:
    """A table of twenty rows and its index."""
    table = make.table([("id", "INTEGER")])
    for n in range(20):
        client.put_row(table, ots.Row([("id", n)], [("n", n % 5), ("v", packed([n, 0, 0, 1]))]), IGNORE)
    vectors = vector_field("v", DIMENSION, ots.VectorMetricType.VM_EUCLIDEAN)
    return table, make.index(table, [field("n", ots.FieldType.LONG), vectors])


@pytest.mark.one_process
def test_a_search_tells_what_it_did(
    sync_client: ots.OTSClient, make: TableMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, index = filled(sync_client, make)
    query = ots.KnnVectorQuery("v", top_k=3, float32_query_vector=[5, 0, 0, 1], filter=ots.TermQuery("n", 0))
    asked = {"x-lutra-explain": "1"}
    seen: list[dict[str, str]] = []
    send_receive = sync_client.connection.send_receive

    def explained(path: str, headers: dict[str, str], body: bytes) -> Any:
        answer = send_receive(path, headers | asked, body)
        seen.append({name.lower(): value for name, value in answer[2].items()})
        return answer

    monkeypatch.setattr(sync_client.connection, "send_receive", explained)
    assert ids(search(sync_client, table, index, query, limit=3, sort=BY_SCORE)) == [5, 0, 10]
    told = json.loads(seen[-1]["x-lutra-explain"])
    (part,) = [part for part in told["parts"] if part["rows"]]
    assert (part["rows"], part["distances"], part["query"]["top_k"]) == (20, 4, 3)
    assert part["query"]["filter"]["rows"] == 4
    for value in ("0", ""):
        asked["x-lutra-explain"] = value
        assert ids(search(sync_client, table, index, query, limit=3, sort=BY_SCORE)) == [5, 0, 10]
        assert "x-lutra-explain" not in seen[-1]
    asked["x-lutra-explain"] = "1"
    sync_client.list_table()
    with pytest.raises(ots.OTSServiceError):
        search(sync_client, table, index, ots.TermQuery("absent", 0))
    assert all("x-lutra-explain" not in headers for headers in seen[-2:])
